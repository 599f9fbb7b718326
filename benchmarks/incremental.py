"""One clause of a long document edited, and its file renamed: what is done again, and what that costs.

    python -m benchmarks.incremental --clauses 20000 --models var/models

writes a specification of ten clauses a page into a fresh home with the static encoder of the profile "fast", and prints
for the first ingest, the edit of one clause in the middle, and the renaming: seconds by stage, passages, passages
embedded.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from indexing.home import Home
from indexing.ingest import ingest
from indexing.settings import IndexSettings
from indexing.specs import WORDLLAMA

PARTS = ("flange", "gasket", "spindle", "bearing", "coupling", "impeller", "bellows", "strainer", "nozzle", "housing")
CLAUSE = (
    "The {part} of class {number} shall be tested at {pressure} bar for {minutes} minutes. After the test the {part} "
    "is measured at {points} points; its deviation shall not exceed {deviation} µm and is recorded in protocol "
    "{number}. A {part} that fails may be tested once more after it was reworked according to clause {other}."
)


def specification(clauses: int, edited: int | None = None) -> str:
    """A Markdown specification: a chapter for every thousand clauses, a section for every clause."""
    lines = ["# Test specification"]
    for number in range(clauses):
        if number % 1000 == 0:
            lines.append(f"## {number // 1000 + 1} Chapter {number // 1000 + 1}")
        part = PARTS[number % len(PARTS)]
        lines.append(f"### {number // 1000 + 1}.{number % 1000 + 1} Test of the {part}")
        text = CLAUSE.format(
            part=part,
            number=number,
            pressure=10 + number % 90,
            minutes=1 + number % 59,
            points=3 + number % 7,
            deviation=20 + number % 400,
            other=(number * 7919) % clauses,
        )
        lines.append(text if number != edited else f"{text} This clause was added to in the second edition.")
    return "\n\n".join(lines)


def timed(home: Home, folder: Path, what: str) -> None:
    """Ingest and print what was done and how long every stage took, by the clock."""
    seconds: dict[str, float] = defaultdict(float)
    last = time.monotonic()

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        seconds[stage] += now - last
        last = now

    report = ingest([folder], home, IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None), progress=tell)
    seconds["optimizing and publishing"] += time.monotonic() - last
    stages = ", ".join(f"{stage} {taken:.1f}" for stage, taken in seconds.items() if taken >= 0.05)
    done = (
        f"{report.indexed} indexed, {len(report.renamed)} renamed, {report.chunks} passages, {report.embedded} embedded"
    )
    print(f"{what}: {report.seconds:.1f} s ({stages}); {done}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clauses", type=int, default=20_000)
    parser.add_argument("--models", type=Path, required=True, help="the folder models/ of a home that has them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        home, folder = Home(Path(root) / "home"), Path(root) / "specs"
        folder.mkdir()
        home.root.mkdir()
        (home.root / "models").symlink_to(arguments.models.resolve())
        file = folder / "tests.md"
        file.write_text(specification(arguments.clauses), encoding="utf-8")
        print(f"{file.stat().st_size / 1e6:.1f} MB, about {arguments.clauses // 10} pages")
        timed(home, folder, "first ingest")
        file.write_text(specification(arguments.clauses, edited=arguments.clauses // 2), encoding="utf-8")
        timed(home, folder, "one clause edited")
        file.rename(folder / "renamed.md")
        timed(home, folder, "file renamed")
        timed(home, folder, "nothing changed")


if __name__ == "__main__":
    main()
