"""How much memory mining takes, and how it grows with the index.

    python -m benchmarks.mining_memory --copies 10 100

For each size a home (static encoder alone, no cross-encoder) is made of that many copies of the sample documents, with
other numbers and some other words in each, so that no two passages are the same. The sample's training queries are
mined in a process of their own; the command prints its peak memory at each step, in MB, and the passages indexed:
what is anonymous, that is not mapped from files and cannot be dropped, sampled every 20 ms, and all that is resident.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from samples import corpus

_WORDS = ("pump", "valve", "flange", "nozzle", "rotor", "seal", "casing", "bracket", "sensor", "gauge")

MINE = """
import json, sys
from pathlib import Path
from benchmarks.reference_work import AnonymousMemory, memory_of
from evaluation.judgements import Judgement, Query
from evaluation.projection import project
from indexing.home import Home
from indexing.ingest import ingest
from indexing.models.fetching import fetch
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import WORDLLAMA
from mining.candidates import Corpus
from mining.mine import mine
from mining.settings import MineSettings
from samples import corpus

root, step = Path(sys.argv[1]), sys.argv[2]
settings = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)
home = Home(root / "home")
if step == "ingest":
    ingest([root / "documents"], home, settings)
    sys.exit()
peaks = {}
memory = AnonymousMemory()
memory.start()
def peak(name):
    peaks[name] = {"anonymous": round(memory.peak / 2**20), "resident": round(memory_of("VmHWM") / 2**20)}
searcher = Searcher.open(home, settings)
searcher.encoders
peak("index and encoder open")
chunks = searcher.chunks
peak("passages read")
queries = [Query(row["id"], row["text"], "train") for row in corpus.queries("train")]
judged = [
    Judgement(row["query"], f"{Path(row['document']).stem}-0.md", row["grade"], quote=row["quote"])
    for row in corpus.judgements("train") if "quote" in row
]
projection = project(judged, chunks.of_documents(one.document for one in judged), searcher.document_text)
peak("judgements projected")
sources = ("random", "bm25", "encoder", "ensemble", *(["sibling"] if step == "sibling" else []))
report = mine(searcher, queries, projection, None, MineSettings(sources=sources), home)
peak("mined")
print(json.dumps({"passages": len(chunks), "queries": report.queries, "candidates": report.candidates, "peaks": peaks}))
"""


def copy_with_noise(text: str, number: int) -> str:
    """Return a document with other numbers, and every twentieth word another; the first copy is the document itself."""
    if number == 0:
        return text
    draw = random.Random(number)
    changed = re.sub(r"\d+", lambda found: str(int(found[0]) + draw.randrange(1, 90)), text)
    return re.sub(r"\b[a-z]{4,}\b", lambda found: draw.choice(_WORDS) if draw.random() < 0.05 else found[0], changed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--models", type=Path, required=True, help="the folder models/ of a home that has fetched them")
    arguments = parser.parse_args()
    for copies in arguments.copies:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            (root / "home").mkdir()
            (root / "home" / "models").symlink_to(arguments.models.resolve())
            (root / "documents").mkdir()
            for path in corpus.documents():
                if path.suffix == ".md":
                    for number in range(copies):
                        text = copy_with_noise(path.read_text(encoding="utf-8"), number)
                        (root / "documents" / f"{path.stem}-{number}.md").write_text(text, encoding="utf-8")
            for step in ("ingest", "mine", "sibling"):
                command = [sys.executable, "-c", MINE, str(root), step]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                if done.stdout:
                    print(copies, step, json.dumps(json.loads(done.stdout.splitlines()[-1])), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
