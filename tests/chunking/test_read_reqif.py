"""ReqIF as requirement tools export it: hierarchy, ids, XHTML, enumerations; zipped and not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from chunking.document import Document, UnreadableError
from chunking.limits import ReadLimits
from chunking.read_reqif import read_reqif, read_reqifz
from chunking.sections import sections
from tests.chunking.hostile.office import reqif, requirement
from tests.chunking.reqif_bundle import brakes

TREE = """<SPEC-HIERARCHY IDENTIFIER="h1"><OBJECT><SPEC-OBJECT-REF>o1</SPEC-OBJECT-REF></OBJECT><CHILDREN>
<SPEC-HIERARCHY IDENTIFIER="h2"><OBJECT><SPEC-OBJECT-REF>o2</SPEC-OBJECT-REF></OBJECT></SPEC-HIERARCHY>
<SPEC-HIERARCHY IDENTIFIER="h3"><OBJECT><SPEC-OBJECT-REF>o3</SPEC-OBJECT-REF></OBJECT></SPEC-HIERARCHY>
</CHILDREN></SPEC-HIERARCHY>"""
OBJECTS = (
    requirement("o1", chapter="Brakes")
    + requirement("o2", "BRK-1", "<p>Stop within <b>900</b> m.</p><ul><li>wet</li><li>dry</li></ul>", priority="high")
    + requirement("o3", "BRK-2", "<table><tr><td>M6</td><td>9 Nm</td></tr><tr><td>M8</td><td>22 Nm</td></tr></table>")
    + requirement("o4", "BRK-3", "Forgotten.")
)


def clauses(document: Document) -> list[tuple[tuple[str, ...], list[str]]]:
    return [(s.path, [document.text[b.start : b.end] for b in s.body]) for s in sections(document)]


def test_the_hierarchy_is_the_sections_and_every_requirement_a_clause(tmp_path: Path) -> None:
    path = tmp_path / "a.reqif"
    path.write_bytes(reqif(OBJECTS, TREE))
    document = read_reqif(path, "a.reqif", ReadLimits())
    expected = [
        (("Brakes", "BRK-1"), ["Stop within 900 m.", "wet", "dry", "Priority: high"]),
        (("Brakes", "BRK-2"), ["M6 | 9 Nm", "M8 | 22 Nm"]),
        (("BRK-3",), ["Forgotten."]),
    ]
    assert document.title == "Brake system"
    assert clauses(document) == expected
    assert document.warnings == ("1 requirements stand in no specification: put at the end",)
    zipped = tmp_path / "a.reqifz"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("export/a.reqif", path.read_bytes())
        archive.writestr("export/picture.png", b"\x89PNG")
    assert clauses(read_reqifz(zipped, "a.reqifz", ReadLimits())) == expected


def test_a_zip_without_reqif_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.reqifz", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(UnreadableError, match=r"no \.reqif file in the ZIP file"):
        read_reqifz(tmp_path / "a.reqifz", "a.reqifz", ReadLimits())


def test_a_file_written_by_another_library_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.reqif"
    path.write_bytes(brakes())
    document = read_reqif(path, "a.reqif", ReadLimits())
    assert (document.title, document.warnings) == ("Brake system", ())
    assert clauses(document) == [
        (("Brakes", "BRK-1"), ["Stop within 900 m & hold."]),
        (("Brakes", "Pads", "BRK-2"), ["Wear 3 mm.", "制動", "Priority: must"]),
    ]
