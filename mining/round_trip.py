"""The round trip: a generated query counts only if search finds the passage it was made from, and a judge agrees.

The cross-encoder judges in the languages in which it may be believed (``measure_trust``). In the others the passage
must be found by two sources or more, each by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chunking.language import language
from indexing.fusion import Run
from indexing.home import Home
from mining.agreement import Agreement, roc_area
from mining.candidates import Corpus, Retrieved, Retriever, ranks, retrieve
from mining.drafts import Draft
from mining.filters_cross import relative_probability
from mining.pair_scores import Judge, PairScores
from mining.scoring import passage_text
from mining.settings import MineSettings
from mining.shingles import jaccard, shingles

Asked = tuple[str, Sequence[str]]
"""A query and the ids of the passages that answer it."""

NOT_FOUND = "its passage is not found"
NOT_ACCEPTED = "the cross-encoder prefers another passage"
ONE_SOURCE = "fewer than two sources find its passage"

_RIVALS = 5  # of the passages found, the best that are compared with the query's own
_OWN = 3  # passages of the query's own that are scored: the best of them speaks for it
_TWO = 2


@dataclass(frozen=True)
class Checked:
    """What the round trip says of a draft: the rank of its passage in the search, and why it is not kept, if so."""

    rank: int | None
    reason: str


@dataclass(frozen=True)
class _Compared:
    """A query with its own passages and others, to be told apart by the cross-encoder."""

    text: str
    own: Sequence[str]
    rivals: Sequence[str]


class RoundTrip:
    """Checks drafts against one release. ``trust`` says, by language, whether the cross-encoder is believed."""

    def __init__(self, searcher: Retriever, judge: Judge | None, home: Home, depth: int, mining: MineSettings) -> None:
        self._searcher = searcher
        self._judge = judge
        self._scores = PairScores(home, judge) if judge else None
        self._depth = depth
        self._mining = mining
        self._corpus = Corpus(searcher.chunks)
        self.trust: dict[str, Agreement] = {}

    def measure_trust(self, asked: Sequence[Asked]) -> None:
        """Measure how well the cross-encoder ranks the answers of these queries above what else is found for them.

        The area under the ROC curve must reach ``minimum_agreement``, as in mining; each language by itself.
        """
        found = self._search([text for text, _ in asked])
        compared: list[_Compared] = []
        for place, (text, own) in enumerate(asked):
            mine, rivals = self._sides(found, str(place), own)
            # What was not found is an answer all the same.
            mine = mine or [chunk for chunk in own if chunk in self._searcher.chunks]
            if mine and rivals and self._can_judge(text, own):
                compared.append(_Compared(text, mine[:_OWN], rivals))
        by_language: dict[str, list[tuple[list[float], list[float]]]] = {}
        for entry, scores in zip(compared, self._score(compared), strict=True):
            by_language.setdefault(language(entry.text), []).append(scores)
        for tongue, of_language in by_language.items():
            auc = float(np.mean([roc_area(own, rivals) for own, rivals in of_language]))
            low = auc < self._mining.minimum_agreement
            distrust = f"its agreement is {auc:.2f}, below {self._mining.minimum_agreement:g}" if low else ""
            pairs = sum(len(own) * len(rivals) for own, rivals in of_language)
            self.trust[tongue] = Agreement(auc, len(of_language), pairs, distrust)

    def check(self, drafts: Sequence[Draft]) -> list[Checked]:
        """Search for every draft and say which of them hold."""
        found = self._search([draft.text for draft in drafts])
        checked: list[Checked] = []
        compared: dict[int, _Compared] = {}
        for place, draft in enumerate(drafts):
            query = str(place)
            first = self._first(found.ensemble, query)
            place_found = next((i for i, chunk in enumerate(first, 1) if self._is_own(chunk, draft)), None)
            reason = "" if place_found is not None else NOT_FOUND
            if place_found is not None and self._is_judged(draft):
                mine, rivals = self._sides(found, query, draft.chunks)
                if rivals:
                    compared[place] = _Compared(draft.text, mine[:_OWN], rivals[:_RIVALS])
            elif place_found is not None and self._agreeing(found, query, draft) < _TWO:
                reason = ONE_SOURCE
            checked.append(Checked(place_found, reason))
        for place, (own, others) in zip(compared, self._score(list(compared.values())), strict=True):
            # As mining compares its candidates: a rival far above the query's own passage is the real answer.
            if relative_probability(max(own), max(others)) < self._mining.borderline:
                checked[place] = Checked(checked[place].rank, NOT_ACCEPTED)
        return checked

    def _is_judged(self, draft: Draft) -> bool:
        trusted = self.trust.get(language(draft.text))
        return trusted is not None and not trusted.distrust and self._can_judge(draft.text, draft.chunks)

    def _agreeing(self, found: Retrieved, query: str, draft: Draft) -> int:
        """Return how many sources, each by itself, have the draft's passage among their first."""
        return sum(any(self._is_own(c, draft) for c in self._first(run, query)) for run in found.runs.values())

    def _first(self, run: Run, query: str) -> list[str]:
        return list(ranks(run.get(query, {})))[: self._depth]

    def _search(self, texts: Sequence[str]) -> Retrieved:
        queries = {str(place): text for place, text in enumerate(texts)}
        return retrieve(self._searcher, queries, {}, self._corpus, self._depth, self._searcher.release.fusion.method)

    def _sides(self, found: Retrieved, query: str, own: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the passages among the first found that are the query's own, and those that are not."""
        first = self._first(found.ensemble, query)
        mine = [chunk for chunk in first if self._is_one_of(chunk, own)]
        others = [chunk for chunk in first if chunk not in mine and self._judges(self._searcher.chunks[chunk].text)]
        return mine, others

    def _is_own(self, name: str, draft: Draft) -> bool:
        return self._is_one_of(name, draft.chunks)

    def _is_one_of(self, name: str, own: Sequence[str]) -> bool:
        """Tell whether a passage is one of these, shows the same clause, or nearly repeats one."""
        if name in own:
            return True
        chunk, chunks = self._searcher.chunks[name], self._searcher.chunks
        for other in (chunks[entry] for entry in own if entry in chunks):
            if chunk.parent is not None and (chunk.document, chunk.parent) == (other.document, other.parent):
                return True
            if jaccard(shingles(chunk.text), shingles(other.text)) >= self._mining.duplicate_jaccard:
                return True
        return False

    def _can_judge(self, text: str, own: Sequence[str]) -> bool:
        chunks = self._searcher.chunks
        return self._judges(text) and all(self._judges(chunks[name].text) for name in own if name in chunks)

    def _judges(self, text: str) -> bool:
        return self._judge is not None and self._judge.judges(language(text))

    def _score(self, compared: Sequence[_Compared]) -> list[tuple[list[float], list[float]]]:
        """Return the logits of own passages and rivals; one call, for the cache writes one file for each."""
        if not compared or self._scores is None:
            return []
        chunks = self._searcher.chunks
        pairs = [(c.text, passage_text(chunks[name])) for c in compared for name in (*c.own, *c.rivals)]
        logits = iter(self._scores.score(pairs))
        return [([next(logits) for _ in c.own], [next(logits) for _ in c.rivals]) for c in compared]
