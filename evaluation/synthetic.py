"""What is kept of generated queries: each with what answers it, and for each document how its generation went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evaluation.judgements import Judgement, Query


@dataclass(frozen=True, slots=True)
class SyntheticQuery:
    """A query of split ``synthetic``, the one place that answers it, and that place's rank (from 1) in the search."""

    query: Query
    judgement: Judgement
    rank: int


@dataclass(frozen=True, slots=True)
class Generated:
    """What one generator made of one document.

    ``fingerprint`` is that of all it was made from: while it stands, nothing needs to be generated again. ``settings``
    are the generator's, with its model. ``made`` queries were tried; ``dropped`` counts, by reason, those that were not
    kept. ``time`` is ISO 8601 UTC, empty until it is stored.
    """

    generator: str
    document: str
    fingerprint: str
    settings: Mapping[str, Any]
    made: int
    dropped: Mapping[str, int]
    queries: tuple[SyntheticQuery, ...] = field(default=(), repr=False)
    time: str = ""
