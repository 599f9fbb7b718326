"""Pages of a PDF read by docling: a program that the reader of ``chunking.read_docling`` runs, a range of pages a run.

It may run under another interpreter than specmine's, where docling has an environment of its own: so it knows nothing
but the standard library and docling, and is started by its path. With ``--versions`` it tells what is installed. Else
it takes its settings as JSON in the first argument and the PDF on standard input, and writes ``READY`` once docling and
its models are loaded, then JSON: ``{"failed": {"6": "why"}, "recognised": [5], "items": [...]}``.

A page neither failed nor named by an item is empty. An item has a kind (of ``chunking.document``, or "title", or
"running" for page headers and footers), its text, and its parts: the page, how many characters, counted from the end,
stand on this page and those after it, and the box in points from the lower left corner of the page. A table has a
caption, columns and rows in place of text.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (  # that decide what is read, and whether anything can be
    *("docling-slim", "docling-core", "docling-parse", "docling-ibm-models"),
    *("torch", "torchvision", "transformers"),
)
READY = "ready\n"
_MEGABYTE = 1024 * 1024
_LONGEST_REASON = 300
_KINDS = {
    "title": "title",
    "section_header": "heading",
    "field_heading": "heading",
    "list_item": "list",
    "checkbox_selected": "list",
    "checkbox_unselected": "list",
    "caption": "caption",
    "footnote": "footnote",
    "code": "code",
    "document_index": "contents",
    "page_header": "running",
    "page_footer": "running",
}
_CHECKBOXES = {"checkbox_selected": "☒", "checkbox_unselected": "☐"}
_LEFT_OUT = ("furniture", "background")


def main() -> None:
    """Write what docling makes of the pages asked for, or which versions are installed."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not mix with the answer
    if sys.argv[1] == "--versions":
        answer.write(json.dumps(versions()))
    else:
        settings = json.loads(sys.argv[1])
        limit = settings["memory_mb"] * _MEGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        converter = _converter(Path(settings["artifacts"]), settings["languages"])
        answer.write(READY)
        answer.flush()
        answer.write(json.dumps(convert(converter, sys.stdin.buffer.read(), settings["first"], settings["last"])))
    answer.flush()
    os._exit(0)  # without waiting for threads of docling that hang on a page


def versions() -> dict[str, str]:
    """Return the versions of docling's packages that are installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def convert(converter: Any, content: bytes, first: int, last: int) -> dict[str, Any]:
    """Return what docling makes of the pages ``first`` to ``last`` of a PDF."""
    from docling.datamodel.base_models import DocumentStream

    source = DocumentStream(name="document.pdf", stream=io.BytesIO(content))
    result = converter.convert(source, raises_on_error=False, page_range=(first, last))
    failed = {error.page_no: _shortened(error.error_message) for error in result.errors if error.page_no}
    others = [_shortened(error.error_message) for error in result.errors if not error.page_no]
    pages = {page.page_no for page in result.pages} - set(failed)
    for number in range(first, last + 1):
        if number not in pages:
            failed.setdefault(number, others[0] if others else "docling returned nothing for it")
    scores = result.confidence.pages
    return {
        "failed": {str(number): failed[number] for number in sorted(failed)},
        "recognised": [
            n for n in sorted(pages) if n in scores and scores[n].ocr_score == scores[n].ocr_score
        ],  # no NaN
        "items": list(items(result.document)),
    }


def _converter(artifacts: Path, languages: list[str]) -> Any:
    """Return docling's converter of PDFs with its models loaded; with ``languages`` scanned pages are recognised."""
    from docling.datamodel.accelerator_options import AcceleratorOptions
    from docling.datamodel.base_models import InputFormat
    from docling.datamodel.pipeline_options import PdfPipelineOptions, TesseractCliOcrOptions
    from docling.document_converter import DocumentConverter, PdfFormatOption

    options = PdfPipelineOptions(
        artifacts_path=artifacts,
        accelerator_options=AcceleratorOptions(device="cpu", num_threads=os.cpu_count() or 1),
        do_ocr=bool(languages),
        ocr_options=TesseractCliOcrOptions(lang=languages),
    )
    form = PdfFormatOption(pipeline_options=options)
    converter = DocumentConverter(allowed_formats=[InputFormat.PDF], format_options={InputFormat.PDF: form})
    converter.initialize_pipeline(InputFormat.PDF)
    return converter


