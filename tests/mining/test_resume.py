"""A mining that is killed, at any batch of either stage, ends as if undisturbed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evaluation.judgements import Judgement, Query
from evaluation.projection import Projection, project
from indexing.home import Home
from indexing.ingest import ingest
from indexing.models.fetching import fetch
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import MS_MARCO_L12, WORDLLAMA
from mining.mine import mine
from mining.scoring import Progress
from mining.settings import MineSettings
from mining.sources import SOURCES
from samples import corpus

EDITIONS = ("fs-4100-2019", "fs-4100-2024")
# Sources that use vectors and words, a filter that asks for likeness, and the cross-encoder, always believed.
SETTINGS = MineSettings(
    sources=tuple(SOURCES), filters=("near_duplicates", "cross_encoder", "nearer_than_judged"), depth=8,
    minimum_agreement=0.0, agreement_sample=6,
)  # fmt: skip


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@dataclass
class Watch:
    """Counts what was done in both stages, and kills before or after it is on disk."""

    kill_at: int = -1
    done: int = 0

    def pass_by(self) -> None:
        self.done += 1
        if self.done == self.kill_at:
            raise Killed


@dataclass
class CompanyJudge:
    """Scores tell in which company a pair was scored, as the last bits of a real network's do."""

    watch: Watch
    spec: Any = field(default_factory=lambda: SimpleNamespace(name="company"))
    fingerprint: str = "c" * 64

    def judges(self, language: str) -> bool:
        return True

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        company = zlib.crc32(repr(pairs).encode()) % 1000 / 1e5
        logits = [-len(passage) / 99 + company + place / 1e3 for place, (_, passage) in enumerate(pairs)]
        self.watch.pass_by()
        return np.array(logits, dtype=np.float32)


class WatchedSearcher:
    """The real one; every search is counted."""

    def __init__(self, searcher: Searcher, watch: Watch) -> None:
        self._searcher = searcher
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._searcher, name)

    def runs(self, queries: Mapping[str, str], *arguments: Any, **more: Any) -> Any:
        found = self._searcher.runs(queries, *arguments, **more)
        self._watch.pass_by()
        return found


@pytest.fixture(scope="module")
def searcher(models_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    home = Home(tmp_path_factory.mktemp("samples") / "home")
    home.root.mkdir()
    fetch(WORDLLAMA.source, models_home)
    (home.root / "models").symlink_to(models_home.models.resolve())
    settings = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)
    ingest([path for path in corpus.documents() if path.stem in EDITIONS], home, settings)
    opened = Searcher.open(home, settings)
    yield opened
    opened.close()


def judged_queries(most: int) -> tuple[list[Query], list[Judgement]]:
    queries = [Query(row["id"], row["text"], "train") for row in corpus.queries("train") if "fs-4100" in row["id"]]
    wanted = {query.id for query in queries[:most]}
    judgements = [
        Judgement(row["query"], Path(row["document"]).stem + ".md", row["grade"], quote=row["quote"])
        for row in corpus.judgements("train")
        if row["query"] in wanted and Path(row["document"]).stem in EDITIONS
    ]
    return queries[:most], judgements


def ledgers(home: Home) -> list[dict[str, Any]]:
    """Every ledger's rows and queries as bytes, and its manifest but for what tells the time."""
    found = []
    for folder in sorted(path for path in home.ledgers.iterdir() if (path / "manifest.json").exists()):
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        rows, asked = ((folder / name).read_bytes() for name in ("rows.parquet", "queries.parquet"))
        found.append({**manifest, "id": "", "created": "", "rows.parquet": rows, "queries.parquet": asked})
    return found


