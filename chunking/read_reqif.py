"""ReqIF (OMG 1.2), also zipped: the hierarchy of a specification is its sections, every requirement is a clause.

A requirement's heading is its id and name; its text follows, then its other attributes, a paragraph each.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from chunking.archives import open_archive
from chunking.block_writer import BlockWriter
from chunking.document import Document, UnreadableError
from chunking.limits import ReadLimits

_DEEPEST = 400
_NAMES = ("ReqIF.Name", "Name", "Title", "Object Short Text")
_CHAPTERS = ("ReqIF.ChapterName", "ChapterName", "Object Heading", "Heading")
_TEXTS = ("ReqIF.Text", "Text", "Description", "Object Text", "Statement")
_IDS = ("ReqIF.ForeignID", "ForeignID", "ID", "Req ID", "Requirement ID", "Object Identifier")
_BREAKS = frozenset("p div li ul ol tr table h1 h2 h3 h4 h5 h6 pre blockquote dt dd".split())


def read_reqif(path: Path, document_id: str, limits: ReadLimits) -> Document:
    """Read a ReqIF file. Raises UnreadableError."""
    if path.stat().st_size > limits.unpacked_megabytes * 1_000_000:
        raise UnreadableError(f"more than {limits.unpacked_megabytes} MB of XML")
    writer = BlockWriter(limits)
    title = _write(writer, path.read_bytes())
    return writer.document(path, document_id, title, "reqif")


def read_reqifz(path: Path, document_id: str, limits: ReadLimits) -> Document:
    """Read all ReqIF files of a zipped ReqIF. Raises UnreadableError."""
    writer = BlockWriter(limits)
    titles = []
    with open_archive(path, limits) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith(".reqif"))
        if not names:
            raise UnreadableError("no .reqif file in the ZIP file")
        for name in names:
            try:
                data = archive.read(name)
            except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:  # the last: a method not known to it
                raise UnreadableError(f"damaged ZIP file: {error}") from None
            titles.append(_write(writer, data))
    return writer.document(path, document_id, titles[0] if len(titles) == 1 else "", "reqif")


def _write(writer: BlockWriter, data: bytes) -> str:
    """Write what the file holds and return its title."""
    try:
        root = fromstring(data, forbid_dtd=True)
    except DefusedXmlException:
        raise UnreadableError("the XML has a document type with entities of its own: refused") from None
    except (ParseError, ValueError) as error:
        raise UnreadableError(f"damaged XML: {error}") from None
    if _tag(root) != "REQ-IF":
        raise UnreadableError(f"not a ReqIF file: its root is <{_tag(root)[:60]}>")
    names = {
        element.get("IDENTIFIER", ""): element.get("LONG-NAME") or element.get("IDENTIFIER", "")
        for element in root.iter()
        if _tag(element).startswith(("ATTRIBUTE-DEFINITION-", "ENUM-VALUE")) and element.get("IDENTIFIER")
    }
    objects = {e.get("IDENTIFIER", ""): e for e in root.iter() if _tag(e) == "SPEC-OBJECT"}
    specifications = [element for element in root.iter() if _tag(element) == "SPECIFICATION"]
    shown: set[str] = set()
    for specification in specifications:
        name = specification.get("LONG-NAME") or specification.get("IDENTIFIER", "")
        if len(specifications) > 1:
            writer.heading(name, 1)
        for depth, key in _hierarchy(specification):
            if key in objects:
                shown.add(key)
                _write_object(writer, objects[key], names, depth + (len(specifications) > 1))
    if rest := [key for key in objects if key not in shown]:
        writer.warnings.append(f"{len(rest)} requirements stand in no specification: put at the end")
        for key in rest:
            _write_object(writer, objects[key], names, 1)
    title = next((e.text or "" for e in root.iter() if _tag(e) == "TITLE"), "")
    return title or (specifications[0].get("LONG-NAME") or "" if len(specifications) == 1 else "")


def _hierarchy(specification: Element) -> Iterator[tuple[int, str]]:
    """Yield depth (from 1) and object of every place in a specification, in order."""
    stack = [(0, element) for element in reversed(list(specification))]
    while stack:
        depth, element = stack.pop()
        if _tag(element) == "SPEC-HIERARCHY":
            depth += 1
            if depth > _DEEPEST:
                raise UnreadableError(f"requirements are nested more than {_DEEPEST} deep")
            reference = next((e for e in element.iterfind("{*}OBJECT/{*}SPEC-OBJECT-REF")), None)
            yield depth, ((reference.text or "").strip() if reference is not None else "")
        if _tag(element) in ("SPEC-HIERARCHY", "CHILDREN"):
            stack += [(depth, child) for child in reversed(list(element))]


def _write_object(writer: BlockWriter, element: Element, names: dict[str, str], level: int) -> None:
    values = {name: text for name, text in _values(element, names) if text}
    chapter, name, text = (_take(values, known) for known in (_CHAPTERS, _NAMES, _TEXTS))
    number = _take(values, _IDS) or element.get("LONG-NAME") or ("" if chapter else element.get("IDENTIFIER", ""))
    writer.heading(" ".join(filter(None, (number, chapter, name))), level)
    for paragraph in text.splitlines():
        writer.write("paragraph", paragraph)
    for attribute, value in values.items():
        writer.write("paragraph", f"{attribute}: {value}")


def _take(values: dict[str, str], known: tuple[str, ...]) -> str:
    """Take the first of the known attributes that the requirement has out of its values."""
    lower = {name.lower(): name for name in values}
    found = next((lower[name.lower()] for name in known if name.lower() in lower), None)
    return values.pop(found) if found else ""


def _values(element: Element, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield name and text of every attribute of a requirement."""
    for value in element.iterfind("{*}VALUES/*"):
        definition = next((e.text or "" for e in value.iterfind("{*}DEFINITION/*")), "").strip()
        name = names.get(definition, definition)
        if _tag(value) == "ATTRIBUTE-VALUE-XHTML":
            yield name, "\n".join(_xhtml_text(e) for e in value.iterfind("{*}THE-VALUE")).strip()
        elif _tag(value) == "ATTRIBUTE-VALUE-ENUMERATION":
            chosen = [(e.text or "").strip() for e in value.iterfind("{*}VALUES/*")]
            yield name, ", ".join(names.get(key, key) for key in chosen)
        else:
            yield name, value.get("THE-VALUE", "").strip()


def _xhtml_text(root: Element) -> str:
    """Return the text of XHTML, a line for every paragraph, list item and row of a table."""
    parts: list[str] = []
    stack: list[Element | str] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        tag = _tag(item)
        edge = "\f" if tag in _BREAKS or tag == "br" else " | " if tag in ("td", "th") else ""
        parts += [edge if tag in _BREAKS or tag == "br" else "", item.text or ""]
        after: list[Element | str] = [edge]
        for child in reversed(list(item)):
            after += [child.tail or "", child]
        stack += after
    lines = (" ".join(line.split()).removesuffix("|").strip() for line in "".join(parts).split("\f"))
    return "\n".join(filter(None, lines))


def _tag(element: Element) -> str:
    return re.sub(r"\{.*\}", "", element.tag)
