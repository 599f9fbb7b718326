"""Side by side with sentence-transformers' ``mine_hard_negatives``: seconds, memory, and what its negatives teach.

    python -m benchmarks.reference_miner --config specmine.toml [--only costs|cross|embedding|taught ...]

Both miners have the same passages, judged queries, encoder and cross-encoder. The passages are whole documents of the
served index, those with the most held-out queries for their length first, until there are ``--passages`` of them; the
larger corpus adds ``--copies`` of each with words dropped and swapped by lot. sentence-transformers mines as its
documentation recommends (TopK-PercPos of NV-Retriever): the hardest below 95 % of the judged passage's score. specmine
mines with its defaults from an index of the one encoder and BM25.

Each miner runs in a process of its own (``reference_work.py``), which reports wall and processor seconds of the mining,
and its peak memory: resident, with what is mapped from files, and anonymous, sampled every 20 ms. Both start from the
same vectors of the passages (``encode_document`` is given them: what its ``cache_folder`` does); those of the copies
are the original's with noise of the size that copies really have, measured on 200 of them, which serves for time and
memory alone. ``embedding`` tells what the vectors cost, on 500 of the passages. The cross-encoder, whose cost does not
depend on the corpus, is asked about ``--cross-queries`` of the smaller one, and believed: what specmine finds on a
sample of 96 queries before it believes it is left out.

``taught`` mines for all training queries of the whole index, trains the encoder's query side on either miner's
negatives with the same loss and steps, once for each seed, and measures it on the held-out queries. Finished parts are
kept below ``comparisons/reference``: a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import reference_work
from benchmarks.reference_corpus import Corpus, prepare
from benchmarks.reference_taught import show_quality, teach
from benchmarks.reference_work import TASK
from flows.settings import load_settings
from indexing.home import read_json, write_json

MIB = 2**20
EVERY = 10**9
PARTS = ("costs", "cross", "embedding", "taught")
MINERS = ("specmine", "sentence-transformers")

Row = tuple[str, Path, dict[str, Any], int]
"""A miner, its corpus, what it took, and for how many queries."""


def measured(name: str, folder: Path, queries: int) -> Row:
    """Run a miner in its own process, or read what an earlier run found."""
    kept = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{queries}.json"
    if not kept.exists():
        print(f"{name}: {folder.name}", flush=True)
        command = [sys.executable, reference_work.__file__, name, str(folder), str(queries)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        write_json(kept, json.loads(done.stdout.splitlines()[-1]))
    return name, folder, dict(read_json(kept)), queries


def show_costs(rows: Sequence[Row]) -> None:
    columns = "passages|queries|seconds|processor seconds|resident MiB|anonymous MiB|loaded|with negatives|negatives"
    print("\n| miner | " + columns.replace("|", " | ") + " |\n|---" + "|---:" * len(columns.split("|")) + "|")
    for name, folder, facts, queries in rows:
        found = [len(some) for some in facts["mined"].values()]
        memory = " | ".join(f"{facts[key] / MIB:.0f}" for key in ("resident", "anonymous", "loaded"))
        passages = read_json(folder / TASK)["passages"]
        print(
            f"| {name} | {passages:,} | {queries} | {facts['wall']:.1f} | {facts['cpu']:.1f} | {memory} "
            f"| {len(found)} | {sum(found):,} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--passages", type=int, default=13_000)
    parser.add_argument("--copies", type=int, default=9)
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--cross-queries", type=int, default=8)
    parser.add_argument("--loss", default="infonce")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[17, 18, 19])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    root = load_settings(arguments.config).open_home().root / "comparisons" / "reference"
    few = Corpus(arguments.config, arguments.encoder, arguments.passages, arguments.queries)
    rows: list[Row] = []
    if "costs" in arguments.only:
        for folder, copies in ((root / "small", 0), (root / "large", arguments.copies)):
            prepare(replace(few, copies=copies), folder)
            rows += [measured(name, folder, arguments.queries) for name in MINERS]
    for part, queries in (("cross", arguments.cross_queries), ("embedding", 0)):
        if part in arguments.only:
            small = prepare(few, root / "small")
            called = "cross-encoder" if part == "cross" else part
            rows += [measured(f"{name}, {called}", small, queries) for name in MINERS]
    if "taught" in arguments.only:
        whole = prepare(replace(few, passages=EVERY, queries=EVERY), root / "whole")
        every = [measured(name, whole, EVERY) for name in MINERS]
        rows += every
        settings = load_settings(arguments.config).training()
        training = replace(settings, loss=arguments.loss, epochs=arguments.epochs, precision="bfloat16")
        mined = {name: facts["mined"] for name, _, facts, _ in every}
        show_quality(teach(arguments.config, whole, mined, training, arguments.seeds))
    show_costs(rows)


if __name__ == "__main__":
    main()
