"""Which negatives teach the most? The same encoder trained with the same steps on differently mined ledgers.

    python -m benchmarks.negatives --config specmine.toml [--loss full_softmax] [--only NAME ...]

Every row of VARIANTS is mined from the served index with its own settings, into a home of its own below
``comparisons/negatives``, so that the newest ledger of the real home stays what it is. Then the encoder's query side
is trained from its untrained weights once for each seed, with the same loss, batches and epochs, on all training
queries for which the row keeps a negative. With ``--loss full_softmax`` every passage of the index is a negative in
every row, and the ledgers differ in what they take out of that. The verdict queries decide nothing here; they are
measured after the last step. Each training that is finished is a file in ``comparisons/negatives/results``: a run that
was cut off goes on, and several processes with different ``--seeds`` or ``--only`` share the work.

Columns: nDCG@10 and MRR@10 of the encoder alone, mean over the seeds; the gain over untrained with its 95 % interval
(bootstrap over groups of queries, per-query means over the seeds), and the p-value of the paired randomisation test.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean as mean
from typing import Any

import numpy as np

from benchmarks.trainings import Bed, PerQuery, averaged, of_seeds, trained
from chunking.document import Chunk
from evaluation.catalogue import Catalogue
from evaluation.verdict import compare
from flows.settings import load_settings
from indexing.fusion import Run
from indexing.generations import fingerprint_of
from indexing.home import Home, read_json, write_json
from indexing.releases import BASE, served
from indexing.search import Searcher
from mining.ledger import Ledger, read_ledger
from mining.mine import mine
from mining.pair_scores import Judge
from mining.settings import MineSettings
from training.splits import Splits, split_queries
from training.targets import Example, examples_of
from training.train_settings import TrainSettings

UNTRAINED = "untrained"
REFERENCE = "every passage, no ledger (full_softmax)"

# Seven hard negatives a query and a fifth of random ones in every row: sources are looked at so deep that the cap per
# document leaves enough. "defaults" is the mining of a home without settings, which looks less deep. "Unfiltered" still
# leaves judged passages and their siblings out, for nothing can be trained against them.
_DEEP = {"depth": 60}
_SAME_DOCUMENT = {**_DEEP, "per_document": 7, "filters": ()}
_ENSEMBLE = {**_DEEP, "sources": ("random", "ensemble"), "filters": ()}
_ALL_SOURCES = ("random", "bm25", "encoder", "ensemble")
_ALL = {**_DEEP, "sources": _ALL_SOURCES}
_NO_REPEATS = {"filters": ("near_duplicates",)}
_AGREED = {"filters": ("near_duplicates", "encoder_agreement")}
# One encoder that ranks a candidate above every judged passage is enough.
_DOUBTED = {**_AGREED, "agreeing": 0.01}
_BELIEVED = {"minimum_agreement": 0.0}
_FUSIONS = ("soft", "zscore", "rank", "rrf", "max", "borda", "pca")
VARIANTS: dict[str, dict[str, Any]] = {
    "random": {"sources": ("random", "ensemble"), "per_query": 1, "per_document": 1, "random_share": 0.875},
    "bm25": {**_DEEP, "sources": ("random", "bm25"), "filters": ()},
    "encoders": {**_DEEP, "sources": ("random", "encoder"), "filters": ()},
    "its own, cosine": {**_DEEP, "sources": ("random", "encoder"), "filters": ()},
    "its own, hyperbolic": {**_DEEP, "sources": ("random", "hyperbolic"), "filters": ()},
    "in-document": {**_SAME_DOCUMENT, "sources": ("random", "in_document")},
    "sibling": {**_DEEP, "sources": ("random", "sibling"), "filters": ()},
    "sibling and in-document": {**_SAME_DOCUMENT, "sources": ("random", "sibling", "in_document")},
    **{f"ensemble, {name}": {**_ENSEMBLE, "fusion": name} for name in _FUSIONS},
    **{f"ensemble, {name}, encoders' agreement": {**_ENSEMBLE, **_AGREED, "fusion": name} for name in _FUSIONS},
    "all sources": {**_ALL, "filters": ()},
    "all sources, near duplicates out": {**_ALL, **_NO_REPEATS},
    "all sources, encoders' agreement": {**_ALL, **_AGREED},
    "all sources, any encoder's doubt": {**_ALL, **_DOUBTED},
    "all sources and in-document, any encoder's doubt": {
        **_ALL,
        **_DOUBTED,
        "sources": (*_ALL_SOURCES, "in_document"),
        "per_document": 7,
    },
    "all sources, cross-encoder believed": {**_ALL, **_BELIEVED},
    "all sources and in-document, cross-encoder believed": {
        **_ALL,
        **_BELIEVED,
        "sources": (*_ALL_SOURCES, "in_document"),
        "per_document": 7,
    },
    "all sources and sibling, cross-encoder believed": {
        **_ALL,
        **_BELIEVED,
        "sources": (*_ALL_SOURCES, "sibling"),
    },
    "all sources, cross-encoder believed, proposals accepted": {**_ALL, **_BELIEVED, "relabel": "accept"},
    "all sources, calibrated": {**_ALL, **_BELIEVED, "filters": ("near_duplicates", "calibrated")},
    "all sources, evidence": {**_ALL, "filters": ("near_duplicates", "evidence")},
    "all sources, learned": {**_ALL, "filters": ("near_duplicates", "learned")},
    "all sources, ranks 8 to 40": {**_ALL, **_NO_REPEATS, "difficulty": "range", "rank_range": (8, 40)},
    "all sources, simans": {**_ALL, **_NO_REPEATS, "difficulty": "simans"},
    "defaults": {},
}
# Mined with the encoder that is trained and no other, so that the two differ in their geometry alone.
_ITS_OWN = ("its own, cosine", "its own, hyperbolic")


class Remembering:
    """A searcher that searches a block of queries once by each source, so that the variants share their runs.

    It searches with all encoders of the release, or with the one named ``only``.
    """

    def __init__(self, searcher: Searcher, only: str | None = None) -> None:
        self._searcher = searcher
        self._runs: dict[tuple[str, tuple[str, ...], int], Run] = {}
        self.release, self.generation = searcher.release, searcher.generation
        if only:
            self.release = replace(self.release, encoders={only: self.release.encoders[only]})
            self.generation = replace(self.generation, encoders=(self.generation.encoder(only),))

    @property
    def chunks(self) -> Mapping[str, Chunk]:
        return self._searcher.chunks

    def runs(self, queries: Mapping[str, str], depth: int = 200, only: Collection[str] | None = None) -> dict[str, Run]:
        names = list(only or ())
        block = tuple(queries)
        missing = [name for name in names if (name, block, depth) not in self._runs]
        if missing:
            for name, run in self._searcher.runs(queries, depth, only=missing).items():
                self._runs[name, block, depth] = run
        return {name: self._runs[name, block, depth] for name in names}

    def embed(self, queries: Sequence[str]) -> dict[str, np.ndarray]:
        return self._searcher.embed(queries)

    def read(self, chunks: Iterable[str]) -> dict[str, Chunk]:
        return self._searcher.read(chunks)

    def documents_of(self, chunks: Sequence[str]) -> list[str]:
        return self._searcher.documents_of(chunks)

    def chunk_vectors(self, encoder: str, chunks: Sequence[str]) -> np.ndarray:
        return self._searcher.chunk_vectors(encoder, chunks)


def mined(
    name: str, searcher: Remembering, cross_encoder: Judge | None, splits: Splits, base: MineSettings, scratch: Home
) -> Ledger:
    """Mine with the variant's settings, or read what an earlier run mined with them."""
    settings = replace(base, **VARIANTS[name])
    wanted = json.loads(json.dumps(asdict(settings)))
    known = scratch.root / "ledgers.json"
    ids: dict[str, Any] = read_json(known) if known.exists() else {}
    if ids.get(name, {}).get("settings") != wanted:
        report = mine(searcher, splits.train, splits.train_projection, cross_encoder, settings, scratch, (), tell)
        ids[name] = {"ledger": report.ledger, "settings": wanted, "verdicts": report.verdicts}
        write_json(known, ids)
    print(f"{name}: {ids[name]['verdicts']}", flush=True)
    return read_ledger(scratch, ids[name]["ledger"])


