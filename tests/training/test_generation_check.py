"""A re-index is judged by queries: what loses their answers is worse, by more than the tolerance or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation.catalogue import Catalogue
from evaluation.judgements import Judgement, Query
from indexing.home import Home
from indexing.ingest import ingest
from indexing.models.fetching import fetch
from indexing.reindexing.settings import ReindexSettings
from indexing.releases import Release, read_release
from indexing.settings import IndexSettings
from indexing.specs import WORDLLAMA
from training.generation_check import judge_by_queries

pytestmark = pytest.mark.models

SETTINGS = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)
TEXTS = {
    "bolt.md": "# Bolt\n\nThe tightening torque of the flange bolt is 81 newton metres.\n",
    "pump.md": "# Pump\n\nThe pump shall start within three seconds after the signal.\n",
}


@pytest.fixture
def releases(home: Home, models_home: Home, tmp_path: Path) -> tuple[Release, Release]:
    """A release of both documents, and one of the first alone."""
    fetch(WORDLLAMA.source, models_home)
    home.root.mkdir(parents=True, exist_ok=True)
    (home.root / "models").symlink_to(models_home.models.resolve())
    folder = tmp_path / "specs"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    first = ingest([folder], home, SETTINGS).release
    (folder / "pump.md").unlink()
    second = ingest([folder], home, SETTINGS, prune=True).release
    return read_release(home, first), read_release(home, second)


@pytest.fixture
def book(home: Home) -> Iterator[Catalogue]:
    opened = Catalogue(home.catalogue_url)
    yield opened
    opened.close()


def judge_all(book: Catalogue) -> None:
    queries = [Query("q1", "torque of the flange bolt", "dev"), Query("q2", "pump start after signal", "dev")]
    judgements = [Judgement("q1", "bolt.md", quote="81 newton"), Judgement("q2", "pump.md", quote="three seconds")]
    book.import_split("dev", queries, judgements)


@pytest.mark.parametrize(("tolerance", "is_worse"), [(0.01, True), (0.5, False)])
def test_a_lost_answer_counts_nothing(
    home: Home, releases: tuple[Release, Release], book: Catalogue, tolerance: float, is_worse: bool
) -> None:
    judge_all(book)
    rule = ReindexSettings(tolerance=tolerance)
    judged = judge_by_queries(home, SETTINGS, book, rule, lambda *_: None)(*releases)
    # Each answer is found first by the first release; one of the two is in no document of the second.
    assert (judged.measured["before"], judged.measured["after"], judged.measured["queries"]) == (1.0, 0.5, 2)
    assert (judged.worse is not None) == is_worse
    if judged.worse:
        assert "nDCG@10 on 2 queries of dev is 0.5000, 0.5000 below" in judged.worse
    back = judge_by_queries(home, SETTINGS, book, rule, lambda *_: None)(releases[1], releases[0])
    assert (back.worse, back.measured["difference"]) == (None, 0.5)


def test_without_judged_queries_nothing_is_compared(
    home: Home, releases: tuple[Release, Release], book: Catalogue
) -> None:
    judged = judge_by_queries(home, SETTINGS, book, ReindexSettings(), lambda *_: None)(*releases)
    assert judged.measured == {"split": "dev", "queries": 0} and judged.worse is None
