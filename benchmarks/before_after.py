"""Two releases on the same judged queries: every source, all queries, and apart those whose passage occurs in train.

    python -m benchmarks.before_after --config specmine.toml --before r0001 --split dev

prints one Markdown table (MRR@10 and nDCG@10), the paired test of the served lists, what the referee says of each
encoder and of the fusion with its slices, and the SHA-256 over all document vectors as the store holds them under both
releases.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from evaluation.catalogue import Catalogue
from evaluation.judgements import follow_renames
from evaluation.leakage import groups, split_seen
from evaluation.measures import Measures, measure
from evaluation.projection import project
from evaluation.verdict import Verdict, compare, decide_all, find
from flows.settings import load_settings
from indexing.generations import present_names
from indexing.releases import read_release, served
from indexing.search import FUSION, RERANKED, Searcher
from training.slices import slice_queries
from training.splits import HeldOut, split_queries

MEASURES = ("RR@10", "nDCG@10")


def mean(measures: Measures, name: str, queries: set[str]) -> float:
    column = measures.column(name)
    return sum(column[query] for query in queries) / len(queries)


def print_verdicts(verdicts: dict[str, Verdict]) -> None:
    """Print the three lines of each verdict, and the gain in every slice as a Markdown table."""
    for name, verdict in verdicts.items():
        print(f"\n{name}\n{verdict.reason}")
    print("\n| slice | queries | " + " | ".join(verdicts) + " |\n|---|---:|" + "---|" * len(verdicts))
    for rows in zip(*(verdict.slices for verdict in verdicts.values()), strict=True):
        tests = [entry.test for entry in rows]
        cells = [f"{test.difference:+.3f} ({test.interval[0]:+.3f} to {test.interval[1]:+.3f})" for test in tests]
        print(f"| {rows[0].name} | {tests[0].queries} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--before", default="r0001")
    parser.add_argument("--split", default="dev")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    home, index = settings.open_home(), settings.index()
    releases = {"before": read_release(home, arguments.before), "after": served(home)}
    book = Catalogue(settings.catalogue_url())
    queries = book.queries(arguments.split)
    measured: dict[str, dict[str, Measures]] = {}
    checksums: dict[str, dict[str, str]] = {}
    for when, release in releases.items():
        searcher = Searcher.open(home, index, release)
        names = present_names(searcher.documents)
        judgements = follow_renames(book.judgements(arguments.split), names)
        projection = project(judgements, searcher.chunks.values(), searcher.document_text)
        runs = searcher.runs({query.id: query.text for query in queries if query.id in projection.units})
        measured[when] = {name: measure(run, projection) for name, run in runs.items()}
        checksums[when] = {name: searcher.vector_checksum(name) for name in searcher.generation.names}
        train = project(
            follow_renames(book.judgements("train"), names), searcher.chunks.values(), searcher.document_text
        )
        seen = split_seen(projection, train)
        texts = {query.id: query.text for query in queries if query.id in projection.units}
        held_out = HeldOut(arguments.split, texts, projection, groups(queries, judgements))
        families = slice_queries(held_out, split_queries(searcher, book), searcher.chunks)
        encoders = searcher.generation.names
        searcher.close()
    slices = {"all": set(projection.units), "seen": set(seen.seen), "unseen": set(seen.unseen)}
    print(f"{releases['before'].id} → {releases['after'].id}, split {arguments.split}: ", end="")
    print(", ".join(f"{len(chosen)} {name}" for name, chosen in slices.items()))
    print("\n| run | queries | " + " | ".join(f"{name} before | after | change" for name in MEASURES) + " |")
    print("|---|---|" + "---|" * 3 * len(MEASURES))
    for run in measured["before"]:
        for name, chosen in slices.items():
            cells = []
            for one in MEASURES:
                old = mean(measured["before"][run], one, chosen)
                new = mean(measured["after"][run], one, chosen)
                cells.append(f"{old:.4f} | {new:.4f} | {100 * (new / old - 1):+.1f} %")
            print(f"| {run} | {name} | " + " | ".join(cells) + " |")
    lists = {when: RERANKED if RERANKED in of else FUSION for when, of in measured.items()}
    of_query = groups(queries, judgements)
    for one in MEASURES:
        verdict = compare(measured["before"][lists["before"]], measured["after"][lists["after"]], of_query, one, 0.95)
        low, high = verdict.interval
        print(f"\n{one} as served: {verdict.before:.4f} → {verdict.after:.4f} ({verdict.difference:+.4f}, ", end="")
        print(f"95 % interval {low:+.4f} to {high:+.4f}, p {verdict.p_value:.2g}, {verdict.groups} groups)")
    rule = settings.promotion
    compared = [*encoders, FUSION]
    found = {
        name: find(measured["before"][name], measured["after"][name], of_query, rule, slices=families)
        for name in compared
    }
    verdicts = dict(zip(encoders, decide_all([found[name] for name in encoders], rule), strict=True))
    print_verdicts(verdicts | {FUSION: decide_all([found[FUSION]], rule)[0]})
    print()
    for name, digest in checksums["before"].items():
        same = "unchanged" if digest == checksums["after"][name] else "CHANGED"
        print(f"document vectors of {name}: {same}, SHA-256 {digest[:16]}…")


if __name__ == "__main__":
    main()
