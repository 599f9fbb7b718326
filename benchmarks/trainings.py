"""What benchmarks that train an encoder again and again share: one training and its measures, means over the seeds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean as mean

import numpy as np
import torch
from torch import Tensor

from evaluation.catalogue import Catalogue
from evaluation.measures import Measures, measure
from flows.settings import load_settings
from indexing.encoders.query import QueryEncoder
from indexing.search import Searcher
from training.query_training import train
from training.referee import encoder_run
from training.splits import HeldOut, Splits, split_queries
from training.targets import Example
from training.train_settings import TrainSettings

MEASURES = ("nDCG@10", "RR@10", "R@100")
PerQuery = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Bed:
    """Where an encoder is trained: the documents (N, d) with their ids and raw lengths (N,), and who decides."""

    documents: np.ndarray
    chunk_ids: Sequence[str]
    lengths: np.ndarray | None
    verdict: HeldOut

    def measured(self, encoder: QueryEncoder) -> PerQuery:
        """Return each held-out query's measures with this encoder alone."""
        run = encoder_run(encoder, self.documents, self.chunk_ids, self.verdict)
        values = measure(run, self.verdict.projection).per_query
        return {query: {name: of_query[name] for name in MEASURES} for query, of_query in values.items()}


def bed_of(searcher: Searcher, encoder: str, splits: Splits) -> Bed:
    """Return the documents as ``encoder`` embedded them."""
    vectors, lengths = searcher.document_vectors(encoder), searcher.document_lengths(encoder)
    return Bed(vectors, searcher.chunk_ids, lengths, splits.verdict)


def opened(config: Path | None, encoder: str, synthetic: bool = False) -> tuple[Searcher, Splits, Bed]:
    """Open the served release of a configured home, with its judged queries and the bed of one encoder."""
    settings = load_settings(config)
    searcher = Searcher.open(settings.open_home(), settings.index())
    splits = split_queries(searcher, Catalogue(settings.catalogue_url()), synthetic)
    return searcher, splits, bed_of(searcher, encoder, splits)


@dataclass(frozen=True)
class Training:
    """One finished training: the measures, processor seconds of all threads and the process's peak memory in MiB."""

    per_query: PerQuery
    cpu_seconds: float
    peak_mib: float


def trained(
    encoder: QueryEncoder,
    untrained: Mapping[str, Tensor],
    bed: Bed,
    examples: Sequence[Example],
    settings: TrainSettings,
    folder: Path,
    tell: Callable[[str, int, int], None],
) -> Training:
    """Train from the untrained weights, without anything that would stop it, and measure."""
    with torch.no_grad():
        for name, tensor in encoder.trained_weights().items():
            tensor.copy_(untrained[name])
    _forget_peak()
    started = time.process_time()
    train(encoder, bed.documents, examples, settings, folder, tell, bed.lengths)
    seconds = time.process_time() - started
    peak = _peak_mib()
    shutil.rmtree(folder)
    return Training(bed.measured(encoder), seconds, peak)


def averaged(runs: Sequence[PerQuery], queries: Sequence[str] | None = None) -> Measures:
    """Return each query's mean over the seeds, of all queries or of those named."""
    wanted = list(runs[0]) if queries is None else queries
    names = list(runs[0][wanted[0]])
    values = {query: {name: mean([run[query][name] for run in runs]) for name in names} for query in wanted}
    return Measures(values, {name: mean([value[name] for value in values.values()]) for name in names}, ())


def of_seeds(runs: Sequence[PerQuery], name: str) -> str:
    """Return a measure's mean over the queries for each seed."""
    return " ".join(f"{mean([values[name] for values in run.values()]):.4f}" for run in runs)


def _forget_peak() -> None:
    """Let the kernel count the peak of memory from now on (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mib() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
