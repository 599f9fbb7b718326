"""How fast PDFs are read, beside the bare text extraction of pypdfium2 and pypdf, on the same files in the same run.

    python -m benchmarks.reading FOLDER [--rounds 3] [--without-pypdf] [--json]

One core: every round reads each document with all of them, one after another, so that what else the machine does
weighs on all alike; a ratio is the median over the rounds of the reader's pages/s by the other's. Ours gives blocks,
headings, tables and places, the others a string for each page. Seconds are of processor time. Then the worker pool
reads, cuts and stores the same documents with one process and with two, by the clock. "In" are the pages that the file
has by pypdfium2, "accounted" those that our document has.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pypdf
import pypdfium2
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from chunking.limits import ReadLimits
from chunking.readers import read
from chunking.splitters import ChunkSettings
from chunking.worker import RARELY, Job, Read, read_and_chunk_all

OURS, PDFIUM, PYPDF = "specmine", "pypdfium2", "pypdf"


def with_specmine(path: Path) -> int:
    return len(read(path, path.name, ReadLimits()).pages)


def with_pypdfium2(path: Path) -> int:
    with pypdfium2.PdfDocument(path) as document:
        for number in range(len(document)):
            page = document[number]
            text = page.get_textpage()
            text.get_text_range()
            text.close()
            page.close()
        return len(document)


def with_pypdf(path: Path) -> int:
    pages = pypdf.PdfReader(path).pages
    for page in pages:
        page.extract_text()
    return len(pages)


READERS: dict[str, Callable[[Path], int]] = {OURS: with_specmine, PDFIUM: with_pypdfium2, PYPDF: with_pypdf}


def timed(read_one: Callable[[Path], int], path: Path) -> tuple[int, float]:
    """Return the pages and the seconds of processor time, which other work on the machine does not lengthen much."""
    began = time.process_time()
    pages = read_one(path)
    return pages, time.process_time() - began


def pool_seconds(paths: list[Path], workers: int) -> tuple[float, float]:
    """Return how long the pool takes to read, cut and store all the documents: by the clock, and of processor time."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = Path(folder) / "tokenizer.json"
        words = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
        words.pre_tokenizer = Whitespace()
        words.save(str(tokenizer))
        jobs = [Job(path, path.name, Path(folder) / path.name) for path in paths]
        began, used = time.monotonic(), processes_seconds()
        for result in read_and_chunk_all(jobs, ReadLimits(), ChunkSettings(), [tokenizer], workers):
            assert isinstance(result, Read), result
        return time.monotonic() - began, processes_seconds() - used


def processes_seconds() -> float:
    """Return the processor time that this process and all those it started and that ended have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def row(document: str, pages: dict[str, int], seconds: dict[str, list[float]]) -> dict[str, str | int | float]:
    """Return a row of the table, given each reader's pages and its seconds in every round."""
    pages_in = pages[PDFIUM]
    cells: dict[str, str | int | float] = {"document": document, "pages in": pages_in, "accounted": pages[OURS]}
    cells |= {f"{name} s": round(statistics.median(took), 2) for name, took in seconds.items()}
    cells |= {f"{name} pages/s": round(pages_in / statistics.median(took)) for name, took in seconds.items()}
    for other, took in seconds.items():
        if other != OURS:
            ratios = [theirs / ours for ours, theirs in zip(seconds[OURS], took, strict=True)]
            cells[f"to {other}"] = round(statistics.median(ratios), 2)
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-pypdf", action="store_true", help="pypdf takes most of the time")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    paths = sorted(arguments.folder.glob("*.pdf"))
    if not paths:
        sys.exit(f"no PDF in {arguments.folder}")
    gc.set_threshold(*RARELY)  # for all of them, as the processes of the pool have it
    names = [name for name in READERS if name != PYPDF or not arguments.without_pypdf]

    pages: dict[str, dict[str, int]] = {path.name: {} for path in paths}
    seconds: dict[str, dict[str, list[float]]] = {path.name: {name: [] for name in names} for path in paths}
    for _ in range(arguments.rounds):
        for path in paths:
            for name in names:
                pages[path.name][name], took = timed(READERS[name], path)
                seconds[path.name][name].append(took)

    rows = [row(path.name, pages[path.name], seconds[path.name]) for path in paths]
    total_pages = {name: sum(pages[path.name][name] for path in paths) for name in names}
    total_seconds = {
        name: [sum(took) for took in zip(*(seconds[path.name][name] for path in paths), strict=True)] for name in names
    }
    rows.append(row("all", total_pages, total_seconds))

    pool = {workers: pool_seconds(paths, workers) for workers in (1, 2)}
    if arguments.json:
        print(json.dumps({"documents": rows, "pool_seconds": pool, "rounds": arguments.rounds}, indent=1))
        return
    print("| " + " | ".join(rows[0]) + " |\n|---" + "|---:" * (len(rows[0]) - 1) + "|")
    for cells in rows:
        print("| " + " | ".join(map(str, cells.values())) + " |")
    for workers, (clock, used) in pool.items():
        print(f"\nThe pool with {workers} process{'es' * (workers > 1)}: {clock:.1f} s by the clock, ", end="")
        print(f"{used:.1f} s of processor time, {total_pages[PDFIUM] / clock:.0f} pages/s read, cut and stored")
    print(f"\nTwo processes are {pool[1][0] / pool[2][0]:.2f} times as fast as one; ", end="")
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
