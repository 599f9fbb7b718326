"""The pages whose truth was written down by eye: what is read of them, with the goals that hold over all of them."""

from __future__ import annotations

from collections.abc import Callable
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
def scores(data_folder: Callable[[str], Path]) -> dict[str, truth.Scores]:
    folder = data_folder("pdfs")
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
