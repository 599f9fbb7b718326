"""Judged queries in, a ledger of negatives out."""
