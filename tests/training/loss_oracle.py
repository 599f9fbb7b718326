"""Every loss as its paper writes it: plain loops over numbers in float64, written apart from the product's code."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from training.batch import Batch
from training.loss_settings import LossSettings


def cosine(batch: Batch, query: int, document: int) -> float:
    return float(batch.queries[query].detach().double() @ batch.documents[document].double())


def lists(batch: Batch, query: int) -> tuple[list[int], list[int]]:
    return (
        [int(i) for i in batch.positives[query].nonzero().flatten()],
        [int(i) for i in batch.negatives[query].nonzero().flatten()],
    )


def negatives_of(batch: Batch, query: int) -> list[float]:
    """The cosines of all negatives of a query, the synthetic ones last."""
    found = [cosine(batch, query, document) for document in lists(batch, query)[1]]
    if batch.synthetic is not None:
        made = batch.synthetic[query].double() @ batch.queries[query].detach().double()
        found += [float(value) for value in made]
    return found


def softmax(batch: Batch, s: LossSettings) -> float:
    costs = []
    for query in range(len(batch.queries)):
        own = sum(math.exp(cosine(batch, query, d) / s.temperature) for d in lists(batch, query)[0])
        others = sum(math.exp(value / s.temperature) for value in negatives_of(batch, query))
        costs.append(-math.log(own / (own + others)))
    return float(np.mean(costs))


def contrast(batch: Batch, s: LossSettings, beta: float) -> float:
    """Dong et al.: Rew, Ng and L as they stand."""
    t, tau, costs = s.temperature, s.false_share, []
    for query in range(len(batch.queries)):
        own = float(np.mean([math.exp(cosine(batch, query, d) / t) for d in lists(batch, query)[0]]))
        scores = np.array(negatives_of(batch, query)) / t
        weights = np.exp(beta * scores)
        reweighed = (weights * np.exp(scores)).sum() / weights.mean()
        against = max((reweighed - tau * len(scores) * own) / (1 - tau), len(scores) * math.exp(-1 / t))
        costs.append(-math.log(own / (own + against)))
    return float(np.mean(costs))


def histogram(batch: Batch, s: LossSettings) -> float:
    nodes = np.linspace(-1, 1, s.bins)
    width = nodes[1] - nodes[0]

    def counts(values: list[float]) -> np.ndarray:
        total = np.zeros(s.bins)
        for value in values:
            if s.slots == "linear":
                total += np.maximum(0, 1 - np.abs(nodes - min(max(value, -1), 1)) / width)
            else:
                spread = np.exp(-np.abs(nodes - value) / width)
                total += spread / spread.sum()
        return total / len(values)

    queries = range(len(batch.queries))
    own = counts([cosine(batch, query, d) for query in queries for d in lists(batch, query)[0]])
    others = counts([value for query in queries for value in negatives_of(batch, query)])
    return float(sum(others[r] * own[: r + 1].sum() for r in range(s.bins)))


def ball(rows: np.ndarray, c: float) -> np.ndarray:
    length = float(np.linalg.norm(rows))
    point = rows * (min(1.0, 2.3 / length) if length else 1.0)
    length = float(np.linalg.norm(point))
    reached = min(math.tanh(math.sqrt(c) * length), 1 - 1e-3)
    return point * (reached / (math.sqrt(c) * length)) if length else point


def distance(x: np.ndarray, y: np.ndarray, c: float) -> float:
    """The artanh form, by Möbius addition (Ganea et al., arXiv 1805.09112)."""
    product, aa, bb = -float(x @ y), float(x @ x), float(y @ y)
    top = -(1 + 2 * c * product + c * bb) * x + (1 - c * aa) * y
    moebius = top / (1 + 2 * c * product + c * c * aa * bb)
    return 2 / math.sqrt(c) * math.atanh(math.sqrt(c) * float(np.linalg.norm(moebius)))


def geometry(batch: Batch, s: LossSettings, of_cosine: float, of_distance: float) -> float:
    costs = []
    for query in range(len(batch.queries)):
        row = batch.queries[query].detach().double().numpy()
        length = 1.0 if batch.query_lengths is None else float(batch.query_lengths[query])

        def logit(document: int, query: int = query, row: np.ndarray = row, length: float = length) -> float:
            other = 1.0 if batch.document_lengths is None else float(batch.document_lengths[document])
            place = ball(batch.documents[document].double().numpy() * other, s.curvature)
            away = distance(ball(row * length, s.curvature), place, s.curvature)
            near = of_cosine * cosine(batch, query, document) / s.temperature
            return near - of_distance * away / s.hyperbolic_temperature

        positives, negatives = lists(batch, query)
        own = sum(math.exp(logit(d)) for d in positives)
        costs.append(-math.log(own / (own + sum(math.exp(logit(d)) for d in negatives))))
    return float(np.mean(costs))


def adore(batch: Batch, s: LossSettings) -> float:
    costs = []
    for query in range(len(batch.queries)):
        positives, negatives = lists(batch, query)
        ranked = sorted([*positives, *negatives], key=lambda d: -cosine(batch, query, d))
        kept = [d for place, d in enumerate(ranked) if place < s.live_depth or d in positives]
        rank = {d: place for place, d in enumerate(kept, start=1)}
        pairs = [(i, j) for i in kept for j in kept if i in positives and j not in positives]
        cost = 0.0
        for i, j in pairs:
            margin = (cosine(batch, query, j) - cosine(batch, query, i)) / s.temperature
            cost += abs(1 / rank[i] - 1 / rank[j]) * math.log1p(math.exp(margin))
        costs.append(cost / len(pairs) if pairs else 0.0)
    return float(np.mean(costs))


def known(batch: Batch, query: int) -> dict[int, float]:
    assert batch.teacher is not None
    logits = batch.teacher[query].double().numpy()
    return {d: float(logits[d]) for part in lists(batch, query) for d in part if math.isfinite(logits[d])}


def margin_mse(batch: Batch, s: LossSettings) -> float:
    squares, missing = [], []
    for query in range(len(batch.queries)):
        taught = known(batch, query)
        positives, negatives = lists(batch, query)

        def student(i: int, j: int, query: int = query) -> float:
            return (cosine(batch, query, i) - cosine(batch, query, j)) / s.temperature

        pairs = [(i, j) for i in positives for j in negatives if i in taught and j in taught]
        margins = [(taught[i] - taught[j]) / s.teacher_temperature for i, j in pairs]
        squares += [(student(i, j) - margin) ** 2 for (i, j), margin in zip(pairs, margins, strict=True)]
        if margins:
            untaught = [(i, j) for i in positives for j in negatives if i in taught and j not in taught]
            missing += [max(0.0, max(margins) - student(i, j)) ** 2 for i, j in untaught]
    return float(np.mean(squares)) + (float(np.mean(missing)) if missing else 0.0)


def kl(batch: Batch, s: LossSettings) -> float:
    costs = []
    for query in range(len(batch.queries)):
        taught = known(batch, query)
        if len(taught) < 2:
            continue
        teacher = np.exp(np.array(list(taught.values())) / s.teacher_temperature)
        teacher = teacher / teacher.sum()
        candidates = {*taught, *lists(batch, query)[1]}
        total = sum(math.exp(cosine(batch, query, d) / s.temperature) for d in candidates)
        student = np.array([math.exp(cosine(batch, query, d) / s.temperature) / total for d in taught])
        costs.append(float((teacher * np.log(teacher / student)).sum()))
    return float(np.mean(costs))


ORACLES: dict[str, Callable[[Batch, LossSettings], float]] = {
    "full_softmax": softmax,
    "infonce": softmax,
    "lce": softmax,
    "debiased": lambda batch, s: contrast(batch, s, 0.0),
    "hard_debiased": lambda batch, s: contrast(batch, s, s.hardness),
    "histogram": histogram,
    "hyperbolic": lambda batch, s: geometry(batch, s, 0.0, 1.0),
    "hybrid": lambda batch, s: geometry(batch, s, 1.0, s.hyperbolic_weight),
    "adore": adore,
    "margin_mse": margin_mse,
    "kl": kl,
}
