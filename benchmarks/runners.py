"""The same documents ingested under each task runner: the same index, to the last bit, and what each takes.

    python -m benchmarks.runners DOCUMENTS --models $SPECMINE_HOME/models [--only 16] [--profile default]
        [--runners threads,processes,dask] [--workers 2] [--passages 500]

runs the flow `ingest` for each runner in a fresh home, in a process of its own with a Prefect of its own, on the first
documents by name, and compares what came of it: the ids and texts of the chunks, the SHA-256 of every file of vectors
and norms, the vectors in the store, and the passages that the documents' titles find, in order (their scores differ in
the eighth decimal whenever a store is built anew). Batches are of ``--passages`` (2,000 in an installation), so that
few documents are several tasks. Seconds are those of the ingest, with the start of the workers; memory is what all
processes of the run together held at most, pages that they share counted once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from flows.settings import load_settings
from indexing.search import Searcher

_EVERY = 2.0  # seconds between two looks at the memory
_RUN = """
import json, sys
from flows import prefect_env
from flows.ingest import ingest
from indexing import embedding
if __name__ == "__main__":
    embedding._TEXTS_PER_BATCH = int(sys.argv[2])
    report = ingest(config=sys.argv[1])
    print(json.dumps(report))
"""


def ingested(config: Path, passages: int, prefect: Path) -> dict[str, Any]:
    """Run the flow; return its report with the megabytes that its processes held at most, and their number then."""
    script = config.parent / "run.py"
    script.write_text(_RUN, encoding="utf-8")
    before = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    environment = {**before, "PREFECT_HOME": str(prefect), "PREFECT_LOGGING_LEVEL": "ERROR", "PYTHONPATH": path}
    command = [sys.executable, str(script), str(config), str(passages)]
    with (config.parent / "log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        most, processes = 0.0, 0
        while process.poll() is None:
            family = _family(process.pid)
            held = sum(map(_megabytes, family))
            if held > most:
                most, processes = held, len(family)
            time.sleep(_EVERY)
        output = process.stdout.read() if process.stdout else ""
        if process.returncode:
            log.seek(0)
            raise SystemExit(f"the run with {config} failed:\n{log.read()[-3000:]}")
    report: dict[str, Any] = json.loads(output.splitlines()[-1])
    return report | {"megabytes": most, "processes": processes}


def _family(pid: int) -> list[int]:
    """Return a process and all that descend from it (Linux)."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*"):
            try:
                found += map(int, (task / "children").read_text(encoding="ascii").split())
            except OSError:  # it has ended meanwhile
                continue
    return found


def _megabytes(pid: int) -> float:
    """Return the memory of a process, what it shares with others in equal parts; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def made(config: Path) -> dict[str, str]:
    """Return a digest of each thing that an index is made of, and of what the titles of its documents find."""
    settings = load_settings(config)
    home = settings.open_home()
    searcher = Searcher.open(home, settings.index())
    try:
        chunks = [(chunk.id, chunk.text) for chunk in searcher.chunks.values()]
        vectors = [
            (str(path.relative_to(home.vectors)), hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(home.vectors.rglob("*.npy"))
        ]
        stored = [
            (name, sorted((chunk, vector.tobytes().hex()) for chunk, vector in searcher._reader.vectors(name)))
            for name in sorted(searcher.release.encoders)
        ]
        titles = sorted({entry.title for entry in searcher.documents.values()})
        found = [(title, [hit.chunk.id for hit in searcher.search(title).results]) for title in titles]
    finally:
        searcher.close()
    things = {"chunks": chunks, "vectors": vectors, "store": stored, "search": found}
    return {name: hashlib.sha256(json.dumps(thing).encode()).hexdigest()[:16] for name, thing in things.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--only", type=int, default=16)
    parser.add_argument("--profile", default="fast", choices=["fast", "default"])
    parser.add_argument("--runners", default="threads,processes,dask")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--passages", type=int, default=500)
    arguments = parser.parse_args()
    files = sorted(path.resolve() for path in arguments.documents.iterdir() if path.is_file())[: arguments.only]
    print("| runner | documents | passages | seconds | MB | processes | chunks | vectors | store | search |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    digests = []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "documents").mkdir()
        for file in files:
            shutil.copy(file, Path(folder) / "documents" / file.name)
        for runner in arguments.runners.split(","):
            place = Path(folder) / runner
            (place / "home").mkdir(parents=True)
            (place / "home" / "models").symlink_to(arguments.models.resolve())
            config = place / "specmine.toml"
            config.write_text(
                f'home = "home"\nprofile = "{arguments.profile}"\ncross_encoder = false\n'
                f'[sources]\npaths = ["../documents"]\n'
                f'[runs]\ntask_runner = "{runner}"\nworkers = {arguments.workers}\n',
                encoding="utf-8",
            )
            report = ingested(config, arguments.passages, Path(folder) / "prefect")
            digests.append(made(config))
            print(
                f"| {runner} | {report['documents']['indexed']} | {report['chunks']} | {report['seconds']:.0f} | "
                f"{report['megabytes']:.0f} | {report['processes']} | {' | '.join(digests[-1].values())} |",
                flush=True,
            )
    same = all(digest == digests[0] for digest in digests)
    print("\nThe indexes are the same." if same else "\nTHE INDEXES DIFFER.")
    sys.exit(not same)


if __name__ == "__main__":
    main()
