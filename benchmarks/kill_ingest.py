"""``kill -9`` in the middle of an ingest of real documents: what is served meanwhile, and what it ends as.

    python -m benchmarks.kill_ingest FOLDER --kills 4

Two homes (profile fast) begin with the folder's smallest document. One then ingests the whole folder undisturbed; the
other is killed, with all its processes, at even intervals of the first one's time, and searched all the while. The
command prints one line for each kill and whether both homes hold the same chunks with the same vectors in the end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from flows.settings import load_settings
from indexing.search import Searcher

QUERY = "what must an implementation do on an error"


def command(paths: Sequence[Path]) -> list[str]:
    return [sys.executable, "-m", "cli", "ingest", *map(str, paths)]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "SPECMINE_HOME": str(home), "SPECMINE_PROFILE": "fast"}


def open_searcher(home: Path) -> Searcher:
    os.environ.update(environment(home))
    settings = load_settings(None)
    return Searcher.open(settings.open_home(), settings.index())


def answer(home: Path) -> list[str]:
    """Return the chunks that answer the query, from a searcher opened anew as another process would."""
    searcher = open_searcher(home)
    found = [result.chunk.id for result in searcher.search(QUERY).results]
    searcher.close()
    return found


def state(home: Path) -> tuple[list[str], dict[str, str]]:
    searcher = open_searcher(home)
    checksums = {name: searcher.vector_checksum(name) for name in searcher.generation.names}
    chunks = sorted(searcher.chunks)
    searcher.close()
    return chunks, checksums


def ingest_killed(home: Path, folder: Path, seconds: float) -> tuple[str, int, int]:
    """Ingest for some seconds, then kill; return its last line, the searches made, and those answered otherwise."""
    before = answer(home)
    searches = wrong = 0
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command([folder]), env=environment(home), stdout=log, stderr=log, start_new_session=True
        )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            searches += 1
            wrong += answer(home) != before
            time.sleep(0.5)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.seek(0)
        lines = log.read().replace("\r", "\n").splitlines() or ["(nothing yet)"]
    searches += 1
    wrong += answer(home) != before
    return lines[-1].strip(), searches, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=4)
    arguments = parser.parse_args()
    files = sorted(
        (path for path in arguments.folder.iterdir() if path.is_file()), key=lambda path: path.stat().st_size
    )
    with tempfile.TemporaryDirectory() as scratch:
        undisturbed, killed, folder = (Path(scratch) / name for name in ("undisturbed", "killed", "folder"))
        folder.mkdir()
        shutil.copy(files[0], folder)
        subprocess.run(command([folder]), env=environment(undisturbed), check=True, stdout=subprocess.DEVNULL)
        shutil.copytree(undisturbed, killed, symlinks=True)
        for path in files[1:]:
            shutil.copy(path, folder)
        started = time.monotonic()
        subprocess.run(command([folder]), env=environment(undisturbed), check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - started
        print(f"{len(files)} documents, undisturbed: {whole:.0f} s")
        failures = 0
        for number in range(1, arguments.kills + 1):
            last, searches, wrong = ingest_killed(killed, folder, whole / (arguments.kills + 1))
            failures += wrong
            print(f"kill {number} at {last!r}: {searches} searches, {wrong} not as before", flush=True)
        subprocess.run(command([folder]), env=environment(killed), check=True, stdout=subprocess.DEVNULL)
        mine, theirs = state(killed), state(undisturbed)
    print(f"chunks {len(mine[0])} and {len(theirs[0])}, {'the same' if mine[0] == theirs[0] else 'NOT the same'}")
    for name, checksum in theirs[1].items():
        print(f"vectors of {name}: {mine[1][name][:16]} and {checksum[:16]}")
    return int(failures > 0 or mine != theirs)


if __name__ == "__main__":
    sys.exit(main())
