"""The settings of mining, validated; they are saved in every ledger's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from chunking.checks import check_range
from indexing.fusion import FUSIONS
from indexing.pca import PCA
from mining.filters import FILTERS
from mining.selection import DIFFICULTIES, DIVERSITIES
from mining.sources import SOURCES


@dataclass(frozen=True)
class MineSettings:
    """How negatives are looked for, filtered and chosen.

    ``sources`` and ``filters`` are names of SOURCES and FILTERS, filters in the order they act; without filters the run
    is the unfiltered baseline (judged passages and their siblings are never kept, whatever the filters). Each source
    gives its best ``depth`` chunks of a query. ``fusion`` says how the ensemble is made: a name of FUSIONS, of BM25
    and the encoders with the release's weights, or ``pca``, of the encoders alone.

    Ratios compare a candidate with the best judged passage of its query, as probabilities of the cross-encoder: above
    ``rho`` it is a false negative (.95 is NV-Retriever's TopK-PercPos), between ``borderline`` and ``rho`` a person
    should look, below ``floor`` it is too easy. The cross-encoder reads the ``cross_budget`` candidates of a query
    that the ensemble ranks highest. It is believed only when it ranks judged passages above unjudged candidates with an
    area under the ROC curve of ``minimum_agreement`` or more, measured on ``agreement_sample`` queries.
    At .75 one unjudged candidate in four still stands above the judged passage, and a margin relative to that passage
    removes it as false: a judge that is worse than this takes away more true negatives than false ones.

    ``cross_range`` are the logits outside which the filter ``cross_bounds`` calls a candidate too easy or a false
    negative. Above the first of ``calibrated_range``, probabilities, the filter ``calibrated`` calls a candidate
    borderline, above the second a false negative; ``evidence_range`` are the same for the filter ``evidence``, as
    percentiles of the evidence of all candidates of a language, and ``learned_range`` for the filter ``learned``, as
    percentiles of what it makes of the unjudged ones that would be kept. ``agreeing`` is the share of the encoders
    that must rank a candidate above every judged passage before it is doubted where the cross-encoder does not count.
    Below ``easy_share`` of the best judged passage's ensemble score the filter ``too_easy`` rejects.

    A candidate whose word shingles overlap those of a judged passage by a Jaccard index of ``duplicate_jaccard`` or
    more repeats it. At most ``per_query`` hard negatives are kept for a query, at most ``per_document`` of them from
    one document; random ones are added so that they make ``random_share`` of all negatives.

    What the cross-encoder and another source put above the judged passage is proposed as a positive. With ``relabel``
    "review" it trains nothing until a person confirms it, with "accept" it is a positive at once.

    ``difficulty`` and ``diversity`` are names of DIFFICULTIES and DIVERSITIES: which of the hard negatives that pass
    are wanted first, and how they are kept from being alike. ``rank_range`` (``range``) are ranks of the ensemble from
    1, both included; ``temperature`` (``sampled``) divides its scores, which lie in [0, 1]; ``simans_a`` and
    ``simans_b`` (``simans``) are the sharpness and the offset from the judged passage's score; ``mmr_lambda``
    (``mmr``) weighs being wanted against being unlike.

    With ``synthetic`` the queries that `specmine queries generate` made are training queries too, here and when the
    encoders are retrained.
    """

    sources: tuple[str, ...] = ("random", "bm25", "encoder", "ensemble", "feedback")
    depth: int = 20
    fusion: str = "soft"
    filters: tuple[str, ...] = ("near_duplicates", "cross_encoder")
    duplicate_jaccard: float = 0.8
    rho: float = 0.95
    borderline: float = 0.8
    floor: float = 0.01
    cross_budget: int = 12
    minimum_agreement: float = 0.75
    agreement_sample: int = 96
    cross_range: tuple[float, float] = (-11.0, 0.0)
    calibrated_range: tuple[float, float] = (0.5, 0.7)
    evidence_range: tuple[float, float] = (0.6, 0.8)
    learned_range: tuple[float, float] = (0.7, 0.85)
    agreeing: float = 1.0
    easy_share: float = 0.1
    per_query: int = 7
    per_document: int = 2
    difficulty: str = "top"
    rank_range: tuple[int, int] = (3, 30)
    temperature: float = 0.1
    simans_a: float = 50.0
    simans_b: float = 0.0
    diversity: str = "cap"
    mmr_lambda: float = 0.7
    random_share: float = 0.2
    relabel: Literal["review", "accept"] = "review"
    synthetic: bool = False
    seed: int = 13

    def __post_init__(self) -> None:
        _check_names("sources", self.sources, tuple(SOURCES))
        _check_names("fusion", (self.fusion,), (*FUSIONS, PCA))
        _check_names("filters", self.filters, tuple(FILTERS))
        _check_names("difficulty", (self.difficulty,), tuple(DIFFICULTIES))
        _check_names("diversity", (self.diversity,), tuple(DIVERSITIES))
        if not set(self.sources) - {"random"}:
            raise ValueError(f"mining sources {self.sources} find no hard negatives: name one besides 'random'")
        if self.random_share > 0 and "random" not in self.sources:
            raise ValueError(f"random_share is {self.random_share} but 'random' is not among the mining sources")
        for name, low, high in (
            ("depth", 1, 1000),
            ("cross_budget", 1, 1000),
            ("agreement_sample", 1, 100_000),
            ("per_query", 1, 1000),
            ("per_document", 1, 1000),
            ("seed", 0, 2**63 - 1),
        ):
            check_range(self, name, low, high)
        if not 0 <= self.floor <= self.borderline <= self.rho:
            raise ValueError(
                f"0 <= floor <= borderline <= rho is wanted, not {self.floor}, {self.borderline}, {self.rho}"
            )
        if self.rho > 10:
            raise ValueError(f"rho must be at most 10, not {self.rho}")
        if not 0 < self.duplicate_jaccard <= 1:
            raise ValueError(f"duplicate_jaccard must be above 0 and at most 1, not {self.duplicate_jaccard}")
        if self.relabel not in ("review", "accept"):
            raise ValueError(f"relabel must be 'review' or 'accept', not {self.relabel!r}")
        for share in ("minimum_agreement", "agreeing", "easy_share", "mmr_lambda"):
            if not 0 <= getattr(self, share) <= 1:
                raise ValueError(f"{share} must be 0 to 1, not {getattr(self, share)}")
        if not 1 <= self.rank_range[0] <= self.rank_range[1]:
            raise ValueError(f"rank_range must be two ranks from 1, the lower first, not {self.rank_range}")
        if not self.cross_range[0] <= self.cross_range[1]:
            raise ValueError(f"cross_range must be two logits, the lower first, not {self.cross_range}")
        for name in ("calibrated_range", "evidence_range", "learned_range"):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= 1:
                raise ValueError(f"{name} must be two shares from 0 to 1, the lower first, not {low} and {high}")
        if not 0.001 <= self.temperature <= 1000:
            raise ValueError(f"temperature must be .001 to 1000, not {self.temperature}")
        if not 0 <= self.simans_a <= 1e6 or not -1 <= self.simans_b <= 1:
            raise ValueError(
                f"simans_a must be 0 to 1,000,000 and simans_b -1 to 1, not {self.simans_a} and {self.simans_b}"
            )
        if not 0 <= self.random_share <= 0.9:
            raise ValueError(f"random_share must be 0 to .9, not {self.random_share}")


def settings_of(manifest: Mapping[str, Any]) -> MineSettings:
    """Return the settings that a ledger's manifest records. Raises ValueError where this version knows others."""
    saved: dict[str, Any] = manifest.get("settings", {})
    known = {entry.name for entry in fields(MineSettings)}
    if unknown := saved.keys() - known:
        raise ValueError(f"it was mined with settings that this specmine does not know: {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in saved.items()}
    return MineSettings(**values)


def _check_names(what: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"unknown name {name!r} in mining {what}; known: {', '.join(known)}")
    if len(set(names)) < len(names):
        raise ValueError(f"a name stands twice in mining {what}: {', '.join(names)}")