def items(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the items of a DoclingDocument in reading order, as described at the head of this file."""
    for node in _nodes(document, document.body):
        if table := getattr(node, "data", None):
            captions, footnotes = _texts(document, node.captions), _texts(document, node.footnotes)
            above = [item for item in captions if _stands_above(item, node)]
            yield from (_item(document, item) for item in above)
            yield _table(document, node, table, " ".join(item.text for item in captions))
            yield from (_item(document, item) for item in (*captions, *footnotes) if item not in above)
        elif getattr(node, "text", "") or getattr(node, "orig", ""):
            yield _item(document, node)


def _nodes(document: Any, parent: Any) -> Iterator[Any]:
    """Yield what is below a node; of a table only itself: what is below it are its captions, footnotes and cells."""
    for reference in parent.children:
        node = reference.resolve(document)
        yield node
        if not hasattr(node, "data"):
            yield from _nodes(document, node)


def _texts(document: Any, references: list[Any]) -> list[Any]:
    return [reference.resolve(document) for reference in references]


def _stands_above(caption: Any, table: Any) -> bool:
    if not caption.prov or not table.prov:
        return True
    ours, theirs = caption.prov[0], table.prov[0]
    return bool(ours.page_no < theirs.page_no or (ours.page_no == theirs.page_no and ours.bbox.t >= theirs.bbox.t))


def _item(document: Any, node: Any) -> dict[str, Any]:
    label, text = node.label.value, node.text or node.orig
    kind = "running" if node.content_layer.value in _LEFT_OUT else _KINDS.get(label, "paragraph")
    marker = getattr(node, "marker", "") or _CHECKBOXES.get(label, "")
    if kind == "list" and marker and not text.startswith(marker):
        text = f"{marker} {text}"
    return {"kind": kind, "level": getattr(node, "level", 0), "text": text, "parts": _parts(document, node)}


def _parts(document: Any, node: Any) -> list[list[Any]]:
    """Return page, characters up to the end of the text, and box of every place that an item stands at.

    A text that docling joined over the end of a page has a place for each part; only the lengths of those after the
    first can be relied on, since a hyphen between them is gone.
    """
    parts: list[list[Any]] = []
    rest = 0
    for place in reversed(node.prov):
        box = place.bbox.to_bottom_left_origin(document.pages[place.page_no].size.height)
        rest += place.charspan[1] - place.charspan[0]
        parts.insert(0, [place.page_no, rest, [round(edge, 1) for edge in (box.l, box.b, box.r, box.t)]])
    return parts


def _table(document: Any, node: Any, data: Any, caption: str) -> dict[str, Any]:
    """Return a table; a cell over several columns stands in the first, in a header in each, one over rows in each."""
    grid = data.grid
    head = 0
    while head < len(grid) and any(cell.column_header for cell in grid[head]):
        head += 1
    if head == len(grid):
        head = 0
    texts = [[_cell(document, cell) for cell in row] for row in grid]
    columns = [" ".join(dict.fromkeys(filter(None, name))) for name in zip(*texts[:head], strict=True)]
    rows = [
        [text if cell.start_col_offset_idx == column else "" for column, (cell, text) in enumerate(pairs)]
        for pairs in (zip(row, line, strict=True) for row, line in zip(grid[head:], texts[head:], strict=True))
    ]
    kind = "running" if node.content_layer.value in _LEFT_OUT else _KINDS.get(node.label.value, "table")
    return {"kind": kind, "caption": caption, "columns": columns, "rows": rows, "parts": _parts(document, node)}


def _cell(document: Any, cell: Any) -> str:
    """Return the text of a cell; that of a rich one stands in a group of items."""
    if reference := getattr(cell, "ref", None):
        group = reference.resolve(document)
        inner = [getattr(node, "text", "") for node in (group, *_nodes(document, group))]
        return " ".join(filter(None, inner)) or str(cell.text)
    return str(cell.text)


def _shortened(message: str) -> str:
    return " ".join(message.split())[:_LONGEST_REASON]


if __name__ == "__main__":
    main()
