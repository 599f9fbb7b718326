"""What the pictures of a ledger show, as numbers: where the candidates went, who found them, what was hardest.

Everything here comes from the ledger alone. What needs the vectors is in ``mining.similarities``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from indexing.hyperbolic import hyperbolic_name
from mining.filters_cross import relative_probability
from mining.ledger import (
    BORDERLINE,
    FALSE_NEGATIVE,
    KEPT,
    PROPOSED_POSITIVE,
    RANDOM,
    RELEVANT,
    VERDICTS,
    Ledger,
    LedgerQuery,
    LedgerRow,
)

HARDEST = 20
COMBINATIONS = 12
EXAMPLES = 2  # queries for each encoder, of the neighbours that only one distance finds
_NEIGHBOURS = 10
_TRAINS = (KEPT, RANDOM)
# They rank again what BM25 and the encoders found, so having been found by them too makes a find no less exclusive.
_DERIVED = frozenset({"ensemble", "in_document", "random"})


@dataclass(frozen=True)
class FunnelStage:
    """One step from candidates to negatives: how many it removed, by verdict, and how many were ``left`` after it."""

    name: str
    removed: dict[str, int]
    left: int


@dataclass(frozen=True)
class LanguageCounts:
    """The queries of a language, their candidates by verdict, and why its cross-encoder scores do not count ("").

    ``auc`` is the chance that the cross-encoder puts a judged passage above an unjudged one, None where not measured.
    """

    language: str
    queries: int
    verdicts: dict[str, int]
    auc: float | None
    distrust: str


@dataclass(frozen=True)
class SourceFinds:
    """What one source found: candidates among its best ``depth``, and those that no other searching source has there.

    ``judged`` counts judged passages, which are candidates too; ``kept`` what became a hard negative.
    """

    name: str
    found: int
    kept: int
    judged: int
    exclusive: int
    exclusive_kept: int
    exclusive_judged: int


@dataclass(frozen=True)
class Combination:
    """The candidates that exactly these sources found, and how many of them became hard negatives."""

    sources: tuple[str, ...]
    found: int
    kept: int


@dataclass(frozen=True)
class Overlap:
    """Who found what. ``searching`` are the sources that search by themselves; ``combinations`` are of these alone.

    ``combinations`` hold the largest COMBINATIONS, most first; ``others`` counts the candidates of the rest.
    """

    depth: int
    searching: tuple[str, ...]
    sources: tuple[SourceFinds, ...]
    combinations: tuple[Combination, ...]
    others: int


@dataclass(frozen=True)
class Neighbour:
    """A candidate among the first neighbours by one distance, with the rank (from 1) that this gave it."""

    rank: int
    row: LedgerRow


@dataclass(frozen=True)
class OnlyOne:
    """The neighbours of one query that only the cosine, or only the hyperbolic distance, has among the first."""

    query: LedgerQuery
    cosine: tuple[Neighbour, ...]
    hyperbolic: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Neighbours:
    """An encoder's ``first`` neighbours by cosine beside those by hyperbolic distance.

    ``queries`` have both lists, and ``in_common[i]`` of these have i neighbours in common. ``judged`` and ``kept`` are
    how many judged passages and hard negatives are among the first by (cosine, hyperbolic distance). ``examples`` are
    the queries with the least in common. No query has both where the encoder gives all texts the same norm.
    """

    encoder: str
    first: int
    queries: int
    in_common: tuple[int, ...]
    judged: tuple[int, int]
    kept: tuple[int, int]
    examples: tuple[OnlyOne, ...]

    @property
    def share(self) -> float:
        """The mean share of the first neighbours that both have, 0 to 1."""
        pairs = sum(number * queries for number, queries in enumerate(self.in_common))
        return pairs / (self.first * self.queries) if self.queries else 0.0


@dataclass(frozen=True)
class Bound:
    """A bound of a filter on the axis of ``CrossScores``: its setting's name and the value."""

    name: str
    value: float


@dataclass(frozen=True)
class CrossScores:
    """The candidates that the cross-encoder scored and the ensemble ranks, as (n,) columns.

    ``cross`` is the probability relative to the best judged passage's, or with ``logits`` the logit itself, as the
    filter ``cross_bounds`` reads it. ``bounds`` are what the ledger's filters compared it with, ascending; none where
    no filter in use has bounds on this axis.
    """

    cross: tuple[float, ...]
    ensemble: tuple[float, ...]
    verdicts: tuple[str, ...]
    logits: bool
    bounds: tuple[Bound, ...]


