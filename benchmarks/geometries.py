"""Does hyperbolic distance bring anything? Encoders trained by cosine, by distance and by both, each searched by all.

    python -m benchmarks.geometries --config specmine.toml --form head:64 --learning-rate 1e-3 --epochs 3

Each loss trains the query side of one encoder from its untrained weights, once for each seed, on the newest ledger: the
same queries in the same batches, with the same negatives, those that each loss is used with or ``--negatives``. The
verdict queries decide nothing; they are searched after the last step by cosine, by hyperbolic distance and by both,
exactly. Each training that is finished is a file in ``comparisons/geometries``: a run that was cut off goes on.

Columns: measures of the encoder alone, mean over the seeds; the 95 % interval (bootstrap over groups of queries,
per-query means over the seeds) of the difference in nDCG@10 from the same trainings searched by the cosine; nDCG@10 of
each seed.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from benchmarks.trainings import PerQuery, averaged, of_seeds
from evaluation.catalogue import Catalogue
from evaluation.measures import measure
from evaluation.verdict import compare
from flows.settings import load_settings
from indexing.encoders.query import QueryEncoder
from indexing.generations import fingerprint_of
from indexing.geometry import GEOMETRIES
from indexing.home import read_json, write_json
from indexing.releases import BASE, served
from indexing.search import Searcher
from mining.ledger import read_ledger
from training.negatives import NEGATIVES
from training.query_training import train
from training.referee import encoder_run
from training.splits import split_queries
from training.targets import examples_of
from training.train_settings import TrainSettings

LOSSES = ("infonce", "hyperbolic", "hybrid")
_MEASURES = ("nDCG@10", "RR@10", "R@100")
Measured = dict[str, PerQuery]
"""Each held-out query's measures by geometry."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--form", default="full")
    parser.add_argument("--learning-rate", type=float, default=TrainSettings.learning_rate)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--negatives", nargs="*", choices=[*NEGATIVES], default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[17, 18, 19])
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    home, name = settings.open_home(), arguments.encoder
    folder = home.comparisons / "geometries"
    folder.mkdir(parents=True, exist_ok=True)
    searcher = Searcher.open(home, settings.index(), served(home))
    splits = split_queries(searcher, Catalogue(settings.catalogue_url()))
    documents, lengths = searcher.document_vectors(name), searcher.document_lengths(name)
    ledger = read_ledger(home)
    examples = examples_of(splits, searcher.chunks.values(), ledger, True).examples
    print(f"{len(examples)} training queries, ledger {ledger.manifest['id']}", flush=True)

    def measured(encoder: QueryEncoder, by: TrainSettings) -> Measured:
        found: Measured = {}
        for kind in GEOMETRIES:
            geometry = searcher.measured(name, replace(by.searched_by, kind=kind))
            run = encoder_run(encoder, documents, searcher.chunk_ids, splits.verdict, geometry, lengths)
            values = measure(run, splits.verdict.projection).per_query
            found[kind] = {query: {key: of_query[key] for key in _MEASURES} for query, of_query in values.items()}
        return found

    def once(key: str, made: Callable[[], Measured]) -> Measured:
        file = folder / f"{key}.json"
        if not file.exists():
            write_json(file, made())
        found: Measured = read_json(file)
        return found

    def trained(training: TrainSettings, key: str) -> Measured:
        print(f"{training.system}, seed {training.seed}", flush=True)
        encoder = searcher.load_encoder(name, BASE)
        run = folder / f"unfinished-{key}"
        train(encoder, documents, examples, training, run, lambda *_: None, lengths)
        shutil.rmtree(run)
        return measured(encoder, training)

    plain = replace(
        TrainSettings(),
        form=arguments.form,
        learning_rate=arguments.learning_rate,
        epochs=arguments.epochs,
        precision="bfloat16",
        negatives=(tuple(arguments.negatives),) if arguments.negatives else (),
    )
    begun = fingerprint_of([name, documents.shape, asdict(plain.searched_by)])[:16]
    results = {"untrained": [once(begun, lambda: measured(searcher.load_encoder(name, BASE), plain))]}
    for seed in arguments.seeds:
        for loss in LOSSES:
            training = replace(plain, loss=loss, seed=seed)
            key = fingerprint_of([name, asdict(training), ledger.manifest["id"]])[:16]
            results.setdefault(loss, []).append(once(key, partial(trained, training, key)))
    print("\n| trained by | searched by | nDCG@10 | MRR@10 | R@100 | from cosine | seeds |")
    print("|---|---|---:|---:|---:|---|---|")
    for loss, runs in results.items():
        cosine = averaged([run["cosine"] for run in runs])
        for kind in GEOMETRIES:
            after = averaged([run[kind] for run in runs])
            low, high = compare(cosine, after, splits.verdict.groups, "nDCG@10", 0.95).interval
            against = "" if kind == "cosine" else f"{low:+.4f} to {high:+.4f}"
            values = " | ".join(f"{after.mean[key]:.4f}" for key in _MEASURES)
            print(f"| {loss} | {kind} | {values} | {against} | {of_seeds([run[kind] for run in runs], 'nDCG@10')} |")


if __name__ == "__main__":
    main()
