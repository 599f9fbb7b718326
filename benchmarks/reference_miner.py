"""Side by side with sentence-transformers' ``mine_hard_negatives``: seconds, memory, and what its negatives teach.

    python benchmarks/reference_miner.py --config specmine.toml [--queries 600] [--cross-queries 8] [--copies 9]

Both miners have the same passages, judged queries, encoder and cross-encoder. The passages are whole documents of the
served index, those with the most held-out queries for their length first, until there are ``--passages`` of them; the
larger corpus adds ``--copies`` of each with words dropped and swapped by lot. sentence-transformers mines as its
documentation recommends (TopK-PercPos of NV-Retriever): the hardest below 95 % of the judged passage's score. specmine
mines with its defaults from an index of the one encoder and BM25.

Each miner runs in a process of its own, which reports wall and processor seconds of the mining, and its peak memory:
resident, with what is mapped from files, and anonymous, sampled every 20 ms. Both start from the same vectors of the
passages (``encode_document`` is given them: what its ``cache_folder`` does); those of the copies are the original's
with noise of the size that copies really have, measured on 200 of them, which serves for time and memory alone.
The rows ``embedding`` tell what the vectors cost, on ``--embedded`` of the passages. The cross-encoder, whose cost does
not depend on the corpus, is asked about ``--cross-queries`` of the smaller one, and believed: what specmine finds on a
sample of 96 queries before it believes it is left out.

On the smaller corpus the encoder's query side is then trained on either miner's negatives for the same queries, with
the same loss and steps, once for each seed, and measured on the held-out queries. Finished parts are kept below
``comparisons/reference``: a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from negatives import PerQuery, averaged, by_query, tell, trained

from chunking.document import Chunk, Document, Page, chunk_id
from chunking.stored import load, load_chunks, save
from evaluation.catalogue import Catalogue
from evaluation.judgements import Judgement, Query
from evaluation.measures import Measures, measure
from evaluation.projection import project
from evaluation.verdict import compare
from flows.settings import load_settings
from indexing.contents import first_release, write_content
from indexing.encoders import load_document_encoder
from indexing.generations import (
    Generation,
    IndexedDocument,
    document_folder,
    read_documents,
    read_generation,
    save_generation,
    vectors_file,
    write_documents,
)
from indexing.home import MANIFEST, Home, read_json, write_artifact, write_json
from indexing.models import encoder_directory, fetch
from indexing.releases import BASE, publish, served
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import CrossEncoderSpec, EncoderSpec
from indexing.vectors import load_vectors
from mining.ledger import KEPT, RANDOM, read_ledger
from mining.mine import mine
from mining.settings import MineSettings
from training.query_training import TrainSettings
from training.referee import encoder_run
from training.splits import Splits, split_queries
from training.targets import Example, build_examples

SEED = 13
NEGATIVES = MineSettings().per_query
MARGIN = 0.05  # TopK-PercPos at 95 %
DROPPED = SWAPPED = 0.03  # of the words of a copy
TASK, TEXTS, VECTORS = "task.json", "texts.json", "vectors.npy"
MIB = 2**20

Mined = dict[str, list[str]]
"""The ids of the passages that were kept as negatives, by query."""


@dataclass(frozen=True)
class Task:
    """What a miner is given: ``folder`` holds the index of specmine and the texts and vectors for the other."""

    folder: Path
    encoder: EncoderSpec
    cross_encoder: CrossEncoderSpec
    queries: tuple[Query, ...]
    judgements: tuple[Judgement, ...]
    embedded: int

    @property
    def home(self) -> Home:
        return Home(self.folder / "home")

    @property
    def index(self) -> IndexSettings:
        return IndexSettings(encoders=(self.encoder,), cross_encoder=self.cross_encoder)


def specmine(task: Task, cross: bool) -> tuple[Callable[[], Mined], dict[str, Any]]:
    """Return what mines from the index, models loaded; the cross-encoder is believed without being measured."""
    shutil.rmtree(task.home.ledgers, ignore_errors=True)  # with the scores that an earlier run kept
    searcher = Searcher.open(task.home, task.index)
    assert searcher.encoders
    judge = searcher.cross_encoder if cross else None
    settings = replace(MineSettings(), minimum_agreement=0.0)
    facts: dict[str, Any] = {}

    def run() -> Mined:
        projection = project(task.judgements, searcher.chunks.values(), searcher.document_text)
        report = mine(searcher, task.queries, projection, judge, settings, task.home)
        facts.update(verdicts=report.verdicts, agreement={k: v.auc for k, v in (report.agreement or {}).items()})
        mined: Mined = {}
        for row in read_ledger(task.home, report.ledger).rows:
            if row.verdict in (KEPT, RANDOM):
                mined.setdefault(row.query, []).append(row.chunk)
        return mined

    return run, facts


def sentence_transformers(task: Task, cross: bool) -> tuple[Callable[[], Mined], dict[str, Any]]:
    """Return what mines from the texts, models loaded; their vectors are given."""
    from datasets import Dataset
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    class Given(SentenceTransformer):
        def encode_document(self, inputs: Any, **_: Any) -> Any:
            vectors = np.load(task.folder / VECTORS)
            assert len(vectors) == len(inputs)
            return vectors

    model = Given(str(encoder_directory(task.encoder, task.home)), device="cpu")
    model.max_seq_length = task.encoder.max_tokens
    judge = None
    if cross:
        spec = task.cross_encoder
        judge = CrossEncoder(str(fetch(spec.source, task.home)), max_length=spec.max_tokens, device="cpu")
    faiss = find_spec("faiss") is not None
    facts: dict[str, Any] = {"faiss": faiss}

    def run() -> Mined:
        read = read_json(task.folder / TEXTS)
        texts, ids = read["texts"], dict(zip(read["texts"], read["ids"], strict=True))
        judged = [(query.text, text) for query in task.queries for text in read["judged"][query.id]]
        mined_pairs = mine_hard_negatives(
            Dataset.from_dict({"query": [one for one, _ in judged], "passage": [text for _, text in judged]}),
            model,
            corpus=texts,
            cross_encoder=judge,
            relative_margin=MARGIN,
            num_negatives=NEGATIVES,
            sampling_strategy="top",
            use_faiss=faiss,
            verbose=False,
        )
        of_text = {query.text: query.id for query in task.queries}
        mined: Mined = {}
        for query, negative in dict.fromkeys(zip(mined_pairs["query"], mined_pairs["negative"], strict=True)):
            mined.setdefault(of_text[query], []).append(ids[negative])
        return mined

    return run, facts


def embedding(task: Task, ours: bool) -> tuple[Callable[[], Mined], dict[str, Any]]:
    """Return what embeds the first texts: as an ingest does, or as ``mine_hard_negatives`` does without a cache."""
    from sentence_transformers import SentenceTransformer

    texts = read_json(task.folder / TEXTS)["texts"][: task.embedded]
    if ours:
        encoder = load_document_encoder(task.encoder, task.home)
        encode: Callable[[list[str]], Any] = encoder.embed
    else:
        model = SentenceTransformer(str(encoder_directory(task.encoder, task.home)), device="cpu")
        model.max_seq_length = task.encoder.max_tokens
        encode = partial(model.encode_document, normalize_embeddings=True, convert_to_numpy=True)
    encode(texts[:32])

    def run() -> Mined:
        encode(texts)
        return {}

    return run, {}


Loaded = tuple[Callable[[], Mined], dict[str, Any]]
MINERS: dict[str, Callable[[Task], Loaded]] = {
    "specmine": lambda task: specmine(task, cross=False),
    "sentence-transformers": lambda task: sentence_transformers(task, cross=False),
    "specmine, cross-encoder": lambda task: specmine(task, cross=True),
    "sentence-transformers, cross-encoder": lambda task: sentence_transformers(task, cross=True),
    "specmine, embedding": lambda task: embedding(task, ours=True),
    "sentence-transformers, embedding": lambda task: embedding(task, ours=False),
}
WITH_CROSS = ("specmine, cross-encoder", "sentence-transformers, cross-encoder")
EMBEDDING = ("specmine, embedding", "sentence-transformers, embedding")
TAUGHT = ("specmine", "sentence-transformers")


class AnonymousMemory(threading.Thread):
    """The most anonymous memory that this process had: what is not mapped from files, and cannot be dropped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0

    def run(self) -> None:
        while True:
            self.peak = max(self.peak, memory_of("RssAnon"))
            time.sleep(0.02)


