"""From a laptop to a hundred million passages: measure here, check the model, simulate larger installations.

    python -m benchmarks.scale --sizes 500,2000,8000 --models var/models --out scale.json
    python -m benchmarks.scale --from scale.json            # the tables of docs/scale.md again

The model is fitted on all sizes but the largest and compared with what was measured there; then on all. Times are
processor seconds, so that a busy machine does not change them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.scale_measure import CLAUSES, MORE, encoders, in_child, one_size
from benchmarks.scale_model import Installation, Line, simulate, through

LARGER = (1e5, 1e6, 1e7, 1e8)
CHANGED = 0.005
STATIC_DIMENSIONS = 256
DIMENSIONS = 3 * 384
HOURS = 3600.0
WIDER = 4 * (DIMENSIONS - STATIC_DIMENSIONS) / 1e6  # MB more for a passage, in each copy of its vectors


def measure(sizes: list[int], models: Path) -> dict[str, Any]:
    """Measure every size and the encoders, each in a process of its own."""
    found = []
    for size in sizes:
        found.append(in_child(one_size, size, models))
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return {"sizes": found, "encoders": in_child(encoders, models)}


def values(entry: dict[str, Any]) -> dict[str, float]:
    """Return what is modelled, of one size."""
    return {
        "first ingest, s": entry["first"]["cpu"],
        f"{MORE} documents more, s": entry["more"]["cpu"],
        "opening for search, s": entry["search"]["open"],
        "one search, ms": 1000 * entry["search"]["cpu"],
        "memory of the ingest, MB": entry["megabytes"],
        "memory of a search process, MB": entry["search"]["megabytes"],
        "documents on disk, MB": entry["disk"]["documents"] / 1e6,
        "vectors on disk, MB": entry["disk"]["vectors"] / 1e6,
        "index on disk, MB": entry["disk"]["generations"] / 1e6,
    }


def lines(entries: list[dict[str, Any]]) -> dict[str, Line]:
    """Return a line for each modelled value, by passages."""
    return {
        name: through([(entry["first"]["passages"], values(entry)[name]) for entry in entries])
        for name in values(entries[0])
    }


def check(entries: list[dict[str, Any]]) -> None:
    """Print what the model of the smaller sizes says of the largest, beside what was measured."""
    model, largest = lines(entries[:-1]), entries[-1]
    passages = largest["first"]["passages"]
    print(f"| at {passages:,} passages | model of the smaller sizes | measured | error |\n|---|---|---|---|")
    for name, measured in values(largest).items():
        said = model[name](passages)
        print(f"| {name} | {said:.3g} | {measured:.3g} | {said / measured - 1:+.0%} |")


def installation(result: dict[str, Any], processors: int, copied: float) -> Installation:
    """Return the model of the default profile's three encoders on so many processors.

    ``copied`` is how many megabytes a second the disk copies of the embedded index, which every run does; infinite for
    a server, where nothing is copied.
    """
    model = lines(result["sizes"])
    more = model[f"{MORE} documents more, s"]
    fresh = MORE * CLAUSES
    read, write = (
        through([(entry["first"]["passages"], entry["stages"][stage]) for entry in result["sizes"]]).each
        for stage in ("reading", "writing")
    )
    return Installation(
        read=read,
        embed=sum(result["encoders"].values()),
        write=write,
        run=Line(
            max(0.0, more.fixed - fresh * (read + write)) + model["index on disk, MB"].fixed / copied,
            more.each + (model["index on disk, MB"].each + WIDER) / copied,
        ),
        processors=processors,
    )


def larger(result: dict[str, Any], processors: list[int], copied: float) -> None:
    """Print memory and disk by arithmetic, and simulated nights, for installations that do not run here."""
    model = lines(result["sizes"])
    print("\n| passages | documents, GB | vectors, GB | embedded index, GB | memory of a search process, GB |")
    print("|---|---|---|---|---|")
    for n in LARGER:
        print(
            f"| {n:,.0f} | {model['documents on disk, MB'](n) / 1e3:,.1f} "
            f"| {(model['vectors on disk, MB'](n) + WIDER * n) / 1e3:,.1f} "
            f"| {(model['index on disk, MB'](n) + WIDER * n) / 1e3:,.1f} "
            f"| {(model['memory of a search process, MB'](n) + WIDER * n) / 1e3:,.1f} |"
        )
    print(
        f"\n{CHANGED:.1%} of the passages new a day, nine of ten in two hours of the night, a run every 30 minutes:\n"
    )
    print("| passages | store | processors | re-index, h | a run alone, s | busy | found after (median, 95 %), min | |")
    print("|---|---|---|---|---|---|---|---|")
    for n, (store, rate), number in product(LARGER, (("embedded", copied), ("server", math.inf)), processors):
        of = installation(result, number, rate)
        load = simulate(of, n, CHANGED, CLAUSES)
        print(
            f"| {n:,.0f} | {store} | {number} | {of.reindex_seconds(n) / HOURS:,.1f} | {of.run(n):,.0f} "
            f"| {load.busy:.0%} | {load.median_delay / 60:,.0f}, {load.p95_delay / 60:,.0f} "
            f"| {'' if load.keeps_up else 'does not keep up'} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="500,2000,8000", help="passages, at least three, the largest last")
    parser.add_argument("--models", type=Path, help="the folder models/ of a home that has them")
    parser.add_argument("--processors", default="2,16,96", help="of the machine that embeds")
    parser.add_argument("--copied", type=float, default=200.0, help="MB/s at which the disk copies the embedded index")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--from", dest="given", type=Path, help="what --out wrote, instead of measuring")
    arguments = parser.parse_args()
    if arguments.given:
        result = json.loads(arguments.given.read_text(encoding="utf-8"))
    else:
        result = measure([int(size) for size in arguments.sizes.split(",")], arguments.models)
        if arguments.out:
            arguments.out.write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(
        "processor seconds for a passage:", {name: round(value, 4) for name, value in result["encoders"].items()}, "\n"
    )
    check(result["sizes"])
    larger(result, [int(number) for number in arguments.processors.split(",")], arguments.copied)


if __name__ == "__main__":
    main()
