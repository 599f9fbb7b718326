"""What is kept of what passes: hard ones, not too alike, and an exact share drawn at random.

Two families work together. A *difficulty* puts the candidates of a query in the order in which they are wanted, a
*diversity* takes from this order without taking the same thing twice. Whatever is drawn by lot is drawn by the seed,
the query and the chunk alone, so a choice depends neither on the other queries nor on any order.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mining.candidates import Candidate, Case
from mining.filters_cross import relative_probability
from mining.ledger import KEPT, RANDOM, UNSELECTED
from mining.shingles import jaccard, shingles

if TYPE_CHECKING:
    from mining.settings import MineSettings

Difficulty = Callable[[Case, Sequence[Candidate], "MineSettings"], list[Candidate]]
"""From a query's open candidates to those of the wanted difficulty, the most wanted first."""

Diversity = Callable[[Sequence[Candidate], Sequence[Candidate], int, "MineSettings"], list[Candidate]]
"""From candidates in the order wanted, those that are kept already and how many are missing, to those taken."""


def select_hard(case: Case, settings: MineSettings) -> None:
    """Keep open candidates by the difficulty and the diversity set, within the bounds per query and per document.

    What a person confirmed is kept already and counts towards both bounds.
    """
    hard = [candidate for candidate in case.open() if not candidate.drawn]
    confirmed = [candidate for candidate in case.candidates if candidate.verdict == KEPT]
    wanted = DIFFICULTIES[settings.difficulty](case, hard, settings)
    missing = max(settings.per_query - len(confirmed), 0)
    taken = DIVERSITIES[settings.diversity](wanted, confirmed, missing, settings)
    chosen = {candidate.chunk.id for candidate in taken}
    of_document = Counter(candidate.chunk.document for candidate in (*confirmed, *taken))
    in_order = {candidate.chunk.id for candidate in wanted}
    for candidate in hard:
        if candidate.chunk.id in chosen:
            candidate.verdict, candidate.reason = KEPT, _why_kept(case, candidate)
            continue
        candidate.verdict = UNSELECTED
        if candidate.chunk.id not in in_order:
            low, high = settings.rank_range
            candidate.reason = f"outside the ranks {low} to {high} of the ensemble"
        elif len(taken) < missing or of_document[candidate.chunk.document] >= settings.per_document:
            candidate.reason = f"{settings.per_document} others of this document are kept"
        else:
            candidate.reason = f"{settings.per_query} others are kept for this query"


def select_random(cases: Sequence[Case], settings: MineSettings) -> int:
    """Take random negatives so that they are ``random_share`` of all negatives, to the nearest whole row.

    Counted along the queries, so that each gets random negatives in proportion to its hard ones, and what one query
    cannot supply the next ones do. Returns how many are missing in the end.
    """
    hard = taken = 0
    for case in cases:
        hard += sum(candidate.verdict == KEPT for candidate in case.candidates)
        wanted = random_wanted(hard, settings.random_share)
        for candidate in sorted((c for c in case.open() if c.drawn), key=lambda c: c.found["random"][0]):
            if taken < wanted:
                candidate.verdict, candidate.reason = RANDOM, "drawn at random"
                taken += 1
            else:
                candidate.verdict, candidate.reason = UNSELECTED, "drawn at random; the share is full"
    return random_wanted(hard, settings.random_share) - taken


def random_wanted(hard: int, share: float) -> int:
    """Return r such that r / (hard + r) is ``share``, rounded to a whole number."""
    return round(hard * share / (1 - share))


def _top(case: Case, candidates: Sequence[Candidate], settings: MineSettings) -> list[Candidate]:
    """The hardest first: those that the ensemble scores highest."""
    return sorted(candidates, key=lambda c: (-_score(c), c.chunk.id))


def _range(case: Case, candidates: Sequence[Candidate], settings: MineSettings) -> list[Candidate]:
    """The hardest first of those at the ranks ``rank_range`` of the ensemble, both ends included.

    What ranks first is most often a false negative, and what ranks far down teaches nothing.
    """
    low, high = settings.rank_range
    within = [candidate for candidate in candidates if candidate.rank is not None and low <= candidate.rank <= high]
    return _top(case, within, settings)


