"""Does what was learned from one collection do harm in another? The served versions measured where nothing was trained.

    python -m benchmarks.guards --config rfc.toml --cranfield $DATA/cranfield --other jaquad.toml [--shares 1 .5]

``--config`` names the home whose served release has retrained encoders. Every other home, and Cranfield, which is
ingested with the same encoders into ``comparisons/guards`` of that home, is a guard: each of its encoders whose
document side is the same is measured untrained and retrained on its judged queries (of ``--split``), alone and by exact
search; then all of them with BM25, fused as the release does. A guard holds where the low end of the interval is not
below ``guard_tolerance``, as a promotion asks.

A share below 1 puts the weights on the line from the published to the retrained ones (``training.averaging``). What
that leaves of the gain is measured on the home's own queries, which are the first rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.false_negatives import write_cranfield
from evaluation.catalogue import Catalogue
from evaluation.judgements import Judgement, Query, follow_renames
from evaluation.leakage import groups
from evaluation.measures import measure
from evaluation.projection import project
from evaluation.verdict import PromotionRule, compare, guards_hold
from flows.settings import Settings, load_settings
from indexing.fusion import Run, fuse
from indexing.generations import present_names, read_generation
from indexing.home import Home
from indexing.ingest import ingest
from indexing.releases import BASE, Fusion, served
from indexing.search import Searcher
from indexing.stores.store import BM25
from training.averaging import set_average
from training.referee import DEPTH, encoder_run
from training.splits import HeldOut

Guard = tuple[str, Searcher, HeldOut]


def cranfield(settings: Settings, folder: Path) -> Guard:
    """Ingest Cranfield with the encoders of the settings, unless it is there already."""
    home = settings.open_home()
    at = home.root / "comparisons" / "guards" / "cranfield"
    at.mkdir(parents=True, exist_ok=True)
    link = at / "models"
    if not link.is_symlink():
        link.symlink_to(home.models.resolve())
    queries, judgements = write_cranfield(folder, at / "in")
    made = Home(at)
    ingest([at / "in"], made, settings.index())
    searcher = Searcher.open(made, settings.index())
    return "cranfield", searcher, held_out("cranfield", searcher, queries, judgements)


def other(config: Path, split: str) -> Guard:
    """Open another home with its judged queries."""
    settings = load_settings(config)
    searcher = Searcher.open(settings.open_home(), settings.index())
    with closing(Catalogue(settings.catalogue_url())) as book:
        judgements = follow_renames(book.judgements(split), present_names(searcher.documents))
        found = held_out(config.stem, searcher, book.queries(split), judgements)
    return config.stem, searcher, found


def held_out(name: str, searcher: Searcher, queries: list[Query], judgements: list[Judgement]) -> HeldOut:
    """Return the queries that have an answer in the index."""
    projection = project(judgements, searcher.chunks.values(), searcher.document_text)
    texts = {query.id: query.text for query in queries if query.id in projection.units}
    return HeldOut(name, texts, projection, {query: groups(queries, judgements)[query] for query in texts})


def guards(settings: Settings, arguments: argparse.Namespace) -> Iterator[Guard]:
    if arguments.config:
        yield other(arguments.config, arguments.split)
    if arguments.cranfield:
        yield cranfield(settings, arguments.cranfield)
    for config in arguments.other:
        yield other(config, arguments.split)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--cranfield", type=Path)
    parser.add_argument("--other", type=Path, nargs="*", default=[])
    parser.add_argument("--split", default="dev")
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0])
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    home, rule = settings.open_home(), settings.promotion
    trained = Searcher.open(home, settings.index(), served(home))
    sides = {one.spec.name: one for one in read_generation(home, trained.release.generation).encoders}
    print(f"\nrelease {trained.release.id}; tolerance {rule.guard_tolerance:g}\n")
    print("| queries of | encoder | queries | passages | share | untrained | retrained | difference | p | holds |")
    print("|---|---|---:|---:|---:|---:|---:|---|---:|---|", flush=True)
    for name, searcher, part in guards(settings, arguments):
        passages = f"{len(searcher.chunk_ids):,}"
        runs: dict[float, dict[str, Run]] = {share: {} for share in (0.0, *arguments.shares)}
        for side in searcher.generation.encoders:
            encoder = side.spec.name
            if encoder not in sides or sides[encoder].fingerprint != side.fingerprint:
                print(f"| {name} | {encoder} | | | | | | another document side: not measured | | |", flush=True)
                continue
            documents = searcher.document_vectors(encoder)
            learner = trained.load_encoder(encoder, BASE)
            learner.take_form(trained.encoders[encoder].form)
            started = {key: tensor.clone() for key, tensor in learner.trained_weights().items()}
            learned = trained.encoders[encoder].trained_weights()
            for share, of_encoders in runs.items():
                set_average(learner, started, learned, share)
                of_encoders[encoder] = encoder_run(learner, documents, searcher.chunk_ids, part)
            tell(name, encoder, passages, {share: found[encoder] for share, found in runs.items()}, part, rule)
        keywords = searcher.runs(part.texts, DEPTH, only={BM25})
        whole = {share: fused({**found, **keywords}, trained.release.fusion) for share, found in runs.items()}
        tell(name, "fusion", passages, whole, part, rule)


def fused(runs: dict[str, Run], fusion: Fusion) -> Run:
    """Put the sources together as the release does; a query without results finds nothing."""
    found = fuse(fusion.method, runs, fusion.weights)
    return {query: found.get(query, {}) for run in runs.values() for query in run}


def tell(name: str, what: str, passages: str, runs: dict[float, Run], part: HeldOut, rule: PromotionRule) -> None:
    """Print a row for each share but 0, which is what the others are compared with."""
    measured = {share: measure(run, part.projection) for share, run in runs.items()}
    untrained = measured.pop(0.0)
    for share, found in measured.items():
        test = compare(untrained, found, part.groups, rule.measure, rule.level)
        low, high = test.interval
        print(
            f"| {name} | {what} | {test.queries} | {passages} | {share:g} | {test.before:.4f} | {test.after:.4f} "
            f"| {test.difference:+.4f} ({low:+.4f} to {high:+.4f}) | {test.p_value:.2g} "
            f"| {'yes' if guards_hold({name: test}, rule) else 'no'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
