"""A re-index of real documents while people search: what it was estimated at and took, and what searches saw.

    python -m benchmarks.reindexing FOLDER --queries QUERIES --judgements JUDGEMENTS --work DIR

The folder's documents, but for the last ten, are ingested (profile fast) and judged by the queries as the split dev.
Then, each by the command line in a process of its own:

1. a re-index to passages of 200 tokens, from which the stages' rates are known;
2. one to 160 tokens, planned by those rates, while two processes search and an ingest brings the last ten;
3. one to 120 tokens, killed with SIGKILL at a third and at two thirds of what the second took, then run to its end;
4. a rollback, and the search after it.

A search fails if it raises, if what it finds is not of the release that it names, or if it finds less than it should.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.installation import Installation, answer_of, kill, queries_in
from flows.settings import load_settings
from indexing.releases import current
from indexing.search import Searcher

HELD_BACK = 10
SEARCHERS = 2
PAUSE = 0.1  # seconds between two searches of one process
LIMIT = 10
COMPARED = ("cpu_seconds", "wall_seconds", "memory_megabytes", "disk_megabytes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--judgements", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="a new folder, for the home and the documents")
    parser.add_argument("--search", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.search:
        return search_until_stopped(arguments.work, arguments.queries)
    return measure(arguments.folder, arguments.queries, arguments.judgements, arguments.work)


def measure(folder: Path, queries: Path, judgements: Path, work: Path) -> int:
    here = Installation.create(work, 240)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    here.bring(files[:-HELD_BACK])
    ingested = here.run("ingest", str(here.documents))
    print(
        f"ingest: {ingested['documents']['indexed']} documents, {ingested['chunks']} passages, {ingested['seconds']} s"
    )
    here.run(*f"judgements import --split dev --queries {queries} --judgements {judgements}".split())

    here.configure(200)
    told("1. to 200 tokens", here.run("reindex"))

    here.configure(160)
    stop = work / "stop"
    searching = [start_search(work, queries, number) for number in range(SEARCHERS)]
    reindexing = here.start("reindex")
    here.bring(files[-HELD_BACK:])
    wait_until_under_way(work)
    meanwhile = here.run("ingest", str(here.documents))
    print(f"ingest meanwhile: {meanwhile['documents']['indexed']} documents in {meanwhile['seconds']} s")
    second = answer_of(reindexing)
    told("2. to 160 tokens, beside searches and an ingest", second)

    here.configure(120)
    for share in (1 / 3, 2 / 3):
        killed = here.start("reindex")
        time.sleep(share * second["seconds"])
        print(f"3. killed after {share * second['seconds']:.0f} s: {kill(killed)}")
    told("3. to 120 tokens, its end", here.run("reindex"))

    started = time.monotonic()
    back = here.run("rollback")
    print(f"4. rollback to {back['release']}: {time.monotonic() - started:.2f} s, the command's start included")
    time.sleep(3)
    stop.touch()
    failed = told_searches([answer_of(process) for process in searching])
    after = here.run("documents")
    lost = len(files) - len(after["documents"])
    print(f"documents: {len(files)} files, {lost} lost")
    return int(failed > 0 or lost != 0)


def wait_until_under_way(work: Path) -> None:
    while not (work / "home" / "reindex.json").exists():
        time.sleep(0.2)


def told(name: str, report: dict[str, Any]) -> None:
    print(
        f"{name}: release {report['release']}, published {report['published']}, {report['chunks']} passages, ", end=""
    )
    print(f"{report['embedded']} embedded, {report['brought_after']} documents brought after, ", end="")
    print(f"switch {report['switch_seconds']} s, recall {report['checked']['recall']}, {report['judged']}", flush=True)
    for key in COMPARED:
        estimate, actual = report["estimate"][key], report["actual"][key]
        error = f"{actual / estimate - 1:+.1%}" if estimate else "not estimated"
        print(f"   {key}: estimated {estimate}, measured {actual}, {error}")
    if report["estimate"]["unmeasured"]:
        print(f"   never measured before: {', '.join(report['estimate']['unmeasured'])}", flush=True)


def start_search(work: Path, queries: Path, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.reindexing", str(number), "--search", "--work", str(work)]
    command += ["--queries", str(queries), "--judgements", str(queries)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def search_until_stopped(work: Path, queries: Path) -> int:
    """Search the served release, opened anew whenever another is served, and print what was seen as one JSON object."""
    settings = load_settings(Installation(work).config)
    home, index = settings.open_home(), settings.index()
    texts = queries_in(queries)
    searcher: Searcher | None = None
    passages: set[str] = set()
    milliseconds: list[float] = []
    failures: list[str] = []
    releases: list[str] = []
    number = 0
    while not (work / "stop").exists():
        try:
            release = current(home)
            if searcher is None or searcher.release != release:
                if searcher is not None:
                    searcher.close()
                searcher = Searcher.open(home, index, release)
                passages = set(searcher.chunk_ids)
                releases.append(searcher.release.id)
            found = searcher.search(texts[number % len(texts)], LIMIT)
            milliseconds.append(found.milliseconds)
            known = sum(result.chunk.id in passages for result in found.results)
            if found.release != searcher.release.id or known != LIMIT:
                failures.append(f"{known} of {LIMIT} results are of release {searcher.release.id}")
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
            searcher = None
        number += 1
        time.sleep(PAUSE)
    print(json.dumps({"searches": number, "failures": failures, "releases": releases, "milliseconds": milliseconds}))
    return 0


def told_searches(answers: list[dict[str, Any]]) -> int:
    failures = [failure for answer in answers for failure in answer["failures"]]
    times = np.array([taken for answer in answers for taken in answer["milliseconds"]])
    half, most, longest = np.percentile(times, 50), np.percentile(times, 95), times.max()
    print(f"searches: {sum(answer['searches'] for answer in answers)} in {len(answers)} processes, ", end="")
    print(f"{len(failures)} failed or mixed {failures[:3]}, releases met {answers[0]['releases']}, ", end="")
    print(f"median {half:.0f} ms, 95 % {most:.0f} ms, longest {longest:.0f} ms")
    return len(failures)


if __name__ == "__main__":
    sys.exit(main())
