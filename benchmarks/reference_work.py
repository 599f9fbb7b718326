"""What each process of ``reference_miner.py`` does: mine, or embed, and print what it took as its last line.

Only what the named miner needs is imported, so that neither has the other's libraries in memory.
"""

from __future__ import annotations

import argparse
import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.judgements import Judgement, Query
from flows.settings import load_settings
from indexing.home import Home, read_json
from indexing.models.fetching import fetch, model_directory
from indexing.settings import IndexSettings
from indexing.specs import CrossEncoderSpec, EncoderSpec

NEGATIVES = 7  # the default of `specmine mine`
MARGIN = 0.05  # TopK-PercPos at 95 %
TASK, TEXTS, VECTORS = "task.json", "texts.json", "vectors.npy"

Mined = dict[str, list[str]]
"""The ids of the passages that were kept as negatives, by query."""

Loaded = tuple[Callable[[], Mined], dict[str, Any]]
"""What mines, with its models loaded, and the facts that it adds to as it does."""


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


def read_task(folder: Path, queries: int) -> Task:
    saved = read_json(folder / TASK)
    asked = tuple(Query(**row) for row in saved["queries"][:queries])
    ids = {query.id for query in asked}
    judged = tuple(Judgement(**row) for row in saved["judgements"] if row["query"] in ids)
    index = load_settings(None).index() if saved["config"] is None else load_settings(Path(saved["config"])).index()
    encoder = next(spec for spec in index.encoders if spec.name == saved["encoder"])
    assert index.cross_encoder is not None
    return Task(folder, encoder, index.cross_encoder, asked, judged, saved["embedded"])


def specmine(task: Task, cross: bool) -> Loaded:
    """Return what mines from the index, models loaded; the cross-encoder is believed without being measured."""
    from evaluation.projection import project
    from indexing.search import Searcher
    from mining.ledger import KEPT, RANDOM, read_ledger
    from mining.mine import mine
    from mining.settings import MineSettings

    shutil.rmtree(task.home.ledgers, ignore_errors=True)  # with the scores that an earlier run kept
    searcher = Searcher.open(task.home, task.index)
    assert searcher.encoders
    judge = searcher.cross_encoder if cross else None
    settings = replace(MineSettings(), minimum_agreement=0.0)
    assert settings.per_query == NEGATIVES
    facts: dict[str, Any] = {}

    def run() -> Mined:
        judged = searcher.chunks.of_documents(judgement.document for judgement in task.judgements)
        projection = project(task.judgements, judged, searcher.document_text)
        report = mine(searcher, task.queries, projection, judge, settings, task.home)
        facts.update(verdicts=report.verdicts, agreement={k: v.auc for k, v in (report.agreement or {}).items()})
        mined: Mined = {}
        for row in read_ledger(task.home, report.ledger).rows:
            if row.verdict in (KEPT, RANDOM):
                mined.setdefault(row.query, []).append(row.chunk)
        return mined

    return run, facts


def sentence_transformers(task: Task, cross: bool) -> Loaded:
    """Return what mines from the texts, models loaded; their vectors are given."""
    from datasets import Dataset
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    class Given(SentenceTransformer):
        def encode_document(self, inputs: Any, **_: Any) -> Any:  # type: ignore[override]
            vectors = np.load(task.folder / VECTORS)
            assert len(vectors) == len(inputs)
            return vectors

    model = Given(str(model_directory(task.encoder, task.home)), device="cpu")
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


def embedding(task: Task, ours: bool) -> Loaded:
    """Return what embeds the first texts: as an ingest does, or as ``mine_hard_negatives`` does without a cache."""
    texts = read_json(task.folder / TEXTS)["texts"][: task.embedded]
    if ours:
        from indexing.encoders.document import load_document_encoder

        encode: Callable[[list[str]], Any] = load_document_encoder(task.encoder, task.home).embed
    else:
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(model_directory(task.encoder, task.home)), device="cpu")
        model.max_seq_length = task.encoder.max_tokens
        encode = partial(model.encode_document, normalize_embeddings=True, convert_to_numpy=True)
    encode(texts[:32])

    def run() -> Mined:
        encode(texts)
        return {}

    return run, {}


MINERS: dict[str, Callable[[Task], Loaded]] = {
    "specmine": lambda task: specmine(task, cross=False),
    "sentence-transformers": lambda task: sentence_transformers(task, cross=False),
    "specmine, cross-encoder": lambda task: specmine(task, cross=True),
    "sentence-transformers, cross-encoder": lambda task: sentence_transformers(task, cross=True),
    "specmine, embedding": lambda task: embedding(task, ours=True),
    "sentence-transformers, embedding": lambda task: embedding(task, ours=False),
}


class AnonymousMemory(threading.Thread):
    """The most anonymous memory that this process had: what is not mapped from files, and cannot be dropped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0

    def run(self) -> None:
        while True:
            self.peak = max(self.peak, memory_of("RssAnon"))
            time.sleep(0.02)


def memory_of(line: str) -> int:
    """Return bytes as the kernel tells them of this process; what getrusage tells begins with the parent's peak."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{line}:")[2].split(maxsplit=1)[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=[*MINERS])
    parser.add_argument("folder", type=Path)
    parser.add_argument("queries", type=int)
    arguments = parser.parse_args()
    memory = AnonymousMemory()
    memory.start()
    run, facts = MINERS[arguments.name](read_task(arguments.folder, arguments.queries))
    loaded = {"wall": time.perf_counter(), "cpu": time.process_time(), "anonymous": memory_of("RssAnon")}
    mined = run()
    facts |= {
        "wall": time.perf_counter() - loaded["wall"],
        "cpu": time.process_time() - loaded["cpu"],
        "loaded": loaded["anonymous"],
        "resident": memory_of("VmHWM"),
        "anonymous": memory.peak,
        "mined": mined,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
