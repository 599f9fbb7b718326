"""A re-ranker beside the fused list it re-orders: untrained, trained alone, and trained and put together with it.

    python -m benchmarks.reranker --config rfc.toml --release r0006 --version 20261123T062800-1a2b

The trained one is used as it was judged, or with other numbers of passages; its scores are kept, so that a run after
`specmine retrain --reranker` reads no pair again. ``--queries`` bounds a comparison with the untrained one, which must
read all pairs, to a sample; rows of different samples are not compared with each other.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from evaluation.catalogue import Catalogue
from evaluation.judgements import follow_renames
from evaluation.leakage import groups
from evaluation.measures import Measures, measure
from evaluation.projection import project
from evaluation.verdict import compare
from flows.settings import load_settings
from indexing.encoders.cross import CrossEncoder, load_cross_encoder
from indexing.fusion import Run
from indexing.generations import present_names
from indexing.releases import Reranker, read_release, served
from indexing.reranking import first, rerank, reranker_spec
from indexing.search import FUSION, Searcher
from training.referee import DEPTH
from training.reranker_combination import reordered_run, score_heads
from training.reranker_versions import as_judged, read_reranker
from training.splits import HeldOut

TIMED = 6


def tell(stage: str, done: int, total: int) -> None:
    print(f"{stage}: {done} of {total}", file=sys.stderr, flush=True)


def judged(searcher: Searcher, catalogue: Catalogue, split: str) -> HeldOut:
    judgements = follow_renames(catalogue.judgements(split), present_names(searcher.documents))
    projection = project(judgements, searcher.chunks.values(), searcher.document_text)
    queries = [query for query in catalogue.queries(split) if query.id in projection.units]
    return HeldOut(split, {query.id: query.text for query in queries}, projection, groups(queries, judgements))


def columns(found: Measures) -> dict[str, dict[str, float]]:
    """RR@3 is RR@10 where the first answer stands among the first three, else 0."""
    reciprocal = found.column("RR@10")
    at_3 = {query: value if value > 0.3 else 0.0 for query, value in reciprocal.items()}
    return {"RR@3": at_3, "RR@10": reciprocal, "nDCG@10": found.column("nDCG@10")}


def row(before: Measures, after: Measures, groups: Mapping[str, str]) -> dict[str, dict[str, float | list[float]]]:
    values: dict[str, dict[str, float | list[float]]] = {}
    for name, old in columns(before).items():
        new = columns(after)[name]
        one = Measures({q: {"RR@10": v} for q, v in old.items()}, {}, ())
        other = Measures({q: {"RR@10": v} for q, v in new.items()}, {}, ())
        found = compare(one, other, groups, "RR@10", 0.95)
        values[name] = {
            "before": round(found.before, 4),
            "after": round(found.after, 4),
            "interval": [round(end, 4) for end in found.interval],
            "p": found.p_value,
        }
    return values


def milliseconds(searcher: Searcher, cross: CrossEncoder, use: Reranker, part: HeldOut, fused: Run) -> float:
    """The median processor time of one query, re-ranked as it is served: other work does not count."""
    times = []
    for query in list(part.texts)[: TIMED + 1]:
        started = time.process_time()
        rerank(part.texts[query], fused[query], use, cross, lambda ids: {i: searcher.chunks[i] for i in ids}, None)
        times.append(1000 * (time.process_time() - started))
    return round(float(np.median(times[1:])), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--release", help="whose fused list is re-ordered; the served one by default")
    parser.add_argument("--version", required=True)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--depths", type=int, nargs="*", default=[])
    parser.add_argument("--weights", type=float, nargs="*", default=[], help="other weights, beside the judged one")
    parser.add_argument("--queries", type=int, default=0, help="a sample; all by default")
    parser.add_argument("--untrained", action="store_true", help="read all pairs with the untrained one, too")
    given = parser.parse_args()
    settings = load_settings(given.config)
    home = settings.open_home()
    release = read_release(home, given.release) if given.release else served(home)
    searcher = Searcher.open(home, settings.index(), replace(release, reranker=None))
    part = judged(searcher, Catalogue(settings.catalogue_url()), given.split).drawn(given.queries)
    fused = searcher.runs(part.texts, DEPTH)[FUSION]
    before = measure(fused, part.projection)
    version = read_reranker(home, given.version)
    judged_use = as_judged(home, version)
    uses = {"trained": (load_cross_encoder(reranker_spec(home, version.id), home), judged_use)}
    if given.untrained and searcher.cross_encoder is not None:
        uses["untrained"] = (searcher.cross_encoder, Reranker(version.name))
    facts = {
        "release": release.id,
        "queries": len(part.texts),
        "groups": len(set(part.groups.values())),
        "use": str(judged_use),
    }
    print(json.dumps(facts), flush=True)
    for name, (cross, how) in uses.items():
        for depth in given.depths or [judged_use.depth]:
            use = replace(how, depth=depth, languages=None)
            logits = score_heads(home, cross, part.texts, fused, searcher.chunks, use, tell, f"{name}, pairs")
            took = milliseconds(searcher, cross, use, part, fused)
            # No order of the head can bring MRR above the share of queries with an answer in it.
            found = float(
                np.mean([any(c in part.projection.hits[q] for c in first(fused[q], depth)) for q in part.texts])
            )
            others = [(f"weight {weight:g}", weight) for weight in given.weights]
            for kind, weight in [("alone", 1.0), ("and fused", use.weight), *others]:
                after = measure(reordered_run(fused, logits, replace(use, weight=weight)), part.projection)
                told = {"row": f"{name} {kind}, {depth} passages", **row(before, after, part.groups)}
                print(json.dumps({**told, "found": found, "processor_ms": took}), flush=True)


if __name__ == "__main__":
    main()
