"""What the pictures of a ledger show, in words with the numbers: for captions, and for who cannot see the pictures."""

from __future__ import annotations

from collections.abc import Sequence

from flows.reports.ledger_pictures import RATIOS, words
from mining.figures import CrossScores, FunnelStage, LanguageCounts, Neighbours, Overlap
from mining.ledger import KEPT
from mining.similarities import GROUPS, Similarities


def funnel(stages: Sequence[FunnelStage]) -> str:
    """Say what each step removed and what was left."""
    steps = []
    for stage in stages[1:]:
        removed = ", ".join(f"{count:,} as {words(verdict)}" for verdict, count in stage.removed.items())
        steps.append(f"{words(stage.name)} removed {removed or 'nothing'}")
    return (
        f"Of {stages[0].left:,} candidates, in order: {'; '.join(steps)}. "
        f"Left for training, kept or drawn at random: {stages[-1].left:,}."
    )


def similarities(measured: Similarities) -> str:
    """Say the medians of the groups, and how much judged passages and kept negatives overlap."""
    medians = ", ".join(f"{GROUPS[name]} {group.median:.3f}" for name, group in measured.groups.items())
    shared = (
        "Judged passages and kept negatives cannot be compared: one of them has no pair."
        if measured.overlap is None
        else f"The histograms of judged passages and kept negatives share {measured.overlap:.0%} of their area."
    )
    return f"Cosines of {measured.encoder}, medians: {medians}. {shared}"


def sources(overlap: Overlap) -> str:
    """Say what nobody else found."""
    told = [
        f"{source.name} {source.exclusive:,} of {source.found:,} ({source.exclusive_kept:,} kept, "
        f"{source.exclusive_judged:,} judged passages)"
        for source in sorted(overlap.sources, key=lambda source: (-source.exclusive, source.name))
    ]
    derived = "ensemble and in_document rank again what others found; random draws are left out."
    return f"Among the best {overlap.depth} of one source alone: {'; '.join(told)}. {derived}"


def combinations(overlap: Overlap) -> str:
    """Say which sources found the same most often."""
    if not overlap.combinations:
        return "No candidate was found by a source that searches by itself."
    told = [
        f"{' + '.join(combination.sources)} {combination.found:,} ({combination.kept:,} kept)"
        for combination in overlap.combinations[:5]
    ]
    rest = f" Not drawn: {overlap.others:,} candidates of rarer combinations." if overlap.others else ""
    return f"Candidates by exactly who found them, the largest first: {'; '.join(told)}.{rest}"


def neighbours(compared: Neighbours) -> str:
    """Say how much the two distances have in common, and what each brought."""
    if not compared.queries:
        return (
            f"{compared.encoder} gives all texts the same norm, so its hyperbolic neighbours would be those by cosine: "
            "none were looked for."
        )
    return (
        f"{compared.encoder}: {compared.share:.0%} of the first {compared.first} neighbours in common, over "
        f"{compared.queries:,} queries. Among them, by cosine and by hyperbolic distance: {compared.judged[0]:,} and "
        f"{compared.judged[1]:,} judged passages, {compared.kept[0]:,} and {compared.kept[1]:,} kept negatives."
    )


def cross_scores(scores: CrossScores, languages: Sequence[LanguageCounts]) -> str:
    """Say how many candidates were scored, what the bounds are, and where the scores were not believed."""
    if not scores.cross:
        return f"The cross-encoder scored no candidate. {not_believed(languages)}".strip()
    bounds = ", ".join(f"{words(bound.name)} {bound.value:g}" for bound in scores.bounds)
    told = f"{len(scores.cross):,} candidates with a score of both, {scores.verdicts.count(KEPT):,} of them kept. "
    told += f"Bounds: {bounds}." if bounds else "No filter of this ledger has bounds on this axis."
    if not scores.logits:
        told += f" Below {RATIOS[0]:g} and above {RATIOS[1]:g} they stand at the edge."
    return f"{told} {not_believed(languages)}".strip()


def not_believed(languages: Sequence[LanguageCounts]) -> str:
    """Say in which languages the cross-encoder's scores did not count, and why; "" where they counted in all."""
    doubted = [f"{counts.language}: {counts.distrust}" for counts in languages if counts.distrust]
    return f"Cross-encoder not used for {'; '.join(doubted)}." if doubted else ""
