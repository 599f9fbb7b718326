"""Retraining the query side beside sentence-transformers' own trainer, which trains both towers and embeds again.

    OMP_NUM_THREADS=1 python -m benchmarks.reference_trainer --config specmine.toml [--encoder minilm] [--seed 17]

Both start from the same published encoder and the same training queries, judged passages and mined negatives (the
newest ledger), one epoch in batches of 16. specmine trains the query side, by ``infonce`` and by its default loss, and
publishes a version. sentence-transformers trains both sides by MultipleNegativesRankingLoss at its defaults (each
query with one judged passage and one mined negative, drawn by lot; no duplicates in a batch); then all passages are
embedded again, by specmine's own document encoder, and a new index is written.

Each part runs in a process of its own and leaves its facts in ``comparisons/trainer``: a run that was cut off goes on.
Columns: measures of the encoder alone on the verdict queries, by exact search; processor seconds of the training, and
those after which specmine's held-out measure first reached the reference's; seconds from the trained weights to a
published index, and the bytes written for it.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.trainings import MEASURES, Bed, averaged, bed_of
from evaluation.catalogue import Catalogue
from evaluation.measures import measure
from evaluation.verdict import compare
from flows.settings import load_settings
from indexing.contents import first_release, write_content
from indexing.encoders.document import load_document_encoder
from indexing.encoders.query import QueryEncoder, load_query_encoder
from indexing.exact import exact_run
from indexing.generations import Generation, document_folder, save_generation, vectors_file
from indexing.home import Home, read_json, write_json
from indexing.models.fetching import model_directory
from indexing.releases import BASE, publish, served
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import DirectorySource
from mining.ledger import read_ledger
from training.evaluations import Watch
from training.query_training import train
from training.referee import DEPTH
from training.splits import Splits, split_queries
from training.targets import Example, examples_of
from training.train_settings import TrainSettings
from training.versions import WEIGHTS

BATCH = 16
EVALUATIONS = 10
PASSAGES_AT_ONCE = 2000


def tell(stage: str, done: int, total: int) -> None:
    print(f"  {stage}: {done} of {total}", flush=True)


class World:
    """What both sides are given: the served index, the parts of its judged queries, and the examples."""

    def __init__(self, config: Path | None, encoder: str) -> None:
        self.settings = load_settings(config)
        self.home = self.settings.open_home()
        self.encoder = encoder
        self.searcher = Searcher.open(self.home, self.settings.index(), served(self.home))
        self.splits: Splits = split_queries(self.searcher, Catalogue(self.settings.catalogue_url()))
        chunks = self.searcher.chunks
        self.examples: tuple[Example, ...] = examples_of(
            self.splits, chunks.values(), read_ledger(self.home), needs_ledger=True
        ).examples
        self.part = self.searcher.generation.encoder(encoder)
        self.bed: Bed = bed_of(self.searcher, encoder, self.splits)
        self.folder = self.home.comparisons / "trainer"
        self.folder.mkdir(exist_ok=True)

    def means(self, per_query: dict[str, dict[str, float]]) -> dict[str, float]:
        return {name: float(np.mean([values[name] for values in per_query.values()])) for name in MEASURES}


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def query_side(world: World, seed: int, loss: str) -> dict[str, Any]:
    """Train the query side, measuring the verdict queries ten times on the way, and publish a version."""
    settings = replace(
        TrainSettings(), loss=loss, epochs=1, evaluations=EVALUATIONS, batch_size=BATCH, precision="bfloat16", seed=seed
    )
    folder = world.folder / f"query-side-{loss}-{seed}"
    candidate = world.searcher.load_encoder(world.encoder, BASE)
    curve: list[tuple[float, float]] = []
    measuring = 0.0

    def look(encoder: QueryEncoder) -> float:
        nonlocal measuring
        begun = time.process_time()
        found = world.means(world.bed.measured(encoder))["nDCG@10"]
        curve.append((begun - started - measuring, found))
        measuring += time.process_time() - begun
        return found

    started = time.process_time()
    watch = Watch(looking=look)
    train(candidate, world.bed.documents, world.examples, settings, folder, tell, world.bed.lengths, watch)
    seconds = time.process_time() - started - measuring
    begun = time.perf_counter()
    made = Home(world.folder / f"home-{loss}-{seed}")
    made.encoders.mkdir(parents=True, exist_ok=True)
    candidate.save_weights(made.encoders / WEIGHTS)
    made.releases.mkdir(exist_ok=True)
    publish(made, replace(served(world.home), previous=None))
    to_search = time.perf_counter() - begun
    return {
        "per_query": world.bed.measured(candidate),
        "curve": curve,
        "training": seconds,
        "to_search": to_search,
        "version_bytes": size(made.encoders),
        "index_bytes": 0,
    }


def both_towers(world: World, seed: int) -> dict[str, Any]:
    """Train both sides with sentence-transformers; the model is left in a directory."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.base.sampler import BatchSamplers
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    spec = world.part.spec
    lot = random.Random(seed)
    ids = world.searcher.chunk_ids
    positives = [ids[int(lot.choice(example.positives))] for example in world.examples]
    negatives = [ids[int(lot.choice(example.ledger))] for example in world.examples]
    read = world.searcher.read({*positives, *negatives})
    columns = {
        "anchor": [spec.query_prompt + example.text for example in world.examples],
        "positive": [spec.document_prompt + read[chunk].encoder_text for chunk in positives],
        "negative": [spec.document_prompt + read[chunk].encoder_text for chunk in negatives],
    }
    model = SentenceTransformer(str(model_directory(spec, world.home)), device="cpu")
    model.max_seq_length = spec.max_tokens
    target = world.folder / f"both-towers-{seed}"
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(target / "checkpoints"),
        num_train_epochs=1,
        per_device_train_batch_size=BATCH,
        learning_rate=2e-5,
        warmup_ratio=0.1,
        bf16=True,
        use_cpu=True,
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        seed=seed,
        save_steps=40,
        save_total_limit=1,
        logging_steps=10,
        report_to=[],
        dataloader_num_workers=0,
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        loss=MultipleNegativesRankingLoss(model),
    )
    started = time.process_time()
    trainer.train()
    seconds = time.process_time() - started
    model.save_pretrained(str(target / "model"))
    return {"training": seconds, "steps": trainer.state.global_step}


