"""The settings of mining, validated; they are saved in every ledger's manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mining.candidates import SOURCES
from mining.filters import FILTERS


@dataclass(frozen=True)
class MineSettings:
    """How negatives are looked for, filtered and chosen.

    ``sources`` and ``filters`` are names of SOURCES and FILTERS, filters in the order they act; without filters the run
    is the unfiltered baseline (judged passages and their siblings are never kept, whatever the filters). Each source
    gives its best ``depth`` chunks of a query.

    Ratios compare a candidate with the best judged passage of its query, as probabilities of the cross-encoder: above
    ``rho`` it is a false negative (.95 is NV-Retriever's TopK-PercPos), between ``borderline`` and ``rho`` a person
    should look, below ``floor`` it is too easy. The cross-encoder reads the ``cross_budget`` candidates of a query
    that the ensemble ranks highest. It is believed only when it ranks judged passages above unjudged candidates with an
    area under the ROC curve of ``minimum_agreement`` or more, measured on ``agreement_sample`` queries.
    At .75 one unjudged candidate in four still stands above the judged passage, and a margin relative to that passage
    removes it as false: a judge that is worse than this takes away more true negatives than false ones.

    A candidate whose word shingles overlap those of a judged passage by a Jaccard index of ``duplicate_jaccard`` or
    more repeats it. At most ``per_query`` hard negatives are kept for a query, at most ``per_document`` of them from
    one document; random ones are added so that they make ``random_share`` of all negatives.

    What the cross-encoder and another source put above the judged passage is proposed as a positive. With ``relabel``
    "review" it trains nothing until a person confirms it, with "accept" it is a positive at once.
    """

    sources: tuple[str, ...] = ("random", "bm25", "encoder", "ensemble")
    depth: int = 20
    filters: tuple[str, ...] = ("near_duplicates", "cross_encoder")
    duplicate_jaccard: float = 0.8
    rho: float = 0.95
    borderline: float = 0.8
    floor: float = 0.01
    cross_budget: int = 12
    minimum_agreement: float = 0.75
    agreement_sample: int = 96
    per_query: int = 7
    per_document: int = 2
    random_share: float = 0.2
    relabel: Literal["review", "accept"] = "review"
    seed: int = 13

    def __post_init__(self) -> None:
        _check_names("sources", self.sources, tuple(SOURCES))
        _check_names("filters", self.filters, tuple(FILTERS))
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
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be {low} to {high}, not {getattr(self, name)}")
        if not 0 <= self.floor <= self.borderline <= self.rho:
            raise ValueError(
                f"0 <= floor <= borderline <= rho is wanted, not {self.floor}, {self.borderline}, {self.rho}"
            )
        if self.rho > 10:
            raise ValueError(f"rho must be at most 10, not {self.rho}")
        if not 0 < self.duplicate_jaccard <= 1:
            raise ValueError(f"duplicate_jaccard must be above 0 and at most 1, not {self.duplicate_jaccard}")
        if not 0 <= self.minimum_agreement <= 1:
            raise ValueError(f"minimum_agreement must be 0 to 1, not {self.minimum_agreement}")
        if self.relabel not in ("review", "accept"):
            raise ValueError(f"relabel must be 'review' or 'accept', not {self.relabel!r}")
        if not 0 <= self.random_share <= 0.9:
            raise ValueError(f"random_share must be 0 to .9, not {self.random_share}")


def _check_names(what: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"unknown name {name!r} in mining {what}; known: {', '.join(known)}")
    if len(set(names)) < len(names):
        raise ValueError(f"a name stands twice in mining {what}: {', '.join(names)}")
