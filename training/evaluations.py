"""What measures a query encoder while it trains, what that decides, and how the run went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from indexing.encoders.query import QueryEncoder
from training.health import Look


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: after ``step`` steps the held-out measure is ``score``; ``loss`` is the mean since the last.

    ``score`` is None in a training without held-out queries. ``audit`` are means since the last one too: the share of
    the queries whose negatives a debiased loss clamped (``clamped``), of the synthetic negatives that are harder than
    what they were made of (``harder``), the mean cosines of synthetic and of the hardest real ones, and what the
    synthesis says of itself (``training.synthesis_gca``). ``losses`` are the means of some 20 runs of steps since the
    last evaluation, ``look`` the similarities of training queries now.
    """

    step: int
    score: float | None
    loss: float | None
    audit: dict[str, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    look: Look = field(default_factory=Look)


@dataclass(frozen=True)
class Trained:
    """How a run went. The encoder carries the weights of step ``best.step``; 0 is where it started from.

    ``device`` is torch's name of what it computed on. ``seconds`` and ``queries_per_second`` count the training steps
    of this process, without evaluations. ``averages`` maps each share of the trained weights that was tried to its
    score; empty where none were averaged. ``wall_seconds`` count everything in this process, ``peak_mb`` is the most
    memory it ever held, ``worries`` are the warnings given.
    """

    before: Evaluation
    best: Evaluation
    history: tuple[Evaluation, ...]
    planned_steps: int
    precision: str
    device: str
    seconds: float
    queries_per_second: float
    averages: dict[str, float] = field(default_factory=dict)
    wall_seconds: float = 0.0
    peak_mb: int = 0
    worries: tuple[str, ...] = ()


Score = Callable[[QueryEncoder], float]
"""The held-out measure of an encoder, higher is better."""

Evaluated = Callable[[Sequence[Evaluation], int], None]
"""Called after each evaluation with all so far and the planned number of steps; what it raises ends the training."""


@dataclass(frozen=True)
class Watch:
    """What measures the encoder while it trains, and what that decides.

    ``stopping`` ends a training that gains nothing more, and chooses which weights are kept and how much of them
    (``TrainSettings.average``). Where nothing stops it, the last weights are kept, for the learning rate is 0 by then;
    ``looking`` is then what goes into the history, and ``averaging`` what chooses how much is kept. ``evaluated`` is
    told of every evaluation.
    """

    stopping: Score | None = None
    looking: Score | None = None
    averaging: Score | None = None
    evaluated: Evaluated | None = None


UNWATCHED = Watch()