def reindexed(world: World, seed: int) -> dict[str, Any]:
    """Embed all passages with the model that was trained, write a new index of them, and measure."""
    spec = replace(world.part.spec, source=DirectorySource(str(world.folder / f"both-towers-{seed}" / "model")))
    at = world.folder / f"reindexed-{seed}"
    made = Home(at)
    made.root.mkdir(exist_ok=True)
    for name in ("documents", "models"):
        link = at / name
        if not link.is_symlink():
            link.symlink_to((world.home.root / name).resolve())
    encoder = load_document_encoder(spec, made)
    rows = []
    texts = [chunk.encoder_text for chunk in world.searcher.chunks.values()]
    for first in range(0, len(texts), PASSAGES_AT_ONCE):
        kept = at / f"embedded-{first:08d}.npy"
        if not kept.exists():
            begun, started = time.perf_counter(), time.process_time()
            np.save(kept, encoder.embed(texts[first : first + PASSAGES_AT_ONCE]))
            spent = [time.perf_counter() - begun, time.process_time() - started]
            kept.with_suffix(".json").write_text(json.dumps(spent))
        rows.append(np.load(kept))
        tell("embedding again", first + len(rows[-1]), len(texts))
    blocks = [json.loads(path.read_text()) for path in sorted(at.glob("embedded-*.json"))]
    vectors = np.concatenate(rows)
    begun, started = time.perf_counter(), time.process_time()
    generation = Generation(
        world.searcher.generation.chunking,
        world.searcher.generation.chunk_settings,
        (replace(world.part, spec=spec, fingerprint=encoder.fingerprint),),
    )
    row = 0
    for entry in world.searcher.documents.values():
        count = read_json(document_folder(world.home, entry.key) / "manifest.json")["chunks"]
        file = vectors_file(made, encoder.fingerprint, entry.key)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, vectors[row : row + count])
        row += count
    assert row == len(vectors)
    save_generation(made, generation)
    settings = IndexSettings(encoders=(spec,))
    content = write_content(made, generation, settings, None, world.searcher.documents, (), tell)
    made.releases.mkdir(exist_ok=True)
    publish(made, first_release(generation, content, "trained by sentence-transformers"))
    writing = [time.perf_counter() - begun, time.process_time() - started]

    queries = load_query_encoder(spec, made)
    held_out = world.splits.verdict
    run = exact_run(
        list(held_out.texts), queries.embed(list(held_out.texts.values())), [vectors], world.searcher.chunk_ids, DEPTH
    )
    values = measure(run, held_out.projection).per_query
    return {
        "per_query": {query: {name: found[name] for name in MEASURES} for query, found in values.items()},
        "to_search": sum(wall for wall, _ in blocks) + writing[0],
        "to_search_processor": sum(cpu for _, cpu in blocks) + writing[1],
        "index_bytes": vectors.nbytes + size(at / "generations"),
    }


