"""What do more judged queries buy? The same training on a part of the training queries, and on all of them.

    python -m benchmarks.learning_curve --config specmine.toml --encoder minilm [--shares .125 .25 .5 1] [--seeds 17]

Trains the query side of one encoder from its untrained weights with the default settings, on shares of the training
queries that were drawn by lot, each within the next, for as many epochs each. The verdict queries decide nothing; they
are measured after the last step. Each training that is finished is a file in ``comparisons/learning_curve``: a run that
was cut off goes on.

Columns: measures of the encoder alone, mean over the seeds; the gain in MRR@10 over untrained, in percent, on all
queries, on those a judged passage of which also answers one of all the training queries, and on the others; processor
seconds of a training.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean as mean
from typing import Any

import numpy as np

from benchmarks.systems import run_of, unseen
from benchmarks.trainings import PerQuery, averaged, opened
from indexing.generations import fingerprint_of
from indexing.releases import BASE
from training.targets import examples_of
from training.train_settings import TrainSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.125, 0.25, 0.5, 1.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[17])
    parser.add_argument("--synthetic", action="store_true", help="generated queries train too")
    arguments = parser.parse_args()
    searcher, splits, bed = opened(arguments.config, arguments.encoder, arguments.synthetic)
    folder = searcher.home.comparisons / "learning_curve"
    folder.mkdir(parents=True, exist_ok=True)
    examples = examples_of(splits, searcher.chunks.values(), None, False).examples
    by_lot = np.random.default_rng(0).permutation(len(examples))

    untrained = searcher.load_encoder(arguments.encoder, BASE)
    before = [bed.measured(untrained)]
    found: dict[int, list[dict[str, Any]]] = {}
    for share in sorted(arguments.shares):
        drawn = sorted(by_lot[: round(share * len(examples))].tolist())
        part = [examples[place] for place in drawn]
        for seed in arguments.seeds:
            training = replace(TrainSettings(), precision="bfloat16", seed=seed)
            key = fingerprint_of([arguments.encoder, asdict(training), [example.query for example in part]])[:16]
            candidate = searcher.load_encoder(arguments.encoder, BASE)
            gc.collect()  # the encoder before is a cycle of its modules
            found.setdefault(len(part), []).append(run_of(candidate, bed, part, training, key, folder))
            print(f"  {len(part)} queries, seed {seed}", flush=True)

    fresh = unseen(splits)
    known = sorted(splits.verdict.texts.keys() - set(fresh))
    print(f"\n{len(splits.verdict.texts)} queries, {len(fresh)} of them unseen\n")
    print("| training queries | nDCG@10 | MRR@10 | R@100 | MRR@10 gained | seen | unseen | CPU s |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    parts: list[list[str] | None] = [None, known, fresh]
    row("0", before, before, parts, 0.0)
    for count, runs in found.items():
        row(str(count), before, [run["per_query"] for run in runs], parts, mean([run["cpu_seconds"] for run in runs]))


def row(
    name: str, before: list[PerQuery], after: list[PerQuery], parts: Sequence[Sequence[str] | None], seconds: float
) -> None:
    """Print one row: the gains over ``before`` on all queries and on parts of them."""
    whole = averaged(after).mean
    gains = [averaged(after, part).mean["RR@10"] / averaged(before, part).mean["RR@10"] - 1 for part in parts]
    values = " | ".join(f"{whole[measure]:.4f}" for measure in ("nDCG@10", "RR@10", "R@100"))
    print(f"| {name} | {values} | {' | '.join(f'{gain:+.1%}' for gain in gains)} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
