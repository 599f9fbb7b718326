"""The section paths of judged RFC spans against the section numbers that the judgements give independently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from chunking.document import Document
from chunking.limits import ReadLimits
from chunking.readers import read
from chunking.sections import sections
from tests.chunking import judged_rfcs

pytestmark = pytest.mark.data

WANTED = 0.98


def paths_by_span(document: Document) -> list[tuple[int, int, tuple[str, ...]]]:
    """The span of every section, headings included, and its path."""
    found = []
    for section in sections(document):
        blocks = (*section.headings, *section.body)
        found.append((min(block.start for block in blocks), max(block.end for block in blocks), section.path))
    return found


def kind_of_failure(path: tuple[str, ...], wanted: str) -> str:
    """Say in what way a path is not that of the wanted section."""
    numbers = [judged_rfcs.number_of(heading) for heading in path]
    if not path:
        return "in no section"
    if not any(numbers):
        return "under a heading without a number"
    if wanted.startswith(f"{numbers[-1]}."):
        return "in the parent section: a heading was missed"
    return "in another section"


def test_judged_spans_begin_in_the_section_they_were_judged_to_be(data_folder: Callable[[str], Path]) -> None:
    rfcs = data_folder("rfc")
    ends = total = 0
    failures: list[tuple[str, str, str]] = []
    for name, places in sorted(judged_rfcs.sections(rfcs).items()):
        document = read(rfcs / "documents" / name, name, ReadLimits())
        spans = paths_by_span(document)
        for wanted, start in {(number, start) for number, start, _ in places}:
            total += 1
            # The start may lie on the white space before the heading, which is in no section.
            path = next((path for first, last, path in spans if start < last), ())
            numbers = [judged_rfcs.number_of(heading) for heading in path]
            if numbers and numbers[-1] == wanted:
                ends += 1
            # A section without text of its own leads on into its first subsection.
            elif not numbers or wanted not in numbers:
                failures.append((kind_of_failure(path, wanted), name, wanted))
    held = total - len(failures)
    print(f"\n{held} of {total} judged sections ({held / total:.2%}); {ends} paths end in the judged number")
    for kind, count in Counter(kind for kind, _, _ in failures).most_common():
        print(f"{count} × {kind}: {[place for place in failures if place[0] == kind][:10]}")
    assert total > 1900
    assert held / total >= WANTED
