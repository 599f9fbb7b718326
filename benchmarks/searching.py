"""Searches from eight clients over HTTP, while the installation ingests, re-indexes, promotes and rolls back.

    python -m benchmarks.searching FOLDER --queries QUERIES --versions ENCODERS --work DIR

The folder's documents, but for the last ten, are ingested (profile fast) and served by ``specmine dashboard``. Eight
clients ask it (``/api/search``), each the next question as soon as it has an answer, until there were so many and
every command ran. Meanwhile one command after the other runs, each in a process of its own: an ingest (two more
documents, then two that changed), the promotion of a trained version (from ``ENCODERS``, the folder ``encoders`` of a
home with the same encoders), a rollback, a re-index to passages of another size, and every second time a rollback from
that. Beside each ingest and re-index somebody searches on the command line.

An answer is right if it names a release that was served between its question and itself, has ten passages, all of them
that release's, and for some of the queries exactly those that the release finds alone.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import multiprocessing
import shutil
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from benchmarks.installation import Installation, queries_in
from benchmarks.searching_releases import LIMIT, note_releases, read_noted, wrong_in
from flows.settings import load_settings

HELD_BACK = 10
BROUGHT = 2  # documents that an ingest has to do
SIZES = (240, 200, 240, 160)  # tokens; the first is that of the first ingest
COMPARED = 25  # queries whose answers are compared with those of the release alone
IDLE_SECONDS = 10.0
_POLL = 0.005
_TIMEOUT = 120.0
_START = 120.0  # seconds for the server to answer

Search = Callable[[str], dict[str, Any]]
"""Ask a question; return what ``specmine search --json`` says."""


@dataclass(frozen=True)
class Answer:
    """One search: in which phase it was asked, how long it took, and which releases were served meanwhile."""

    phase: str
    milliseconds: float
    served: set[str]
    told: dict[str, Any] | None
    failure: str | None = None


@dataclass
class Watched:
    """What goes on while people search: the phase, and which release was served when."""

    pointer: Path
    phase: str = "idle"
    stopped: bool = False
    answers: list[Answer] = field(default_factory=list)
    _releases: list[tuple[float, str]] = field(default_factory=list)

    def served(self) -> str:
        """Return the id of the release that is served now."""
        return str(json.loads(self.pointer.read_text(encoding="utf-8"))["release"])

    def watch(self) -> None:
        """Note every change of the served release until stopped."""
        while not self.stopped:
            release = self.served()
            if not self._releases or self._releases[-1][1] != release:
                self._releases.append((time.monotonic(), release))
            time.sleep(_POLL)

    def ask(self, search: Search, query: str, phase: str) -> None:
        """Ask one question and keep the answer."""
        before, start = self.served(), time.monotonic()
        told, failure = None, None
        try:
            told = search(query)
        except (OSError, http.client.HTTPException, ValueError) as error:
            failure = f"{type(error).__name__}: {error}"
        end = time.monotonic()
        served = {before, self.served(), *(one for moment, one in self._releases[:] if start <= moment <= end)}
        self.answers.append(Answer(phase, (end - start) * 1000, served, told, failure))

    def ask_on(self, port: int, queries: Sequence[str], first: int) -> None:
        """Ask one question after the other over one connection, from the ``first`` on, until stopped."""
        search = over_http(port)
        for query in itertools.islice(itertools.cycle(queries), first, None):
            if self.stopped:
                return
            self.ask(search, query, self.phase)

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Name what goes on in the block."""
        self.phase = phase
        yield
        self.phase = "idle"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--versions", type=Path, required=True, help="encoders/ of a home; they are promoted in turn")
    parser.add_argument("--work", type=Path, required=True, help="a new folder, for the home and the documents")
    parser.add_argument("--searches", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args()
    here, queries = Installation.create(given.work, SIZES[0]), queries_in(given.queries)
    files = sorted(path for path in given.folder.iterdir() if path.is_file())
    here.bring(files[:-HELD_BACK])
    ingested = here.run("ingest", str(here.documents))
    print(f"ingest: {ingested['documents']['indexed']} documents, {ingested['chunks']} passages", flush=True)
    versions = take_versions(here, given.versions)
    watched = Watched(here.work / "home" / "releases" / "CURRENT")
    stop, folder = here.work / "stop", here.work / "noted"
    folder.mkdir()
    noting = multiprocessing.get_context("spawn").Process(
        target=note_releases, args=(here.config, queries[:COMPARED], folder, stop)
    )
    noting.start()
    with serving(here) as port:
        over_http(port)(queries[0])  # opens the index and loads the encoders
        clients = [
            threading.Thread(target=watched.ask_on, args=(port, queries, number * len(queries) // given.clients))
            for number in range(given.clients)
        ]
        started = time.monotonic()
        for thread in (threading.Thread(target=watched.watch), *clients):
            thread.start()
        try:
            operate(here, files[-HELD_BACK:], versions, watched, queries, given.searches)
        finally:
            watched.stopped = True
            for client in clients:
                client.join()
            seconds = time.monotonic() - started
            stop.touch()
            noting.join()
    return tell(watched.answers, folder, seconds)


def take_versions(here: Installation, encoders: Path) -> list[str]:
    """Bring another home's trained versions of the encoders that this one has; return their ids."""
    names = [spec.name for spec in load_settings(here.config).index().encoders]
    versions = sorted(path.parent for name in names for path in encoders.glob(f"{name}/*/manifest.json"))
    for path in versions:
        shutil.copytree(path, here.work / "home" / "encoders" / path.parent.name / path.name)
    if not versions:
        raise SystemExit(f"{encoders} has no trained version of any of {', '.join(names)}")
    return [path.name for path in versions]


@contextmanager
def serving(here: Installation) -> Iterator[int]:
    """Run ``specmine dashboard`` in a process of its own; give its port once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    server = here.start("dashboard", "--port", str(port))
    try:
        deadline = time.monotonic() + _START
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the server does not answer: see {here.work / 'log'}") from None
                time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait()


def over_http(port: int) -> Search:
    """Return what asks the server, over one connection that stays open."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)

    def search(query: str) -> dict[str, Any]:
        try:
            connection.request("GET", f"/api/search?q={quote(query)}&limit={LIMIT}")
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next question opens another
            raise
        if answer.status != 200:
            raise ValueError(f"status {answer.status}: {body[:200].decode(errors='replace')}")
        told: dict[str, Any] = json.loads(body)
        return told

    return search


def on_command_line(here: Installation) -> Search:
    """Return what asks by ``specmine search``."""

    def search(query: str) -> dict[str, Any]:
        process = here.start("search", query, "--limit", str(LIMIT))
        told: dict[str, Any] = json.loads(process.communicate()[0] or "{}")
        if process.returncode:
            raise ValueError(f"status {process.returncode}: {told}")
        return told

    return search


def operate(
    here: Installation,
    files: Sequence[Path],
    versions: Sequence[str],
    watched: Watched,
    queries: Sequence[str],
    searches: int,
) -> None:
    """Run one command after the other, round after round, until there were so many searches."""
    waiting, size = list(files), SIZES[0]

    def run(phase: str, *arguments: str, beside: bool = False) -> None:
        started = time.monotonic()
        person = threading.Thread(
            target=watched.ask, args=(on_command_line(here), queries[rounds % COMPARED], "command line")
        )
        with watched.during(phase):
            if beside:
                person.start()
            told = here.run(*arguments)
            if beside:
                person.join()
        release = told.get("release")
        print(
            f"  {phase}: {time.monotonic() - started:.1f} s, serving {release}, {len(watched.answers)} searches",
            flush=True,
        )

    for rounds in itertools.count():
        time.sleep(IDLE_SECONDS)
        if waiting:
            here.bring(waiting[:BROUGHT])
            waiting = waiting[BROUGHT:]
        else:
            change(sorted(here.documents.iterdir())[:BROUGHT], rounds)
        run("ingest", "ingest", str(here.documents), beside=True)
        run("promote", "promote", versions[rounds % len(versions)])
        run("rollback", "rollback")
        if rounds and len(watched.answers) >= searches:
            return
        before, size = size, SIZES[(rounds + 1) % len(SIZES)]
        here.configure(size)
        run("re-index", "reindex", beside=True)
        if rounds % 2:
            run("rollback", "rollback")
            size = before
            here.configure(size)
        if len(watched.answers) >= searches:
            return


def change(paths: Sequence[Path], number: int) -> None:
    """Add a clause to documents."""
    for path in paths:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n\nAnnex {number}\n\n   This edition was changed {number} times while people searched it.\n")


def tell(answers: Sequence[Answer], folder: Path, seconds: float) -> int:
    """Check every answer and print the tables; return 1 where one was wrong."""
    noted = read_noted(folder)
    wrong: Counter[str] = Counter()
    rows: dict[str, list[float]] = {}
    compared = 0
    for answer in answers:
        failure = answer.failure
        if failure is None and answer.told is not None:
            failure = wrong_in(answer.told, noted)
            if answer.told["release"] not in answer.served:
                failure = f"names a release that was not served: {answer.told['release']} of {sorted(answer.served)}"
            compared += failure is None and answer.told["query"] in noted[answer.told["release"]].found
        if failure is not None:
            wrong[f"{answer.phase}: {failure}"] += 1
        rows.setdefault(answer.phase, []).append(answer.milliseconds)
    over_http = [taken for phase, times in rows.items() if phase != "command line" for taken in times]
    names = sorted({answer.told["release"] for answer in answers if answer.told})
    print(f"{len(over_http)} searches over HTTP in {seconds:.0f} s, {len(over_http) / seconds:.1f} a second; ", end="")
    print(f"{sum(wrong.values())} wrong; {compared} the same as alone; {len(names)} releases met of {len(noted)} noted")
    for failure, count in wrong.most_common(20):
        print(f"  {count} x {failure}")
    print("phase, searches, median ms, 95 %, 99 %, longest")
    for phase, times in [*rows.items(), ("all over HTTP", over_http)]:
        middle, most, nearly, longest = np.percentile(times, [50, 95, 99, 100])
        print(f"{phase}, {len(times)}, {middle:.0f}, {most:.0f}, {nearly:.0f}, {longest:.0f}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
