"""The generator of GCA-HNG as its paper writes it: loops over nodes and edges in float64, no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

Weights = Mapping[str, np.ndarray]


def gelu(x: np.ndarray) -> np.ndarray:
    return np.array([value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x.ravel()]).reshape(x.shape)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def linear(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return w[f"{name}.weight"] @ x + w[f"{name}.bias"]


def n(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    """N(x) = LayerNorm(GELU(x))."""
    x = gelu(x)
    return (x - x.mean()) / math.sqrt(x.var() + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def feed(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return linear(w, f"{name}.2", gelu(linear(w, f"{name}.0", x)))


def edge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = x - x.mean(), y - y.mean()
    return x * y / (np.linalg.norm(x) * np.linalg.norm(y))


def attend(w: Weights, layer: str, node: np.ndarray, negatives: list[np.ndarray], heads: int) -> np.ndarray:
    """Attention with a one beside the sum: a node without negatives hears nothing."""
    size = len(node) // heads
    heard = np.zeros(len(node))
    asking = linear(w, f"{layer}.query", node)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        exponentials = [
            math.exp(asking[part] @ linear(w, f"{layer}.key", other)[part] / math.sqrt(size)) for other in negatives
        ]
        for weight, other in zip(exponentials, negatives, strict=True):
            heard[part] += weight / (1 + sum(exponentials)) * linear(w, f"{layer}.value", other)[part]
    return linear(w, f"{layer}.out", heard)


def edge_attend(w: Weights, layer: str, value: np.ndarray, ends: list[np.ndarray], heads: int) -> np.ndarray:
    size = len(value) // heads
    asking = linear(w, f"{layer}.edge_query", value)
    told = [gelu(linear(w, f"{layer}.from_node", node)) for node in ends]
    heard = np.zeros(len(value))
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        weights = [
            math.exp(asking[part] @ linear(w, f"{layer}.edge_key", node)[part] / math.sqrt(size)) for node in told
        ]
        for weight, node in zip(weights, told, strict=True):
            heard[part] += weight / sum(weights) * linear(w, f"{layer}.edge_value", node)[part]
    return linear(w, f"{layer}.edge_out", heard)


def difficulties(
    w: Weights,
    queries: np.ndarray,
    documents: np.ndarray,
    against: np.ndarray,
    edges: list[tuple[int, int]],
    asked: list[int],
    layers: int,
    heads: int,
) -> np.ndarray:
    """λ of the edges ``asked``."""
    nodes = {("q", i): row for i, row in enumerate(queries)} | {("d", j): row for j, row in enumerate(documents)}
    values = {(("q", i), ("d", j)): edge(queries[i], documents[j]) for i, j in edges}
    for number in range(layers):
        layer = f"layers.{number}"
        negatives: dict[tuple[str, int], list[np.ndarray]] = {node: [] for node in nodes}
        for i, j in zip(*against.nonzero(), strict=True):
            negatives["q", int(i)].append(nodes["d", int(j)])
            negatives["d", int(j)].append(nodes["q", int(i)])
        after = {}
        for node, row in nodes.items():
            row = n(w, f"{layer}.norms.0", row + attend(w, layer, row, negatives[node], heads))
            messages = [gelu(linear(w, f"{layer}.from_edge", values[e])) for e in values if node in e]
            row = n(w, f"{layer}.norms.1", row + np.sum(messages, axis=0) if messages else row)
            after[node] = n(w, f"{layer}.norms.2", row + feed(w, f"{layer}.node_feed", row))
        nodes = after
        for e, value in values.items():
            value = n(w, f"{layer}.norms.3", value + edge_attend(w, layer, value, [nodes[end] for end in e], heads))
            values[e] = n(w, f"{layer}.norms.4", value + feed(w, f"{layer}.edge_feed", value))
    chosen = np.stack([values[("q", edges[place][0]), ("d", edges[place][1])] for place in asked])
    normal = (chosen - chosen.mean(axis=0)) / np.sqrt(chosen.var(axis=0) + 1e-5) * w["scale"] + w["shift"]
    return np.stack([sigmoid(linear(w, "difficulty", row)) for row in normal])


def synthesise(
    a: np.ndarray, p: np.ndarray, negative: np.ndarray, lam: np.ndarray, alpha: float, j: float
) -> np.ndarray:
    near, away = float(np.linalg.norm(a - p)), float(np.linalg.norm(a - negative))
    if away <= near:
        return negative
    made = np.array(
        [
            a[c] + (negative[c] - a[c]) * (near + (away - near) * lam[c] * math.exp(-alpha / j)) / away
            for c in range(len(a))
        ]
    )
    return made / np.linalg.norm(made)
