"""Which system trains a query encoder best? Every loss, synthesis and form with the same queries, steps and seeds.

    python -m benchmarks.systems --config specmine.toml --encoder minilm [--only NAME ...] [--seeds 17 18 19]

Each row of SYSTEMS trains the query side of one encoder from its untrained weights, once for each seed: the same
training queries in the same batches (where a system needs larger ones it sees the same queries in fewer steps), the
same newest ledger. Rows "every passage" count all passages of the index as negatives, the others the ledger's and
those of the batch. The verdict queries decide nothing; they are measured after the last step. Each training that is
finished is a file in ``comparisons/systems``: a run that was cut off goes on, and several processes share the work by
``--seeds`` or ``--only``.

Columns: measures of the encoder alone, mean over the seeds; the gain in MRR@10 over untrained, in percent, and the same
on the queries none of whose judged passages answers a training query; 95 % intervals (bootstrap over groups of queries,
per-query means over the seeds) of the difference in nDCG@10 from untrained and from full_softmax; processor seconds of
a training and the most memory the process held in it.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean as mean
from typing import Any

from benchmarks.trainings import Bed, PerQuery, averaged, of_seeds, opened, trained
from evaluation.verdict import compare
from indexing.encoders.query import QueryEncoder
from indexing.generations import fingerprint_of
from indexing.home import read_json, write_json
from indexing.releases import BASE
from mining.ledger import read_ledger
from training.splits import Splits
from training.targets import Example, examples_of
from training.train_settings import TrainSettings

REFERENCE = "full_softmax"
_EVERY: dict[str, Any] = {"negatives": (("corpus",),)}
# Distributions need more than a handful of queries at once: eight times the batch, an eighth of the steps.
_LARGE = {"batch_size": 128, "learning_rate": 1e-4}
SYSTEMS: dict[str, dict[str, Any]] = {
    REFERENCE: {},
    "infonce": {"loss": "infonce"},
    "lce": {"loss": "lce"},
    "debiased": {"loss": "debiased"},
    "debiased, every passage": {"loss": "debiased", **_EVERY},
    "hard_debiased": {"loss": "hard_debiased"},
    "hard_debiased, every passage": {"loss": "hard_debiased", **_EVERY},
    "hard_debiased, mix": {"loss": "hard_debiased", "synthesis": "mix"},
    "infonce, mochi": {"loss": "infonce", "synthesis": "mochi"},
    "infonce, gca": {"loss": "infonce", "synthesis": "gca"},
    "full_softmax, mix": {"synthesis": "mix"},
    "full_softmax, mochi": {"synthesis": "mochi"},
    "histogram": {"loss": "histogram", **_LARGE},
    "histogram, every passage": {"loss": "histogram", **_LARGE, **_EVERY},
    "full_softmax + histogram": {"loss": {"full_softmax": 1.0, "histogram": 1.0}, "batch_size": 128, **_EVERY},
    "hyperbolic": {"loss": "hyperbolic"},
    "hyperbolic, every passage": {"loss": "hyperbolic", **_EVERY},
    "hybrid": {"loss": "hybrid"},
    "hybrid, every passage": {"loss": "hybrid", **_EVERY},
    "adore": {"loss": "adore"},
    "margin_mse": {"loss": "margin_mse"},
    "kl": {"loss": "kl"},
    "full_softmax + kl": {"loss": {"full_softmax": 1.0, "kl": 0.3}},
    "full_softmax, last:2": {"form": "last:2"},
    "full_softmax, lora:8": {"form": "lora:8", "learning_rate": 1e-3},
    "full_softmax, head:32": {"form": "head:32", "learning_rate": 1e-3},
}


def tell(stage: str, done: int, total: int) -> None:
    if done == total:
        print(f"  {stage}: {total}", flush=True)


def unseen(splits: Splits) -> list[str]:
    """Return the verdict queries none of whose judged passages answers a training query."""
    learned = {chunk for hits in splits.train_projection.hits.values() for chunk in hits}
    return [query for query, hits in splits.verdict.projection.hits.items() if not learned.intersection(hits)]


def run_of(
    candidate: QueryEncoder,
    bed: Bed,
    examples: Sequence[Example],
    settings: TrainSettings,
    key: str,
    folder: Path,
) -> dict[str, Any]:
    """Train with the settings, or read what an earlier run found."""
    finished = folder / f"{key}.json"
    if not finished.exists():
        candidate.take_form(settings.form)
        untrained = {name: tensor.clone() for name, tensor in candidate.trained_weights().items()}
        outcome = trained(candidate, untrained, bed, examples, settings, folder / f"unfinished-{key}", tell)
        write_json(finished, asdict(outcome))
    found: dict[str, Any] = read_json(finished)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[17, 18, 19])
    parser.add_argument("--only", nargs="*", choices=[*SYSTEMS], default=[*SYSTEMS])
    arguments = parser.parse_args()
    searcher, splits, bed = opened(arguments.config, arguments.encoder)
    folder = searcher.home.comparisons / "systems"
    folder.mkdir(parents=True, exist_ok=True)
    ledger = read_ledger(searcher.home)
    # Every row learns from the queries that every row can learn from.
    examples = examples_of(splits, searcher.chunks.values(), ledger, True).examples
    print(f"{len(examples)} training queries, ledger {ledger.manifest['id']}", flush=True)

    untouched = searcher.load_encoder(arguments.encoder, BASE)
    before = [bed.measured(untouched)]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in dict.fromkeys([REFERENCE, *arguments.only])}
    for seed in arguments.seeds:
        for name in results:
            changed = {"epochs": arguments.epochs, "precision": "bfloat16", "seed": seed, **SYSTEMS[name]}
            training = replace(TrainSettings(), **changed)
            key = fingerprint_of([arguments.encoder, asdict(training), ledger.manifest["id"]])[:16]
            if not (folder / f"{key}.json").exists():
                print(f"{name}, seed {seed}", flush=True)
            candidate = searcher.load_encoder(arguments.encoder, BASE)
            gc.collect()  # the encoder before is a cycle of its modules
            results[name].append(run_of(candidate, bed, examples, training, key, folder))
    report(before, results, splits)


def report(before: list[PerQuery], results: dict[str, list[dict[str, Any]]], splits: Splits) -> None:
    """Print the table."""
    fresh = unseen(splits)
    start, start_fresh = averaged(before), averaged(before, fresh)
    reference = averaged([run["per_query"] for run in results[REFERENCE]])
    print(f"\n{len(start.per_query)} queries, {len(fresh)} of them unseen\n")
    gains = "MRR@10 gained | unseen | from untrained | from full_softmax"
    print(f"| system | nDCG@10 | MRR@10 | R@100 | {gains} | CPU s | MiB |")
    print("|---|---:|---:|---:|---:|---:|---|---|---:|---:|")
    values = " | ".join(f"{start.mean[name]:.4f}" for name in ("nDCG@10", "RR@10", "R@100"))
    print(f"| untrained | {values} | | | | | | |")
    for name, runs in results.items():
        per_query = [run["per_query"] for run in runs]
        after, after_fresh = averaged(per_query), averaged(per_query, fresh)
        gain = after.mean["RR@10"] / start.mean["RR@10"] - 1
        gain_fresh = after_fresh.mean["RR@10"] / start_fresh.mean["RR@10"] - 1
        low, high = compare(start, after, splits.verdict.groups, "nDCG@10", 0.95).interval
        values = " | ".join(f"{after.mean[measure]:.4f}" for measure in ("nDCG@10", "RR@10", "R@100"))
        print(f"| {name} | {values} | {gain:+.1%} | {gain_fresh:+.1%} | {low:+.4f} to {high:+.4f} ", end="")
        if name != REFERENCE:
            low, high = compare(reference, after, splits.verdict.groups, "nDCG@10", 0.95).interval
            print(f"| {low:+.4f} to {high:+.4f} ", end="")
        else:
            print("| ", end="")
        seconds, peak = mean([run["cpu_seconds"] for run in runs]), max(run["peak_mib"] for run in runs)
        print(f"| {seconds:.0f} | {peak:.0f} |  <!-- {of_seeds(per_query, 'nDCG@10')} -->")


if __name__ == "__main__":
    main()
