"""What a re-ranker learns from and is judged on: passages as it reads them, queries held out, queries drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import overload

import numpy as np

from chunking.document import Chunk
from chunking.language import language
from evaluation.leakage import groups
from indexing.home import SpecmineError
from indexing.reranking import placed_text
from indexing.specs import CrossEncoderSpec
from training.reranker_settings import RerankerSettings
from training.splits import Splits
from training.targets import Example, Examples


class PlacedTexts(Sequence[str]):
    """All passages of an index as a re-ranker reads them, by their place; each is read when it is asked for."""

    def __init__(self, chunks: Mapping[str, Chunk]) -> None:
        self._chunks = chunks
        self._ids = list(chunks)

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [placed_text(self._chunks[chunk]) for chunk in self._ids[place]]
        return placed_text(self._chunks[self._ids[place]])

    def fingerprint(self) -> str:
        """Return the SHA-256 over all of them."""
        digest = hashlib.sha256()
        for chunk in self._chunks.values():
            digest.update(placed_text(chunk).encode(errors="replace") + b"\0")
        return digest.hexdigest()


def set_aside(
    examples: Examples, splits: Splits, spec: CrossEncoderSpec, settings: RerankerSettings
) -> tuple[list[Example], list[Example], int]:
    """Split the examples into those that train and those held out; also return how many the model cannot read.

    Queries that share a judged passage, or all but share their words, are on the same side. No more than half are held
    out. Raises SpecmineError when either side would be empty.
    """
    readable = [example for example in examples.examples if language(example.text) in spec.languages]
    unreadable = len(examples.examples) - len(readable)
    of_query = groups(splits.train, splits.train_judgements)
    by_group: dict[str, list[Example]] = {}
    for example in readable:
        by_group.setdefault(of_query[example.query], []).append(example)
    names = sorted(by_group)
    random = np.random.default_rng(settings.seed)
    wanted = min(settings.held_out, len(readable) // 2)
    aside: list[Example] = []
    for place in random.permutation(len(names)):
        group = by_group[names[place]]
        if len(aside) + len(group) <= wanted:
            aside += group
    held = {example.query for example in aside}
    train = [example for example in readable if example.query not in held]
    if settings.queries and len(train) > settings.queries:
        drawn = sorted(random.choice(len(train), settings.queries, replace=False).tolist())
        train = [train[place] for place in drawn]
    if not train or not aside:
        raise SpecmineError(
            f"{len(readable)} training queries have a judged passage, a mined negative and a language that {spec.name} "
            "reads; that is too few to train a re-ranker and to hold some out: mine again, or import judgements"
        )
    return train, sorted(aside, key=lambda example: example.query), unreadable


def by_language(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """Return language → ids of the queries asked in it, the languages in order."""
    found: dict[str, set[str]] = {}
    for query, text in texts.items():
        found.setdefault(language(text), set()).add(query)
    return dict(sorted(found.items()))
