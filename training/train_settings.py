"""How a query encoder is trained: the table ``[train]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chunking.checks import check_range
from indexing.encoders.forms import parse
from indexing.geometry import GEOMETRIES, Geometry, GeometryKind
from training.loss_settings import LossSettings
from training.losses import BY_LENGTH, LOSSES, NEGATIVES_OF, READ_BY_LOSS, TAUGHT
from training.negatives import NEGATIVES, READ_BY_NEGATIVES
from training.step_settings import StepSettings
from training.synthesis import READ_BY_SYNTHESIS, SYNTHESES


@dataclass(frozen=True)
class TrainSettings(LossSettings, StepSettings):
    """How a query encoder is trained, with the parameters of the losses.

    ``loss`` is a name of ``training.losses.LOSSES``, or several with their weights. ``negatives`` are names of
    ``training.negatives.NEGATIVES`` by stage: the steps are divided evenly among the stages, the easier first. Without
    any each loss has those it is used with. ``synthesis`` is a name of ``training.synthesis.SYNTHESES`` or "none".

    ``form`` says what of the encoder is trained and kept (``indexing.encoders.forms``): ``full``, ``last:LAYERS``,
    ``lora:RANK`` or ``head:RANK``. ``start`` is "base", the weights as published, or "served", those of the release.
    ``average`` are shares of the trained weights that are tried against those they started from, 1 among them
    (``training.averaging``); which is best is found on the queries that stop the training, else on those that were set
    aside to choose the fusion with, and nothing is averaged without such. ``geometry`` says by what the trained
    encoder's documents are found when it is judged and served: "auto" is by hyperbolic distance where every loss is
    ``hyperbolic``, by both where one is ``hybrid``, and else by the cosine.

    A step learns from ``accumulate`` batches. Training ends when ``patience`` evaluations in a row brought nothing,
    after ``epochs`` at the latest, and the best weights are kept. The defaults are the best of those tried for MiniLM
    on judged RFCs (``docs/RESULTS.md``).
    """

    loss: str | dict[str, float] = "full_softmax"
    negatives: tuple[tuple[str, ...], ...] = ()
    synthesis: str = "none"
    form: str = "full"
    start: Literal["base", "served"] = "base"
    average: tuple[float, ...] = ()
    geometry: Literal["auto", "cosine", "hyperbolic", "hybrid"] = "auto"
    accumulate: int = 1
    patience: int = 3

    def __post_init__(self) -> None:
        LossSettings.__post_init__(self)
        StepSettings.__post_init__(self)
        for name, weight in self.losses.items():
            if name not in LOSSES:
                raise ValueError(f"unknown loss {name!r}; known: {', '.join(LOSSES)}")
            if not 0 < weight < float("inf"):
                raise ValueError(f"the weight of loss {name} must be above 0, not {weight}")
        if not self.losses:
            raise ValueError(f"no loss is named; known: {', '.join(LOSSES)}")
        for stage in self.negatives:
            for name in stage:
                if name not in NEGATIVES:
                    raise ValueError(f"unknown negatives {name!r}; known: {', '.join(NEGATIVES)}")
            if not stage:
                raise ValueError("a stage of negatives is empty")
        if self.synthesis not in ("none", *SYNTHESES):
            raise ValueError(f"unknown synthesis {self.synthesis!r}; known: none, {', '.join(SYNTHESES)}")
        if self.synthesis != "none" and (by_length := BY_LENGTH.intersection(self.losses)):
            raise ValueError(
                f"loss {min(by_length)!r} reads lengths, which synthetic negatives have not: set synthesis to none"
            )
        parse(self.form)
        if self.start not in ("base", "served"):
            raise ValueError(f"start must be 'base' or 'served', not {self.start!r}")
        if self.geometry not in ("auto", *GEOMETRIES):
            raise ValueError(f"geometry must be one of auto, {', '.join(GEOMETRIES)}, not {self.geometry!r}")
        for share in self.average:
            if not 0 < share <= 1:
                raise ValueError(f"average must be shares above 0 and at most 1, not {share}")
        check_range(self, "accumulate", 1, 4096)
        check_range(self, "patience", 1, 100_000)

    @property
    def losses(self) -> dict[str, float]:
        """The losses by name with their weights."""
        return {self.loss: 1.0} if isinstance(self.loss, str) else self.loss

    @property
    def system(self) -> str:
        """What is trained with, in a few words: "full_softmax", "infonce + 0.2 histogram, mix, lora:8"."""
        parts = [name if weight == 1 else f"{weight:g} {name}" for name, weight in self.losses.items()]
        more = [self.synthesis] if self.synthesis != "none" else []
        more += [self.form] if self.form != "full" else []
        return ", ".join([" + ".join(parts), *more])

    @property
    def searched_by(self) -> Geometry:
        """By what the trained encoder's documents are found, with the losses' curvature and weight of the distance.

        Its unit is still that of no documents.
        """
        kind: GeometryKind = "cosine"
        if self.geometry != "auto":
            kind = self.geometry
        elif self.losses.keys() == {"hyperbolic"}:
            kind = "hyperbolic"
        elif "hybrid" in self.losses:
            kind = "hybrid"
        weight = self.hyperbolic_weight * self.temperature / self.hyperbolic_temperature
        return Geometry(kind, self.curvature, weight)

    @property
    def needs_ledger(self) -> bool:
        """Whether a query without mined negatives can teach nothing."""
        stages = self.negatives or [NEGATIVES_OF[name] for name in self.losses]
        return bool(TAUGHT.intersection(self.losses)) or any(set(stage) == {"ledger"} for stage in stages)

    @property
    def parameters(self) -> frozenset[str]:
        """The names of those of ``LossSettings`` that a training with these settings reads."""
        stages = self.negatives or [NEGATIVES_OF[name] for name in self.losses]
        read = [READ_BY_LOSS[name] for name in self.losses]
        read += [READ_BY_NEGATIVES.get(name, ()) for stage in stages for name in stage]
        read += [READ_BY_SYNTHESIS.get(self.synthesis, ())]
        # What documents are found by reads what the losses of that name read.
        read += [READ_BY_LOSS.get(self.searched_by.kind, ())]
        return frozenset(name for names in read for name in names)

    def negatives_at(self, loss: str, share: float) -> tuple[str, ...]:
        """Return the names of what counts against a query after ``share`` of the steps."""
        if not self.negatives:
            return NEGATIVES_OF[loss]
        return self.negatives[min(int(share * len(self.negatives)), len(self.negatives) - 1)]