@dataclass(frozen=True)
class HardNegative:
    """A hard negative that was kept, and the query that it does not answer."""

    query: LedgerQuery
    row: LedgerRow


def funnel(ledger: Ledger) -> list[FunnelStage]:
    """Return the steps from all candidates to the training negatives; what is left last are those kept and drawn.

    What people decided comes first, then the filters in the order they acted, then the choice among what passed. What
    was proposed as a positive, or accepted as one, counts as such with the filter that had set it aside.
    """
    decided: Counter[str] = Counter()
    ruled: Counter[str] = Counter()
    for row in ledger.rows:
        if row.verdict not in _TRAINS:
            (decided if row.reviewer else ruled)[row.verdict] += 1
    filtered = {name: Counter(removed) for name, removed in ledger.manifest.get("removed", {}).items()}
    _count_proposed(filtered, ruled)
    chosen = ruled - sum(filtered.values(), Counter[str]())
    people = {"people": decided} if decided else {}
    stages = [FunnelStage("candidates", {}, len(ledger.rows))]
    for name, removed in {**people, **filtered, "choice": chosen}.items():
        stages.append(FunnelStage(name, _in_order(removed), stages[-1].left - removed.total()))
    return stages


def count_languages(ledger: Ledger) -> list[LanguageCounts]:
    """Return the queries and verdicts of each language, and what the cross-encoder was found to be worth there."""
    languages = {query.id: query.language for query in ledger.queries}
    queries = Counter(languages.values())
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in ledger.rows:
        verdicts[languages.get(row.query, "")][row.verdict] += 1
    agreement = ledger.manifest.get("agreement") or {}
    return [
        LanguageCounts(
            language,
            queries[language],
            _in_order(verdicts[language]),
            agreement.get(language, {}).get("auc"),
            agreement.get(language, {}).get("distrust", "no filter asks it"),
        )
        for language in sorted(verdicts)
    ]


def source_overlap(ledger: Ledger) -> Overlap:
    """Count what each source found among its best ``depth``, and what none of the others did.

    A candidate records its rank in every source, however deep; here it counts as found down to the depth of mining.
    """
    depth = int(ledger.manifest["settings"]["depth"])
    judged = _judged(ledger)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    together: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for row in ledger.rows:
        names = {source.name for source in row.sources if source.rank <= depth}
        searching = tuple(sorted(names - _DERIVED))
        is_judged, kept = (row.query, row.chunk) in judged, row.verdict == KEPT
        for name in names - {"random"}:
            exclusive = not set(searching) - {name}
            found[name].update(
                found=1,
                kept=kept,
                judged=is_judged,
                exclusive=exclusive,
                exclusive_kept=exclusive and kept,
                exclusive_judged=exclusive and is_judged,
            )
        if searching:
            together[searching].update(found=1, kept=kept)
    combinations = sorted(
        (Combination(names, counts["found"], counts["kept"]) for names, counts in together.items()),
        key=lambda combination: (-combination.found, combination.sources),
    )
    return Overlap(
        depth,
        tuple(sorted(found.keys() - _DERIVED)),
        tuple(SourceFinds(name, **{key: counts[key] for key in _COUNTS}) for name, counts in sorted(found.items())),
        tuple(combinations[:COMBINATIONS]),
        sum(combination.found for combination in combinations[COMBINATIONS:]),
    )


_COUNTS = ("found", "kept", "judged", "exclusive", "exclusive_kept", "exclusive_judged")


def compare_neighbours(ledger: Ledger) -> list[Neighbours]:
    """Compare each encoder's first neighbours by both distances; empty when the ledger has no hyperbolic source.

    The first neighbours of a query are rows of the ledger, whatever became of them.
    """
    if "hyperbolic" not in ledger.manifest["settings"]["sources"]:
        return []
    first = min(_NEIGHBOURS, int(ledger.manifest["settings"]["depth"]))
    nearest: dict[tuple[str, str], dict[str, Neighbour]] = defaultdict(dict)
    for row in ledger.rows:
        for source in row.sources:
            if source.rank <= first:
                nearest[source.name, row.query][row.chunk] = Neighbour(source.rank, row)
    return [_compare(encoder, ledger, first, nearest) for encoder in sorted(ledger.manifest["encoders"])]


