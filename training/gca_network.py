"""The generator of GCA-HNG (Peng et al., arXiv 2411.13145): how hard a negative to make of each pair, per channel.

A graph holds the queries of a batch and documents; a query's class is the documents that answer it. Every pair of the
graph attends, but only the pairs that are asked about, and those that bind them to the rest, have an edge: all edges
would take the square of the nodes times their dimension.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu


class Graph(NamedTuple):
    """``queries`` (B, d) and ``documents`` (M, d); ``against`` (B, M) bool: a document counts against a query.

    ``edges`` (2, e) are pairs of a query's and a document's row.
    """

    queries: Tensor
    documents: Tensor
    against: Tensor
    edges: Tensor


class Generator(nn.Module):
    """From a graph to λ, (w, d) in (0, 1), for those of its edges that are asked about."""

    def __init__(self, dimension: int, layers: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(dimension, heads) for _ in range(layers))
        self.scale = nn.Parameter(torch.ones(dimension))
        self.shift = nn.Parameter(torch.zeros(dimension))
        self.difficulty = nn.Linear(dimension, dimension)

    def forward(self, graph: Graph, asked: Tensor) -> Tensor:
        """Return λ of the edges ``asked`` (w,). The channels are normalised over these edges (batch normalisation)."""
        values = self.correlations(graph)[asked]
        spread = values.var(dim=0, correction=0, keepdim=True)
        normal = (values - values.mean(dim=0, keepdim=True)) / (spread + 1e-5).sqrt() * self.scale + self.shift
        difficulty: Tensor = self.difficulty(normal)
        return difficulty.sigmoid()

    def correlations(self, graph: Graph) -> Tensor:
        """Return (e, d) what the layers make of the edges."""
        queries, documents = graph.queries, graph.documents
        values = correlate(queries[graph.edges[0]], documents[graph.edges[1]])
        for layer in self.layers:
            queries, documents, values = layer(queries, documents, values, graph)
        return values


def correlate(one: Tensor, other: Tensor) -> Tensor:
    """Return (e, d) the products, channel by channel, of rows that are centred over their channels and normalised."""
    return _centred(one) * _centred(other)


def _centred(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(dim=1, keepdim=True)
    normal: Tensor = centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return normal


def attention_weights(scores: Tensor, mask: Tensor) -> Tensor:
    """Return ``e^s / (1 + Σ e^s)`` over the last dimension of what ``mask`` has: all 0 where it has nothing."""
    scores = scores.masked_fill(~mask, -torch.inf)
    peak = scores.amax(dim=-1, keepdim=True).clamp(min=0)
    weights = (scores - peak).exp()
    return weights / (weights.sum(dim=-1, keepdim=True) + (-peak).exp())


class _Layer(nn.Module):
    """One round of messages: nodes hear of the negatives among them, then of their edges; edges hear of their ends."""

    def __init__(self, dimension: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(dimension, dimension) for _ in range(4))
        self.from_edge = nn.Linear(dimension, dimension)
        self.node_feed = _feed(dimension)
        self.from_node = nn.Linear(dimension, dimension)
        self.edge_query, self.edge_key, self.edge_value, self.edge_out = (
            nn.Linear(dimension, dimension) for _ in range(4)
        )
        self.edge_feed = _feed(dimension)
        self.norms = nn.ModuleList(nn.LayerNorm(dimension) for _ in range(5))

    def forward(self, queries: Tensor, documents: Tensor, values: Tensor, graph: Graph) -> tuple[Tensor, ...]:
        """Return queries, documents and edges after the round."""
        message = gelu(self.from_edge(values))
        heard = (
            self._of_negatives(queries, documents, graph.against),
            self._of_negatives(documents, queries, graph.against.T),
        )
        nodes = []
        for rows, negatives, ends in zip((queries, documents), heard, graph.edges, strict=True):
            rows = self._norm(0, rows + negatives)
            rows = self._norm(1, rows + torch.zeros_like(rows).index_add(0, ends, message))
            nodes.append(self._norm(2, rows + self.node_feed(rows)))
        values = self._norm(3, values + self._of_ends(values, nodes[0], nodes[1], graph.edges))
        values = self._norm(4, values + self.edge_feed(values))
        return nodes[0], nodes[1], values

    def _norm(self, place: int, rows: Tensor) -> Tensor:
        normal: Tensor = self.norms[place](gelu(rows))
        return normal

    def _of_negatives(self, rows: Tensor, others: Tensor, against: Tensor) -> Tensor:
        """Attention of nodes (m, d) to those of the other kind (n, d) that are negatives to them (m, n)."""
        query, key, value = (self._split(part) for part in (self.query(rows), self.key(others), self.value(others)))
        scores = torch.einsum("mhc,nhc->hmn", query, key) / query.shape[2] ** 0.5
        heard = torch.einsum("hmn,nhc->mhc", attention_weights(scores, against), value)
        message: Tensor = self.out(heard.flatten(1))
        return message

    def _of_ends(self, values: Tensor, queries: Tensor, documents: Tensor, edges: Tensor) -> Tensor:
        """Attention of each edge to the two nodes that it joins."""
        ends = [gelu(self.from_node(rows)) for rows in (queries, documents)]
        keys = torch.stack([self._split(self.edge_key(r))[at] for r, at in zip(ends, edges, strict=True)], dim=1)
        heard = torch.stack([self._split(self.edge_value(r))[at] for r, at in zip(ends, edges, strict=True)], dim=1)
        asking = self._split(self.edge_query(values))
        weights = (torch.einsum("ehc,enhc->enh", asking, keys) / asking.shape[2] ** 0.5).softmax(dim=1)
        message: Tensor = self.edge_out(torch.einsum("enh,enhc->ehc", weights, heard).flatten(1))
        return message

    def _split(self, rows: Tensor) -> Tensor:
        return rows.reshape(len(rows), self.heads, -1)


def _feed(dimension: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dimension, dimension), nn.GELU(), nn.Linear(dimension, dimension))