@pytest.mark.models
@pytest.mark.slow
def test_killed_after_or_within_every_batch_the_ledger_is_the_same(
    searcher: Searcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mining.gathering._QUERIES_PER_BLOCK", 7)
    monkeypatch.setattr("mining.pair_scores._PAIRS_PER_BATCH", 40)
    queries, judgements = judged_queries(24)
    projection: Projection = project(judgements, searcher.chunks.values(), searcher.document_text)

    def mined(home: Home, kill_at: int = -1) -> Watch:
        watch = Watch(kill_at)
        mine(
            WatchedSearcher(searcher, watch),
            queries,
            projection,
            CompanyJudge(watch),
            SETTINGS,
            home,
            progress=lambda stage, done, total: watch.pass_by(),
        )
        return watch

    undisturbed = Home(tmp_path / "undisturbed")
    steps = mined(undisturbed).done
    (expected,) = ledgers(undisturbed)
    assert expected["agreement"]["en"]["distrust"] == ""
    assert expected["rows"] > 200
    # Searches (the hyperbolic source makes one more), batches of both stages of scoring, and reports of all.
    assert steps > 25
    again = 0
    for kill_at in range(1, steps + 1):
        home = Home(tmp_path / f"killed at {kill_at}")
        with pytest.raises(Killed):
            mined(home, kill_at)
        assert ledgers(home) == []
        again += mined(home).done - steps
        assert ledgers(home) == [expected]
        shutil.rmtree(home.root)
    assert again < 0  # what was on disk was not done again
    # Killed at its every fifth step until it ends.
    home = Home(tmp_path / "killed often")
    kills = 0
    while not ledgers(home):
        try:
            mined(home, kill_at=5)
        except Killed:
            kills += 1
    assert kills > 2
    assert ledgers(home) == [expected]


MINE = """
import os, signal, sys
from pathlib import Path
import mining.gathering, mining.pair_scores
import indexing.encoders.cross, indexing.encoders.document, indexing.encoders.query, indexing.stores.edge
from indexing.home import Home
from tests.mining.test_resume import mine_for_real

mining.gathering._QUERIES_PER_BLOCK, mining.pair_scores._PAIRS_PER_BATCH = 3, 12
first = {}
def kill_itself(stage, done, total):
    if done > first.setdefault(stage, done):
        os.kill(os.getpid(), signal.SIGKILL)  # one batch more is on disk

def status_of(home, tell):
    child = os.fork()  # nothing was opened yet; the models need not be imported for each
    if child == 0:
        mine_for_real(Home(Path(sys.argv[1])), Home(Path(home)), tell)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

assert status_of(sys.argv[2], lambda stage, done, total: None) == 0
while (status := status_of(sys.argv[3], kill_itself)) == -signal.SIGKILL:
    print("killed", flush=True)
sys.exit(status)
"""
REAL = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=MS_MARCO_L12)


def mine_for_real(indexed: Home, home: Home, tell: Progress) -> None:
    """Mine for seven queries with the encoder and the cross-encoder as they are."""
    searcher = Searcher.open(indexed, REAL)
    queries, judgements = judged_queries(7)
    projection = project(judgements, searcher.chunks.values(), searcher.document_text)
    settings = replace(SETTINGS, cross_budget=3, agreement_sample=2)
    mine(searcher, queries, projection, searcher.cross_encoder, settings, home, progress=tell)


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_sigkill_after_each_batch_of_the_real_models_changes_no_byte(searcher: Searcher, tmp_path: Path) -> None:
    fetch(MS_MARCO_L12.source, searcher.home)
    root = Path(__file__).parents[2]
    places = (searcher.home.root, tmp_path / "undisturbed", tmp_path / "killed")
    done = subprocess.run(
        [sys.executable, "-c", MINE, *map(str, places)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    (expected,) = ledgers(Home(tmp_path / "undisturbed"))
    assert expected["agreement"]["en"]["distrust"] == ""
    kills = done.stdout.split().count("killed")
    assert kills >= 3 + 3  # blocks of 3 of 7 queries; the sample, and two batches or more of the rest
    assert ledgers(Home(tmp_path / "killed")) == [expected]
    print(f"{kills} kills, {expected['rows']} rows, SHA-256 {expected['sha256']}")
