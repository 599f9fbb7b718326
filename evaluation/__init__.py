"""Judgements, runs, measures, paired tests and the promotion verdict: pure, no torch."""