def work(name: str, folder: Path, queries: int) -> None:
    """Mine in this process, and print what it took as the last line."""
    memory = AnonymousMemory()
    memory.start()
    run, facts = MINERS[name](read_task(folder, queries))
    loaded = {"wall": time.perf_counter(), "cpu": time.process_time(), "resident": memory_of("VmHWM")}
    mined = run()
    facts |= {
        "wall": time.perf_counter() - loaded["wall"],
        "cpu": time.process_time() - loaded["cpu"],
        "loaded": loaded["resident"],
        "resident": memory_of("VmHWM"),
        "anonymous": memory.peak,
        "mined": mined,
    }
    print(json.dumps(facts))


def memory_of(line: str) -> int:
    """Return bytes as the kernel tells them of this process; what getrusage tells begins with the parent's peak."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{line}:")[2].split(maxsplit=1)[0]) * 1024


def read_task(folder: Path, queries: int) -> Task:
    saved = read_json(folder / TASK)
    asked = tuple(Query(**row) for row in saved["queries"][:queries])
    ids = {query.id for query in asked}
    judged = tuple(Judgement(**row) for row in saved["judgements"] if row["query"] in ids)
    index = load_settings(None).index() if saved["config"] is None else load_settings(Path(saved["config"])).index()
    encoder = next(spec for spec in index.encoders if spec.name == saved["encoder"])
    assert index.cross_encoder is not None
    return Task(folder, encoder, index.cross_encoder, asked, judged, saved["embedded"])


def choose(documents: Mapping[str, IndexedDocument], book: Catalogue, passages: int) -> dict[str, IndexedDocument]:
    """Return the documents with the most held-out queries for each of their passages, until there are enough."""
    asked = Counter(document for document, _ in {(one.document, one.query) for one in book.judgements("dev")})
    order = sorted(documents, key=lambda name: (-asked[name] / max(documents[name].chunks, 1), name))
    chosen: dict[str, IndexedDocument] = {}
    for name in order:
        if sum(entry.chunks for entry in chosen.values()) < passages:
            chosen[name] = documents[name]
    return dict(sorted(chosen.items()))


def noisy(text: str, lot: random.Random) -> str:
    """Return a text with words dropped, and swapped with the next, by lot."""
    words = [word for word in text.split() if lot.random() >= DROPPED] or text.split()
    for place in range(len(words) - 1):
        if lot.random() < SWAPPED:
            words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


def copied(document: Document, chunks: Sequence[Chunk], number: int) -> tuple[Document, list[Chunk]]:
    """Return a noisy copy of a document and of its passages, whose texts stand one after another in it."""
    name = f"{document.id}~{number}"
    lot = random.Random(f"{SEED}\0{name}")
    texts: list[str] = []
    new: list[Chunk] = []
    start = 0
    for chunk in chunks:
        text = noisy(chunk.text, lot)
        head = chunk.encoder_text.removesuffix(chunk.text)
        place = {"start": start, "end": start + len(text), "first_page": 1, "last_page": 1}
        new.append(
            replace(
                chunk,
                id=chunk_id(name, start, start + len(text), text),
                document=name,
                text=text,
                encoder_text=head + text,
                lead="",
                parent=None,
                **place,  # type: ignore[arg-type]
            )
        )
        texts.append(text)
        start += len(text) + 1
    whole = "\n".join(texts)
    pages = (Page(1, 0, len(whole)),)
    return Document(name, document.content_hash, document.title, whole, pages, ()), new


def likeness_of_copies(source: Home, documents: Mapping[str, IndexedDocument], spec: EncoderSpec) -> float:
    """Return the mean cosine of 200 passages with their noisy copies."""
    chunks = [chunk for entry in documents.values() for chunk in load_chunks(document_folder(source, entry.key))]
    sample = random.Random(SEED).sample(chunks, 200)
    lot = random.Random(SEED)
    encoder = load_document_encoder(spec, source)
    one = encoder.embed([chunk.encoder_text for chunk in sample])
    other = encoder.embed([c.encoder_text.removesuffix(c.text) + noisy(c.text, lot) for c in sample])
    return float((one * other).sum(1).mean())


def build(source: Home, documents: Mapping[str, IndexedDocument], part: Any, copies: int, likeness: float, at: Path):
    """Write a home with an index of these documents, and ``copies`` of each, by the one encoder ``part``."""
    home = Home(at / "home")
    (at / "home").mkdir(parents=True)
    (at / "home" / "models").symlink_to(source.models.resolve())
    base = read_generation(source, served(source).generation)
    generation = Generation(base.chunking, base.chunk_settings, (part,))
    listed: dict[str, IndexedDocument] = {}
    noise = np.random.default_rng(SEED)
    ids: list[str] = []
    texts: list[str] = []
    rows: list[np.ndarray] = []
    for name, entry in documents.items():
        document, chunks = load(document_folder(source, entry.key))
        vectors = np.asarray(load_vectors(source, part.fingerprint, entry.key))
        for number in range(copies + 1):
            key, own = entry.key, vectors
            cut = chunks
            if number:
                key = f"{entry.key}-{number}"
                document_copy, cut = copied(document, chunks, number)
                away = noise.standard_normal(vectors.shape)
                away -= (away * vectors).sum(1, keepdims=True) * vectors
                away /= np.linalg.norm(away, axis=1, keepdims=True)
                own = (likeness * vectors + np.sqrt(1 - likeness**2) * away).astype(np.float32)
            with write_artifact(document_folder(home, key)) as partial:
                save(partial, document_copy if number else document, cut)
                write_json(partial / MANIFEST, {"chunks": len(cut)})
            vectors_file(home, part.fingerprint, key).parent.mkdir(parents=True, exist_ok=True)
            np.save(vectors_file(home, part.fingerprint, key), own)
            listed[f"{name}~{number}" if number else name] = replace(entry, key=key)
            ids += [chunk.id for chunk in cut]
            texts += [chunk.encoder_text for chunk in cut]
            rows.append(own)
    save_generation(home, generation)
    settings = IndexSettings(encoders=(part.spec,))
    content = write_content(home, generation, settings, None, listed, (), tell)
    write_documents(home, generation.id, content, listed)
    publish(home, first_release(generation, content, "reference miner"))
    # The other miner knows passages by their text alone: of equal ones it gets the first.
    first = {text: place for place, text in reversed(list(enumerate(texts)))}
    kept = sorted(first.values())
    np.save(at / VECTORS, np.concatenate(rows)[kept])
    return {"texts": [texts[place] for place in kept], "ids": [ids[place] for place in kept]}


def prepare(arguments: argparse.Namespace, folder: Path, copies: int) -> None:
    """Write index, texts and task of one corpus, unless they are there."""
    if (folder / TASK).exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    settings = load_settings(arguments.config)
    source = settings.open_home()
    book = Catalogue(settings.catalogue_url())
    release = served(source)
    part = next(
        one for one in read_generation(source, release.generation).encoders if one.spec.name == arguments.encoder
    )
    documents = choose(read_documents(source, release.generation, release.content), book, arguments.passages)
    likeness = likeness_of_copies(source, documents, part.spec) if copies else 1.0
    print(f"{len(documents)} documents; a copy's cosine is {likeness:.3f}", flush=True)
    texts = build(source, documents, part, copies, likeness, folder)
    searcher = Searcher.open(Home(folder / "home"), replace(settings.index(), encoders=(part.spec,)))
    splits = split_queries(searcher, book)
    known = [query for query in splits.train if splits.train_projection.positives(query.id)]
    asked = random.Random(SEED).sample(known, min(arguments.queries, len(known)))
    judged = {
        query.id: [searcher.chunks[c].encoder_text for c in sorted(splits.train_projection.positives(query.id))]
        for query in asked
    }
    ids = set(judged)
    write_json(folder / TEXTS, {**texts, "judged": judged})
    write_json(
        folder / TASK,
        {
            "config": str(arguments.config) if arguments.config else None,
            "encoder": arguments.encoder,
            "embedded": arguments.embedded,
            "passages": len(searcher.chunks),
            "queries": [asdict(query) for query in asked],
            "judgements": [asdict(one) for one in splits.train_judgements if one.query in ids],
        },
    )
    searcher.close()


def measured(name: str, folder: Path, queries: int) -> dict[str, Any]:
    """Run a miner in its own process, or read what an earlier run found."""
    kept = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{queries}.json"
    if not kept.exists():
        print(f"{name}: {folder.name}", flush=True)
        command = [sys.executable, __file__, "--work", name, "--folder", str(folder), "--queries", str(queries)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        write_json(kept, json.loads(done.stdout.splitlines()[-1]))
    return dict(read_json(kept))


def teach(
    config: Path | None, folder: Path, mined: Mapping[str, Mined], training: TrainSettings, seeds: int
) -> tuple[PerQuery, dict[str, list[PerQuery]], Splits, int, dict[str, float]]:
    """Train on each miner's negatives; return measures before and after, and how many negatives a query has."""
    settings = load_settings(config)
    task = read_task(folder, 10**9)
    searcher = Searcher.open(task.home, task.index)
    splits = split_queries(searcher, Catalogue(settings.catalogue_url()))
    documents = searcher.document_vectors(task.encoder.name)
    row = {chunk: place for place, chunk in enumerate(searcher.chunk_ids)}
    asked = [query for query in splits.train if all(query.id in one for one in mined.values())]
    plain = build_examples(
        asked, splits.train_judgements, splits.train_projection, list(searcher.chunks.values()), None, False
    ).examples

    def examples(of: Mined) -> list[Example]:
        """What is masked is no negative; a query that has none left is left out for both."""
        found = [
            replace(one, ledger=np.asarray(sorted({row[chunk] for chunk in of[one.query]}), dtype=np.int64))
            for one in plain
        ]
        return [replace(one, ledger=np.setdiff1d(one.ledger, [*one.positives, *one.masked])) for one in found]

    of_miner = {name: examples(one) for name, one in mined.items()}
    usable = set.intersection(*({e.query for e in some if len(e.ledger)} for some in of_miner.values()))
    of_miner = {name: [e for e in some if e.query in usable] for name, some in of_miner.items()}
    base = searcher.load_encoder(task.encoder.name, BASE)
    held_out = splits.verdict
    before = by_query(measure(encoder_run(base, documents, searcher.chunk_ids, held_out), held_out.projection))
    known = folder / "taught.json"
    results: dict[str, PerQuery] = read_json(known) if known.exists() else {}
    after: dict[str, list[PerQuery]] = {name: [] for name in mined}
    for seed in range(seeds):
        for name, some in of_miner.items():
            chosen = replace(training, seed=17 + seed)
            key = json.dumps([name, asdict(chosen), len(usable)])
            if key not in results:
                results[key] = trained(
                    searcher, splits, documents, task.encoder.name, some, chosen, folder / "unfinished"
                )
                write_json(known, results)
            after[name].append(results[key])
    per_query = {name: float(np.mean([len(e.ledger) for e in some])) for name, some in of_miner.items()}
    searcher.close()
    return before, after, splits, len(usable), per_query