def _compare(
    encoder: str, ledger: Ledger, first: int, nearest: Mapping[tuple[str, str], Mapping[str, Neighbour]]
) -> Neighbours:
    judged = _judged(ledger)
    names = (encoder, hyperbolic_name(encoder))
    in_common = [0] * (first + 1)
    positives, negatives = [0, 0], [0, 0]
    differing: list[tuple[int, OnlyOne]] = []
    for query in ledger.queries:
        lists = [nearest.get((name, query.id), {}) for name in names]
        if not all(lists):
            continue
        shared = lists[0].keys() & lists[1].keys()
        in_common[len(shared)] += 1
        for side, found in enumerate(lists):
            positives[side] += sum((query.id, chunk) in judged for chunk in found)
            negatives[side] += sum(neighbour.row.verdict == KEPT for neighbour in found.values())
        only = [
            tuple(sorted((found[chunk] for chunk in found.keys() - shared), key=lambda one: one.rank))
            for found in lists
        ]
        if any(only):
            differing.append((len(shared), OnlyOne(query, *only)))
    differing.sort(key=lambda pair: (pair[0], pair[1].query.id))
    return Neighbours(
        encoder,
        first,
        sum(in_common),
        tuple(in_common),
        (positives[0], positives[1]),
        (negatives[0], negatives[1]),
        tuple(one for _, one in differing[:EXAMPLES]),
    )


def cross_scores(ledger: Ledger) -> CrossScores:
    """Return what the cross-encoder and the ensemble say of the same candidates."""
    settings = ledger.manifest["settings"]
    logits = "cross_bounds" in settings["filters"]
    bounds: Sequence[Bound] = ()
    if logits:
        bounds = [Bound("cross_range", value) for value in settings["cross_range"]]
    elif "cross_encoder" in settings["filters"]:
        bounds = [Bound(name, settings[name]) for name in ("floor", "borderline", "rho")]
    cross, ensemble, verdicts = [], [], []
    for row in ledger.rows:
        logit, best = row.cross_score, row.positive_cross_score
        if logit is not None and best is not None and row.ensemble_score is not None:
            cross.append(logit if logits else relative_probability(logit, best))
            ensemble.append(row.ensemble_score)
            verdicts.append(row.verdict)
    return CrossScores(tuple(cross), tuple(ensemble), tuple(verdicts), logits, tuple(bounds))


def hardest(ledger: Ledger, most: int = HARDEST) -> list[HardNegative]:
    """Return the kept hard negatives that the ensemble scores highest, at most one for a query."""
    queries = {query.id: query for query in ledger.queries}
    kept = [row for row in ledger.rows if row.verdict == KEPT and row.query in queries]
    best: dict[str, LedgerRow] = {}
    for row in sorted(kept, key=lambda row: (-(row.ensemble_score or 0.0), row.query, row.chunk)):
        best.setdefault(row.query, row)
    return [HardNegative(queries[row.query], row) for row in list(best.values())[:most]]


def _count_proposed(filtered: Mapping[str, Counter[str]], ruled: Counter[str]) -> None:
    """Give the filters' counts the verdicts that ``mining.relabel`` made of theirs, the last filter first."""
    proposed = PROPOSED_POSITIVE if ruled[PROPOSED_POSITIVE] else RELEVANT
    for verdict in (FALSE_NEGATIVE, BORDERLINE):
        surplus = sum(removed[verdict] for removed in filtered.values()) - ruled[verdict]
        for removed in reversed(list(filtered.values())):
            moved = max(min(surplus, removed[verdict]), 0)
            removed[verdict] -= moved
            removed[proposed] += moved
            surplus -= moved


def _judged(ledger: Ledger) -> set[tuple[str, str]]:
    return {(query.id, chunk) for query in ledger.queries for chunk in query.positives}


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts above 0 in the order in which VERDICTS lists them."""
    return {verdict: counts[verdict] for verdict in VERDICTS if counts.get(verdict)}
