"""The pages whose truth was written down by eye: what is read of them, with the goals that hold over all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest

from chunking.document import Document
from tests.chunking import truth

pytestmark = pytest.mark.data

GOALS = {
    "recall": 0.95, "precision": 0.95, "running": 0.99, "body": 1.0, "labels": 0.95, "order": 1.0,
    "starts": 0.95, "joined": 0.95, "kinds": 0.95,
}  # fmt: skip


@pytest.fixture(scope="module")
def scores(
    data_folder: Callable[[str], Path], read_real_pdf: Callable[[str], Document]
) -> dict[str, dict[str, truth.Scores]]:
    """The scores of every document, by set of truth."""
    folder = data_folder("pdfs")
    sets = {name: truth.load(name) for name in truth.SETS}
    found: dict[str, dict[str, truth.Scores]] = {name: {} for name in sets}
    for document in sorted(set().union(*sets.values())):
        for name, pages in sets.items():
            if document in pages:
                found[name][document] = truth.score(read_real_pdf(document), folder / document, pages[document])
    for name, of_set in found.items():
        print(f"\n{name}\n{truth.table(of_set)}")
    return found


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", truth.SETS)
@pytest.mark.parametrize("measure", truth.MEASURES)
def test_the_pages_are_read_as_the_eye_reads_them(
    scores: dict[str, dict[str, truth.Scores]], measure: str, name: str
) -> None:
    total = truth.Scores()
    for one in scores[name].values():
        total.add(one)
    assert getattr(total, measure).value >= GOALS[measure], [*total.faults]


def test_the_pages_held_out_are_those_of_the_lot(data_folder: Callable[[str], Path]) -> None:
    lengths = {}
    for path in data_folder("pdfs").glob("*.pdf"):
        with pypdfium2.PdfDocument(path) as document:
            lengths[path.name] = len(document)
    held_out = {name: page["page"] for name, (page,) in truth.load("truth_held_out").items()}
    assert held_out == truth.drawn_by_lot(lengths)