def show_costs(rows: Sequence[tuple[str, Path, dict[str, Any], int]]) -> None:
    print("\n| miner | passages | queries | seconds | processor seconds | resident MiB | anonymous MiB | negatives |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, folder, facts, queries in rows:
        found = sum(len(some) for some in facts["mined"].values())
        memory = f"{facts['resident'] / MIB:.0f} | {facts['anonymous'] / MIB:.0f}"
        passages = read_json(folder / TASK)["passages"]
        print(
            f"| {name} | {passages:,} | {queries} | {facts['wall']:.1f} | {facts['cpu']:.1f} | {memory} | {found:,} |"
        )


def show_quality(
    before: PerQuery,
    after: Mapping[str, list[PerQuery]],
    splits: Splits,
    trained_on: int,
    per_query: Mapping[str, float],
) -> None:
    held_out = splits.verdict
    print(
        f"\n{trained_on} training queries, {len(before)} held-out ones in {len(set(held_out.groups.values()))} groups"
    )
    print("\n| negatives | a query | nDCG@10 | gain | p | MRR@10 | seeds |\n|---|---:|---:|---|---:|---:|---|")
    start = averaged([before])
    print(f"| untrained | | {start.mean['nDCG@10']:.4f} | | | {start.mean['RR@10']:.4f} | |")
    means: dict[str, Measures] = {name: averaged(runs) for name, runs in after.items()}
    for name, runs in after.items():
        gain = compare(start, means[name], held_out.groups, "nDCG@10", 0.95)
        each = " ".join(f"{averaged([run]).mean['nDCG@10']:.4f}" for run in runs)
        low, high = gain.interval
        print(
            f"| {name} | {per_query[name]:.1f} | {means[name].mean['nDCG@10']:.4f} | {low:+.4f} to {high:+.4f} "
            f"| {gain.p_value:.2g} | {means[name].mean['RR@10']:.4f} | {each} |"
        )
    for measure_name in ("nDCG@10", "RR@10"):
        ahead = compare(means[TAUGHT[1]], means[TAUGHT[0]], held_out.groups, measure_name, 0.95)
        low, high = ahead.interval
        print(
            f"\n{TAUGHT[0]} minus {TAUGHT[1]}, {measure_name}: {ahead.difference:+.4f} "
            f"({low:+.4f} to {high:+.4f}, p {ahead.p_value:.2g})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--passages", type=int, default=13_000)
    parser.add_argument("--copies", type=int, default=9)
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--cross-queries", type=int, default=8)
    parser.add_argument("--embedded", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", choices=[*MINERS], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work, arguments.folder, arguments.queries)
        return
    root = load_settings(arguments.config).open_home().root / "comparisons" / "reference"
    small, large = root / "small", root / "large"
    rows: list[tuple[str, Path, dict[str, Any], int]] = []

    def add(name: str, folder: Path, queries: int) -> dict[str, Any]:
        rows.append((name, folder, measured(name, folder, queries), queries))
        return rows[-1][2]

    for folder, copies in ((small, 0), (large, arguments.copies)):
        prepare(arguments, folder, copies)
        for name in TAUGHT:
            add(name, folder, arguments.queries)
    mined = {name: facts["mined"] for name, folder, facts, _ in rows if folder == small}
    training = replace(load_settings(arguments.config).training(), loss="ledger_softmax", epochs=arguments.epochs)
    taught = teach(arguments.config, small, mined, training, arguments.seeds)
    show_quality(*taught)
    for name in WITH_CROSS:
        add(name, small, arguments.cross_queries)
    for name in EMBEDDING:
        add(name, small, 0)
    show_costs(rows)


if __name__ == "__main__":
    main()