PARTS = {
    "infonce": lambda world, seed: query_side(world, seed, "infonce"),
    "full_softmax": lambda world, seed: query_side(world, seed, "full_softmax"),
    "both towers": both_towers,
    "re-indexed": reindexed,
}


def report(world: World, found: dict[str, dict[str, Any]], seed: int) -> None:
    """Print the table, and the paired comparison of specmine's trainings with the reference."""
    before = world.bed.measured(world.searcher.load_encoder(world.encoder, BASE))
    reference = found["re-indexed"]
    level = world.means(reference["per_query"])["nDCG@10"]
    print(f"\nseed {seed}, {len(world.examples)} training queries, {len(before)} held out")
    print("\n| trained | nDCG@10 | MRR@10 | R@100 | CPU s | until as good | s to search | index bytes |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    means = " | ".join(f"{world.means(before)[name]:.4f}" for name in MEASURES)
    print(f"| untrained | {means} | | | | |")
    for name in ("infonce", "full_softmax"):
        facts = found[name]
        means = " | ".join(f"{world.means(facts['per_query'])[measure]:.4f}" for measure in MEASURES)
        reached = next((f"{seconds:.0f}" for seconds, score in facts["curve"] if score >= level), "never")
        print(f"| query side, {name} | {means} | {facts['training']:.0f} | {reached} | {facts['to_search']:.2f} | 0 |")
    means = " | ".join(f"{world.means(reference['per_query'])[measure]:.4f}" for measure in MEASURES)
    seconds = found["both towers"]["training"] + reference["to_search_processor"]
    print(
        f"| both towers | {means} | {found['both towers']['training']:.0f} + {reference['to_search_processor']:.0f} "
        f"| {seconds:.0f} | {reference['to_search']:.0f} | {reference['index_bytes']:,} |"
    )
    for name in ("infonce", "full_softmax"):
        for measured in ("nDCG@10", "RR@10"):
            one, other = (averaged([facts["per_query"]]) for facts in (reference, found[name]))
            test = compare(one, other, world.splits.verdict.groups, measured, 0.95)
            low, high = test.interval
            interval = f"{low:+.4f} to {high:+.4f}, p {test.p_value:.2g}"
            print(f"{name} against both towers, {measured}: {test.difference:+.4f} ({interval})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--part", choices=[*PARTS], help="do one part in this process; the command starts itself so")
    arguments = parser.parse_args()
    world = World(arguments.config, arguments.encoder)
    files = {name: world.folder / f"{name.replace(' ', '-')}-{arguments.seed}.json" for name in PARTS}
    if arguments.part:
        write_json(files[arguments.part], PARTS[arguments.part](world, arguments.seed))
        return
    for name, file in files.items():
        if not file.exists():
            print(name, flush=True)
            own = [*sys.argv[1:], "--part", name]
            subprocess.run([sys.executable, "-m", "benchmarks.reference_trainer", *own], check=True)
    report(world, {name: read_json(file) for name, file in files.items()}, arguments.seed)


if __name__ == "__main__":
    main()