def _sampled(case: Case, candidates: Sequence[Candidate], settings: MineSettings) -> list[Candidate]:
    """Drawn without replacement, with weights exp(score / ``temperature``): the softmax of the ensemble's scores."""
    return _draw(case, candidates, settings, lambda score: score / settings.temperature)


def _simans(case: Case, candidates: Sequence[Candidate], settings: MineSettings) -> list[Candidate]:
    """Drawn without replacement, with weights exp(-a (s - s⁺ - b)²): ambiguous ones around the judged passage.

    SimANS (Zhou et al., arXiv 2210.11773): candidates far above the judged passage are likely relevant and those far
    below too easy. s is the ensemble's score, s⁺ that of the best judged passage, 0 where no list holds one.
    """
    judged = max((vote[1] for vote in case.positive_votes if vote is not None), default=0.0)
    a, b = settings.simans_a, settings.simans_b
    return _draw(case, candidates, settings, lambda score: -a * (score - judged - b) ** 2)


def _draw(
    case: Case, candidates: Sequence[Candidate], settings: MineSettings, log_weight: Callable[[float], float]
) -> list[Candidate]:
    """Order by log weight plus Gumbel noise: drawing one by one without replacement, in proportion to the weights."""

    def key(candidate: Candidate) -> float:
        draw = random.Random(f"{settings.seed}\0{case.query}\0{candidate.chunk.id}").random()  # noqa: S311 - no secret
        # 1 - draw lies in (0, 1]; the least double above 0 keeps both logarithms finite.
        return log_weight(_score(candidate)) - math.log(max(-math.log(1 - draw), 5e-324))

    return sorted(candidates, key=lambda candidate: (-key(candidate), candidate.chunk.id))


def _capped(
    wanted: Sequence[Candidate], kept: Sequence[Candidate], missing: int, settings: MineSettings
) -> list[Candidate]:
    """Take in order, at most ``per_document`` of a document."""
    of_document = Counter(candidate.chunk.document for candidate in kept)
    taken: list[Candidate] = []
    for candidate in wanted:
        if len(taken) < missing and of_document[candidate.chunk.document] < settings.per_document:
            of_document[candidate.chunk.document] += 1
            taken.append(candidate)
    return taken


def _mmr(
    wanted: Sequence[Candidate], kept: Sequence[Candidate], missing: int, settings: MineSettings
) -> list[Candidate]:
    """Take what is wanted and unlike what is taken (maximal marginal relevance, Carbonell & Goldstein 1998).

    The next one has the highest λ r - (1 - λ) max J: λ is ``mmr_lambda``, r falls evenly from 1 for the first wanted to
    1/n for the last of n, J is the Jaccard index of its shingles with those of one taken before. Sister documents
    repeat a clause with other values: one of them teaches what all would. At most ``per_document`` are of one document.
    """
    of_document = Counter(candidate.chunk.document for candidate in kept)
    share = settings.mmr_lambda
    likeness = [
        max((jaccard(shingles(one.chunk.text), shingles(other.chunk.text)) for other in kept), default=0.0)
        for one in wanted
    ]
    left = list(range(len(wanted)))
    taken: list[Candidate] = []
    while len(taken) < missing:
        left = [place for place in left if of_document[wanted[place].chunk.document] < settings.per_document]
        if not left:
            break
        worth = {place: share * (1 - place / len(wanted)) - (1 - share) * likeness[place] for place in left}
        best = max(left, key=lambda place: (worth[place], -place))
        left.remove(best)
        taken.append(wanted[best])
        of_document[wanted[best].chunk.document] += 1
        own = shingles(wanted[best].chunk.text)
        for place in left:
            likeness[place] = max(likeness[place], jaccard(shingles(wanted[place].chunk.text), own))
    return taken


def _score(candidate: Candidate) -> float:
    return candidate.ensemble or 0.0


def _why_kept(case: Case, candidate: Candidate) -> str:
    if candidate.without_cross:
        return f"passed; {candidate.without_cross}"
    if candidate.cross is not None:
        ratio = relative_probability(candidate.cross, max(case.positive_cross))
        return f"passed: cross-encoder gives it {ratio:.3g} of the judged passage's probability"
    return "passed"


DIFFICULTIES: dict[str, Difficulty] = {"top": _top, "range": _range, "sampled": _sampled, "simans": _simans}
DIVERSITIES: dict[str, Diversity] = {"cap": _capped, "mmr": _mmr}
