"""What sorting by length buys the cross-encoder: pairs per second of the same pairs, sorted and as they come.

    python -m benchmarks.pair_batches --config specmine.toml [--pairs 256]

The pairs are drawn by lot from the candidates of the newest ledger. "As they come" pads batches of 16 in the order of
the draw; "sorted" is what mining does: the longest first, as many in a batch as a bound of padded tokens allows. Both
are timed twice, in turn, in processor seconds.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

from flows.settings import load_settings
from indexing.releases import served
from indexing.search import Searcher
from mining.ledger import read_ledger

BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--pairs", type=int, default=256)
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    home = settings.open_home()
    searcher = Searcher.open(home, settings.index(), served(home))
    judge = searcher.cross_encoder
    if judge is None:
        parser.error("this configuration has no cross-encoder")
    ledger = read_ledger(home)
    texts = {query.id: query.text for query in ledger.queries}
    drawn = random.Random(17).sample(ledger.rows, arguments.pairs)
    pairs = [(texts[row.query], searcher.chunks[row.chunk].text) for row in drawn]
    judge.score(pairs[:BATCH])  # the first batch allocates

    print("| batches | pairs | processor seconds | pairs a second |\n|---|---:|---:|---:|")
    for name in ("as they come", "sorted") * 2:
        started = time.process_time()
        if name == "sorted":
            judge.score(pairs)
        else:
            for start in range(0, len(pairs), BATCH):
                judge.score(pairs[start : start + BATCH])
        seconds = time.process_time() - started
        print(f"| {name} | {len(pairs)} | {seconds:.1f} | {len(pairs) / seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
