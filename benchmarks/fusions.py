"""Every fusion on the same judged queries: each source alone, each fusion with equal weights, pca, and learned weights.

    python -m benchmarks.fusions --config specmine.toml --release r0002 --split dev --learn soft

prints one Markdown table (MRR@10 and nDCG@10, the difference of nDCG@10 to soft voting with its 95 % interval). Learned
weights are given as they do on the queries that chose them and on folds that took no part.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from evaluation.catalogue import Catalogue
from evaluation.judgements import follow_renames
from evaluation.leakage import groups
from evaluation.measures import measure
from evaluation.projection import project
from evaluation.verdict import compare
from flows.settings import load_settings
from indexing.fusion import FUSIONS, Run, fuse
from indexing.generations import present_names
from indexing.pca import PCA
from indexing.releases import Fusion, read_release, served
from indexing.search import Searcher
from indexing.stores.store import BM25
from mining.fusion_weights import learn_fusion

WEIGHTS = (0.0, 0.5, 1.0, 2.0, 3.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--release")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--learn", default="soft", help="methods whose weights are learned, with commas between")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    home = settings.open_home()
    release = read_release(home, arguments.release) if arguments.release else served(home)
    book = Catalogue(settings.catalogue_url())
    queries = book.queries(arguments.split)
    searcher = Searcher.open(home, settings.index(), release)
    judgements = follow_renames(book.judgements(arguments.split), present_names(searcher.documents))
    projection = project(judgements, searcher.chunks.values(), searcher.document_text)
    texts = {query.id: query.text for query in queries if query.id in projection.units}
    of_query = groups(queries, judgements)
    started = time.monotonic()
    index = searcher.pca
    seconds = time.monotonic() - started
    count, kept = index.documents.shape
    print(f"{release.id}, split {arguments.split}, {len(texts)} queries, {count} chunks; pca keeps {kept} of ", end="")
    print(f"{len(index.space.mean)} dimensions, {seconds:.1f} s\n", flush=True)
    every = searcher.runs(texts, only=(BM25, *searcher.generation.names, PCA))
    sources = {name: run for name, run in every.items() if name != PCA}
    equal = dict.fromkeys(sources, 1.0)
    rows: dict[str, Run] = {"soft": fuse("soft", sources, equal), **every}
    rows |= {name: fuse(name, sources, equal) for name in FUSIONS}
    rows["soft, with pca as one more source"] = fuse("soft", every, dict.fromkeys(every, 1.0))
    baseline = measure(rows["soft"], projection)
    print("| ranking | MRR@10 | nDCG@10 | to soft voting |")
    print("|---|---|---|---|")
    for name, run in rows.items():
        measured = measure(run, projection)
        verdict = compare(baseline, measured, of_query, "nDCG@10", 0.95)
        low, high = verdict.interval
        cells = (f"{measured.mean['RR@10']:.4f}", f"{measured.mean['nDCG@10']:.4f}")
        print(f"| {name} | {' | '.join(cells)} | {verdict.difference:+.4f} ({low:+.4f} to {high:+.4f}) |", flush=True)
    for method in filter(None, arguments.learn.split(",")):
        start = Fusion(method, equal)
        learned = learn_fusion(sources, projection, of_query, start, [method], WEIGHTS, "nDCG@10")
        print(
            f"\n{method} learned on nDCG@10: {learned.fusion.weights}: {learned.before:.4f} with equal weights, ",
            end="",
        )
        print(
            f"{learned.chosen:.4f} on the queries that chose, {learned.held_out:.4f} on folds that did not", flush=True
        )
    searcher.close()


if __name__ == "__main__":
    main()
