"""The pages whose truth was written down by eye: what is read of them, with the goals that hold over all of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chunking.limits import ReadLimits
from chunking.read_pdf import read_pdf
from tests.chunking import truth

pytestmark = pytest.mark.data

GOALS = {
    "recall": 0.95, "precision": 0.95, "running": 0.99, "body": 1.0, "labels": 0.95, "order": 1.0,
    "starts": 0.95, "joined": 0.95, "kinds": 0.95,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Path:
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("SPECMINE_TEST_DATA", beside)) / "pdfs"
    if not folder.is_dir():
        pytest.skip("the documents are not there: set SPECMINE_TEST_DATA to the folder that has pdfs/")
    return folder


@pytest.fixture(scope="module")
def scores(folder: Path) -> dict[str, truth.Scores]:
    found = {
        name: truth.score(read_pdf(folder / name, name, ReadLimits()), folder / name, pages)
        for name, pages in truth.load().items()
    }
    print("\n" + truth.table(found))
    return found


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("measure", truth.MEASURES)
def test_the_pages_are_read_as_the_eye_reads_them(scores: dict[str, truth.Scores], measure: str) -> None:
    total = truth.Scores()
    for one in scores.values():
        total.add(one)
    assert getattr(total, measure).value >= GOALS[measure], [*total.faults]
