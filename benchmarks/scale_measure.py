"""What an index of one size takes on this machine, and what a passage takes of each encoder.

Documents of twenty clauses with the static encoder of the profile "fast", in the embedded engine: processor seconds of
a first ingest, of one that brings ten documents more, and of a search; memory of both; bytes on disk by folder.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.incremental import specification
from indexing.home import Home
from indexing.ingest import ingest
from indexing.rates import cpu_seconds, lines, peak_megabytes
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import PROFILES, WORDLLAMA

CLAUSES = 20
MORE = 10
_SEARCHES = 60
_EMBEDDED = 24
SETTINGS = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a process of its own, whose memory is that of the function alone."""
    context = multiprocessing.get_context("fork")  # what is imported already is not imported again
    results = context.SimpleQueue()
    child = context.Process(target=lambda: results.put(function(*arguments)))
    child.start()
    child.join()
    if child.exitcode:
        raise RuntimeError(f"{function.__name__} failed")
    return results.get()


def write_documents(folder: Path, first: int, count: int) -> None:
    """Write documents that differ in every clause."""
    for number in range(first, first + count):
        text = specification(CLAUSES).replace("µm", f"µm in series {number}")
        (folder / f"spec-{number:06d}.md").write_text(text, encoding="utf-8")


def taken(home: Home, folder: Path) -> dict[str, float]:
    """Ingest; return processor and clock seconds and the passages of the index."""
    cpu, clock = cpu_seconds(), time.monotonic()
    report = ingest([folder], home, SETTINGS)
    return {"cpu": cpu_seconds() - cpu, "wall": time.monotonic() - clock, "passages": report.chunks}


def searched(root: Path) -> dict[str, float]:
    """Open the index and search it; return what that took."""
    cpu = cpu_seconds()
    searcher = Searcher.open(Home(root), SETTINGS)
    opened, clocks = cpu_seconds() - cpu, []
    cpu = cpu_seconds()
    for number in range(_SEARCHES):
        clock = time.monotonic()
        searcher.search(f"deviation of the bearing of class {number}", 10)
        clocks.append(time.monotonic() - clock)
    spent = (cpu_seconds() - cpu) / _SEARCHES
    searcher.close()
    return {
        "open": opened,
        "cpu": spent,
        "median_wall": statistics.median(clocks),
        "megabytes": peak_megabytes(children=True),
    }


def one_size(passages: int, models: Path) -> dict[str, object]:
    """Measure an index of about so many passages."""
    with tempfile.TemporaryDirectory(prefix="specmine-scale-") as name:
        root, folder = Path(name) / "home", Path(name) / "specs"
        folder.mkdir()
        root.mkdir()
        (root / "models").symlink_to(models.resolve())
        count = passages // CLAUSES
        write_documents(folder, 0, count)
        first = taken(Home(root), folder)
        peak = peak_megabytes(children=True)
        stages = {line["stage"]: line["cpu_seconds"] for line in lines(Home(root), "rates.jsonl")}
        folders = ("documents", "vectors", "generations")
        disk = {part: _bytes(root / part) for part in folders}
        write_documents(folder, count, MORE)
        more = taken(Home(root), folder)
        search = in_child(searched, root)
    return {"first": first, "more": more, "search": search, "stages": stages, "megabytes": peak, "disk": disk}


def encoders(models: Path) -> dict[str, float]:
    """Return processor seconds for a passage of about 240 tokens by each encoder of the default profile."""
    from indexing.encoders.document import load_document_encoder

    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "models").symlink_to(models.resolve())
        text = " ".join(specification(3).split()[:170])
        spent = {}
        for spec in PROFILES["default"]:
            encoder = load_document_encoder(spec, Home(Path(name)))
            encoder.embed([text])
            cpu = cpu_seconds()
            encoder.embed([f"{number} {text}" for number in range(_EMBEDDED)])
            spent[spec.name] = (cpu_seconds() - cpu) / _EMBEDDED
    return spent


def _bytes(folder: Path) -> int:
    """Return what the files take on disk: the engine makes files of 32 MB that are mostly empty."""
    return sum(512 * path.stat().st_blocks for path in folder.rglob("*") if path.is_file())
