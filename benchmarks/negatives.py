"""Which negatives teach the most? The same encoder trained with the same steps on differently mined ledgers.

    python benchmarks/negatives.py --config specmine.toml [--encoder minilm] [--epochs 2] [--seeds 3] [--only NAME ...]

Every row of VARIANTS is mined from the served index with its own settings, into a home of its own below
``comparisons/negatives``, so that the newest ledger of the real home stays what it is. Then the encoder's query side
is trained from its untrained weights once for each seed: the same queries (those for which every variant keeps a
negative), loss, batches and steps. The verdict queries decide nothing here; they are measured after the last step.
What is finished is kept in ``comparisons/negatives/results.json``: a run that was cut off goes on.

Columns: nDCG@10 and MRR@10 of the encoder alone, mean over the seeds; the gain over untrained with its 95 % interval
(bootstrap over groups of queries, per-query means over the seeds), and the p-value of the paired randomisation test.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean as mean
from typing import Any

import numpy as np

from evaluation.catalogue import Catalogue
from evaluation.measures import Measures, measure
from evaluation.verdict import compare
from flows.settings import load_settings
from indexing.home import Home, read_json, write_json
from indexing.releases import BASE, served
from indexing.search import Searcher
from mining.ledger import Ledger, read_ledger
from mining.mine import mine
from mining.settings import MineSettings
from training.query_training import TrainSettings, train
from training.referee import encoder_run
from training.splits import Splits, split_queries
from training.targets import Example, build_examples

MEASURES = ("nDCG@10", "RR@10")
PerQuery = dict[str, dict[str, float]]
UNTRAINED = "untrained"
REFERENCE = "every passage, no ledger (full_softmax)"

# Seven hard negatives a query and a fifth of random ones, as the defaults have it; "unfiltered" still leaves judged
# passages and their siblings out, for nothing can be trained against them.
_ENSEMBLE = {"sources": ("random", "ensemble"), "filters": ()}
_ALL = {"sources": ("random", "bm25", "encoder", "ensemble")}
VARIANTS: dict[str, dict[str, Any]] = {
    "random": {"sources": ("random", "ensemble"), "per_query": 1, "per_document": 1, "random_share": 0.875},
    "bm25": {"sources": ("random", "bm25"), "filters": ()},
    "encoders": {"sources": ("random", "encoder"), "filters": ()},
    "hyperbolic": {"sources": ("random", "hyperbolic"), "filters": ()},
    "sibling and in-document": {"sources": ("random", "sibling", "in_document"), "filters": ()},
    "ensemble, soft voting": _ENSEMBLE,
    "ensemble, z-scores": {**_ENSEMBLE, "fusion": "zscore"},
    "ensemble, reciprocal rank": {**_ENSEMBLE, "fusion": "rrf"},
    "ensemble, Borda": {**_ENSEMBLE, "fusion": "borda"},
    "ensemble, pca": {**_ENSEMBLE, "fusion": "pca"},
    "all sources": {**_ALL, "filters": ()},
    "all sources, near duplicates out": {**_ALL, "filters": ("near_duplicates",)},
    "all sources, encoders' agreement": {**_ALL, "filters": ("near_duplicates", "encoder_agreement")},
    "all sources, cross-encoder believed": {**_ALL, "minimum_agreement": 0.0},
    "all sources, calibrated": {**_ALL, "filters": ("near_duplicates", "calibrated"), "minimum_agreement": 0.0},
    "all sources, evidence": {**_ALL, "filters": ("near_duplicates", "evidence")},
    "defaults": {},
}


def mined(name: str, searcher: Searcher, splits: Splits, base: MineSettings, scratch: Home) -> Ledger:
    """Mine with the variant's settings, or read what an earlier run mined with them."""
    settings = replace(base, **VARIANTS[name])
    wanted = json.loads(json.dumps(asdict(settings)))
    known = scratch.root / "ledgers.json"
    ids: dict[str, Any] = read_json(known) if known.exists() else {}
    if ids.get(name, {}).get("settings") != wanted:
        report = mine(
            searcher, splits.train, splits.train_projection, searcher.cross_encoder, settings, scratch, (), tell
        )
        ids[name] = {"ledger": report.ledger, "settings": wanted, "verdicts": report.verdicts}
        write_json(known, ids)
    print(f"{name}: {ids[name]['verdicts']}", flush=True)
    return read_ledger(scratch, ids[name]["ledger"])