def tell(stage: str, done: int, total: int) -> None:
    if done == total:
        print(f"  {stage}: {total}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--loss", default="infonce", help="of the rows with a ledger")
    parser.add_argument("--form", default="full", help="what of the encoder is trained; a head takes seconds")
    parser.add_argument("--learning-rate", type=float, default=TrainSettings.learning_rate)
    parser.add_argument("--seeds", type=int, nargs="+", default=[17, 18, 19])
    parser.add_argument("--only", nargs="*", choices=[*VARIANTS], default=[*VARIANTS])
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    home = settings.open_home()
    scratch = Home(home.root / "comparisons" / "negatives")
    searcher = Searcher.open(home, settings.index(), served(home))
    splits = split_queries(searcher, Catalogue(settings.catalogue_url()))
    bed = Bed(searcher.document_vectors(arguments.encoder), searcher.chunk_ids, None, splits.verdict)

    remembering, its_own = Remembering(searcher), Remembering(searcher, arguments.encoder)
    examples: dict[str, tuple[Example, ...]] = {}
    needs_ledger = arguments.loss != "full_softmax"
    for name in arguments.only:
        # Only what trains is kept: a ledger of three thousand queries has half a million rows.
        miner = its_own if name in _ITS_OWN else remembering
        ledger = mined(name, miner, searcher.cross_encoder, splits, settings.mine, scratch)
        examples[name] = examples_of(splits, searcher.chunks.values(), ledger, needs_ledger).examples
    examples[REFERENCE] = examples_of(splits, searcher.chunks.values(), None, False).examples

    candidate = searcher.load_encoder(arguments.encoder, BASE)
    candidate.take_form(arguments.form)
    untrained = {name: tensor.clone() for name, tensor in candidate.trained_weights().items()}
    before = averaged([bed.measured(candidate)])
    results: dict[str, list[PerQuery]] = {name: [] for name in examples}
    for seed in arguments.seeds:
        for name, some in examples.items():
            loss = "full_softmax" if name == REFERENCE else arguments.loss
            training = replace(
                settings.training(),
                loss=loss,
                form=arguments.form,
                learning_rate=arguments.learning_rate,
                epochs=arguments.epochs,
                precision="bfloat16",
                seed=seed,
            )
            key = fingerprint_of([name, arguments.encoder, asdict(training), [example.query for example in some]])[:16]
            finished = scratch.root / "results" / f"{key}.json"
            if not finished.exists():
                print(f"{name}, seed {seed}", flush=True)
                finished.parent.mkdir(exist_ok=True)
                folder = scratch.root / f"unfinished-{key}"
                write_json(finished, trained(candidate, untrained, bed, some, training, folder, tell).per_query)
            results[name].append(read_json(finished))

    print("\n| negatives | queries | a query | nDCG@10 | gain | p | MRR@10 | seeds |")
    print("|---|---:|---:|---:|---|---:|---:|---|")
    print(f"| {UNTRAINED} | | | {before.mean['nDCG@10']:.4f} | | | {before.mean['RR@10']:.4f} | |")
    for name, some in examples.items():
        after = averaged(results[name])
        gain = compare(before, after, splits.verdict.groups, "nDCG@10", 0.95)
        per_query = mean([len(example.ledger) for example in some])
        low, high = gain.interval
        each = of_seeds(results[name], "nDCG@10")
        print(f"| {name} | {len(some)} | {per_query:.1f} | {after.mean['nDCG@10']:.4f} ", end="")
        print(f"| {low:+.4f} to {high:+.4f} | {gain.p_value:.2g} | {after.mean['RR@10']:.4f} | {each} |")


if __name__ == "__main__":
    main()
