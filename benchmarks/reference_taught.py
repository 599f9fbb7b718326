"""What the negatives of either miner teach: the encoder's query side, trained on both with the same loss and steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.negatives import tell
from benchmarks.reference_work import Mined, read_task
from benchmarks.trainings import Bed, PerQuery, averaged, of_seeds, trained
from evaluation.catalogue import Catalogue
from evaluation.verdict import compare
from flows.settings import load_settings
from indexing.home import read_json, write_json
from indexing.releases import BASE
from indexing.search import Searcher
from training.splits import Splits, split_queries
from training.targets import Example, examples_of
from training.train_settings import TrainSettings

MEASURES = ("nDCG@10", "RR@10")


@dataclass(frozen=True)
class Taught:
    """Held-out measures before, and after for each miner and seed; how many negatives a query has by each miner."""

    splits: Splits
    queries: int
    before: PerQuery
    after: dict[str, list[PerQuery]]
    per_query: dict[str, float]


def teach(
    config: Path | None, folder: Path, mined: Mapping[str, Mined], training: TrainSettings, seeds: Sequence[int]
) -> Taught:
    """Train on each miner's negatives, once for each seed, and measure on the held-out queries.

    All training queries of the corpus train, in the same batches; one that a miner found no negatives for learns from
    those of its batch alone. What is finished is kept in ``folder``.
    """
    settings = load_settings(config)
    task = read_task(folder, 10**9)
    searcher = Searcher.open(task.home, task.index)
    splits = split_queries(searcher, Catalogue(settings.catalogue_url()))
    bed = Bed(searcher.document_vectors(task.encoder.name), searcher.chunk_ids, None, splits.verdict)
    row = {chunk: place for place, chunk in enumerate(searcher.chunk_ids)}
    asked = {query.id for query in task.queries}
    every = examples_of(splits, searcher.chunks.values(), None, False).examples
    plain = [example for example in every if example.query in asked]

    def with_negatives(example: Example, negatives: Sequence[str]) -> Example:
        rows = np.asarray(sorted({row[chunk] for chunk in negatives}), dtype=np.int64)
        return replace(example, ledger=np.setdiff1d(rows, [*example.positives, *example.masked]))

    examples = {name: [with_negatives(one, of.get(one.query, ())) for one in plain] for name, of in mined.items()}
    candidate = searcher.load_encoder(task.encoder.name, BASE)
    untrained = {name: tensor.clone() for name, tensor in candidate.trained_weights().items()}
    before = bed.measured(candidate)
    known = folder / "taught.json"
    results: dict[str, PerQuery] = read_json(known) if known.exists() else {}
    after: dict[str, list[PerQuery]] = {name: [] for name in mined}
    for seed in seeds:
        for name, some in examples.items():
            chosen = replace(training, seed=seed)
            key = json.dumps([name, asdict(chosen), len(some), sum(len(one.ledger) for one in some)])
            if key not in results:
                print(f"{name}, {training.system}, seed {seed}", flush=True)
                unfinished = folder / "unfinished"
                results[key] = trained(candidate, untrained, bed, some, chosen, unfinished, tell).per_query
                write_json(known, results)
            after[name].append(results[key])
    per_query = {name: float(np.mean([len(one.ledger) for one in some])) for name, some in examples.items()}
    searcher.close()
    return Taught(splits, len(plain), before, after, per_query)


def show_quality(taught: Taught) -> None:
    """Print the table, and the first miner minus the second."""
    groups = taught.splits.verdict.groups
    print(
        f"\n{taught.queries} training queries, {len(taught.before)} held-out ones in {len(set(groups.values()))} groups"
    )
    print("\n| negatives of | a query | nDCG@10 | gain | p | MRR@10 | seeds |\n|---|---:|---:|---|---:|---:|---|")
    start = averaged([taught.before])
    print(f"| untrained | | {start.mean['nDCG@10']:.4f} | | | {start.mean['RR@10']:.4f} | |")
    means = {name: averaged(runs) for name, runs in taught.after.items()}
    for name, runs in taught.after.items():
        gain = compare(start, means[name], groups, "nDCG@10", 0.95)
        low, high = gain.interval
        print(
            f"| {name} | {taught.per_query[name]:.1f} | {means[name].mean['nDCG@10']:.4f} | {low:+.4f} to {high:+.4f} "
            f"| {gain.p_value:.2g} | {means[name].mean['RR@10']:.4f} | {of_seeds(runs, 'nDCG@10')} |"
        )
    one, other = taught.after
    for name in MEASURES:
        ahead = compare(means[other], means[one], groups, name, 0.95)
        low, high = ahead.interval
        print(
            f"\n{one} minus {other}, {name}: {ahead.difference:+.4f} ({low:+.4f} to {high:+.4f}, p {ahead.p_value:.2g})"
        )