def tell(stage: str, done: int, total: int) -> None:
    if done == total:
        print(f"  {stage}: {total}", flush=True)


def trained(
    searcher: Searcher,
    splits: Splits,
    documents: np.ndarray,
    encoder: str,
    examples: Sequence[Example],
    settings: TrainSettings,
    folder: Path,
) -> PerQuery:
    """Train from the untrained weights and return each query's measures."""
    candidate = searcher.load_encoder(encoder, BASE)
    train(candidate, documents, examples, None, settings, folder, tell)
    shutil.rmtree(folder)
    run = encoder_run(candidate, documents, searcher.chunk_ids, splits.verdict)
    return by_query(measure(run, splits.verdict.projection))


def by_query(measures: Measures) -> PerQuery:
    return {query: {name: values[name] for name in MEASURES} for query, values in measures.per_query.items()}


def averaged(runs: Sequence[PerQuery]) -> Measures:
    """Return each query's mean over the seeds."""
    values = {query: {name: mean([run[query][name] for run in runs]) for name in MEASURES} for query in runs[0]}
    return Measures(values, {name: mean([value[name] for value in values.values()]) for name in MEASURES}, ())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=[*VARIANTS], default=[*VARIANTS])
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    home = settings.open_home()
    scratch = Home(home.root / "comparisons" / "negatives")
    searcher = Searcher.open(home, settings.index(), served(home))
    splits = split_queries(searcher, Catalogue(settings.catalogue_url()))
    documents = searcher.document_vectors(arguments.encoder)
    chunks = list(searcher.chunks.values())

    ledgers = {name: mined(name, searcher, splits, settings.mine, scratch) for name in arguments.only}
    examples = {
        name: build_examples(
            splits.train, splits.train_judgements, splits.train_projection, chunks, ledger, True
        ).examples
        for name, ledger in ledgers.items()
    }
    shared = set.intersection(*({example.query for example in some} for some in examples.values()))
    examples = {name: tuple(e for e in some if e.query in shared) for name, some in examples.items()}
    everything = build_examples(
        splits.train, splits.train_judgements, splits.train_projection, chunks, None, False
    ).examples
    examples[REFERENCE] = tuple(example for example in everything if example.query in shared)
    print(f"{len(shared)} training queries in every variant", flush=True)

    finished = scratch.root / "results.json"
    results: dict[str, PerQuery] = read_json(finished) if finished.exists() else {}
    if UNTRAINED not in results:
        base = searcher.load_encoder(arguments.encoder, BASE)
        run = encoder_run(base, documents, searcher.chunk_ids, splits.verdict)
        results[UNTRAINED] = by_query(measure(run, splits.verdict.projection))
    keys: dict[str, list[str]] = {name: [] for name in examples}
    for seed in range(arguments.seeds):
        for name, some in examples.items():
            loss = "full_softmax" if name == REFERENCE else "lce"
            training = replace(settings.training(), loss=loss, epochs=arguments.epochs, seed=17 + seed)
            key = json.dumps([name, arguments.encoder, asdict(training), len(shared)])
            keys[name].append(key)
            if key not in results:
                print(f"{name}, seed {training.seed}", flush=True)
                folder = scratch.root / "unfinished"
                results[key] = trained(searcher, splits, documents, arguments.encoder, some, training, folder)
                write_json(finished, results)

    print("\n| negatives | a query | nDCG@10 | gain | p | MRR@10 | seeds |\n|---|---:|---:|---|---:|---:|---|")
    before = averaged([results[UNTRAINED]])
    print(f"| {UNTRAINED} | | {before.mean['nDCG@10']:.4f} | | | {before.mean['RR@10']:.4f} | |")
    for name, some in examples.items():
        runs = [results[key] for key in keys[name]]
        after = averaged(runs)
        gain = compare(before, after, splits.verdict.groups, "nDCG@10", 0.95)
        per_query = mean([len(example.ledger) for example in some])
        low, high = gain.interval
        each = " ".join(f"{mean([values['nDCG@10'] for values in run.values()]):.4f}" for run in runs)
        print(f"| {name} | {per_query:.1f} | {after.mean['nDCG@10']:.4f} | {low:+.4f} to {high:+.4f} ", end="")
        print(f"| {gain.p_value:.2g} | {after.mean['RR@10']:.4f} | {each} |")


if __name__ == "__main__":
    main()
