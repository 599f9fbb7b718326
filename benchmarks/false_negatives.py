"""False negatives, planted: how many true answers each filter leaves among the mined negatives, and at what price.

    python -m benchmarks.false_negatives --home HOME --cranfield $DATA/cranfield
    python -m benchmarks.false_negatives --home HOME --samples --budget 30

Of every query with several judged places all but one of the highest grade, chosen by a seed, are held back; negatives
are mined with the one that is left. What was held back and is kept as a hard negative is a false one. The corpus is
ingested into HOME at the first run, with the encoders that SPECMINE_PROFILE names. Bounds are tuned on half of the
queries, by a hash of their ids, and reported for both halves. ``learned`` learns on the first half, whose judgements it
is given whole, and is reported for the other; its bounds are not tuned. In few documents the cap per
document takes candidates from far down, so that the cross-encoder has to read more of them (``--budget``).

A second table tells how many of the passages proposed as positives were held back, and so are true.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.judgements import Judgement, Query, read_split
from evaluation.projection import Projection, project
from flows.settings import load_settings
from indexing.fusion import Run
from indexing.ingest import ingest
from indexing.releases import current
from indexing.search import Searcher
from mining.ledger import KEPT, PROPOSED_POSITIVE, read_ledger
from mining.mine import mine
from mining.settings import MineSettings
from samples.corpus import SPLITS, judgements, queries
from samples.render import render_all

SEED = 13
WANTED = 0.7  # of the true negatives that the unfiltered run keeps
PLAIN = MineSettings(sources=("bm25", "encoder", "ensemble"), random_share=0.0, filters=())
BELIEVED: dict[str, Any] = {"minimum_agreement": 0.0}
COLUMNS = ("kept", "false", "cut", "true kept", "false removed")
STEPS = 7  # of halving the range of a bound: the lowest that keeps so many is the one that removes most
BOUND_OF = {"calibrated": "calibrated_range", "evidence": "evidence_range"}

VARIANTS: dict[str, MineSettings] = {
    "near_duplicates": replace(PLAIN, filters=("near_duplicates",)),
    "encoder_agreement, all": replace(PLAIN, filters=("encoder_agreement",)),
    "encoder_agreement, half": replace(PLAIN, filters=("encoder_agreement",), agreeing=0.5),
    "nearer_than_judged": replace(PLAIN, filters=("nearer_than_judged",)),
    "no filter, ranks 8 to 30": replace(PLAIN, difficulty="range", rank_range=(8, 30)),
    "no filter, sampled": replace(PLAIN, difficulty="sampled"),
    "no filter, simans": replace(PLAIN, difficulty="simans"),
    "cross_encoder": replace(PLAIN, filters=("cross_encoder",)),
    "cross_encoder, believed": replace(PLAIN, filters=("cross_encoder",), **BELIEVED),
}
TUNED: dict[str, MineSettings] = {
    "calibrated, believed": replace(PLAIN, filters=("calibrated",), **BELIEVED),
    "evidence": replace(PLAIN, filters=("evidence",)),
    "evidence, believed": replace(PLAIN, filters=("evidence",), **BELIEVED),
}
LEARNED: dict[str, MineSettings] = {
    f"learned{believed}, above {bound:g}": replace(PLAIN, filters=("learned",), learned_range=(bound, 1.0), **settings)
    for believed, settings in {"": dict[str, Any](), ", believed": BELIEVED}.items()
    for bound in (0.7, 0.5, 0.3)
}


class Remembering(Searcher):
    """A searcher that searches and embeds the same queries once: the runs differ in what follows."""

    def runs(self, queries: Mapping[str, str], depth: int = 200, only: Collection[str] | None = None) -> dict[str, Run]:
        known: dict[tuple[str, ...], dict[str, Run]] = self.__dict__.setdefault("_known_runs", {})
        key = (*queries, str(depth), *(only or ()))
        if key not in known:
            known[key] = super().runs(queries, depth, only)
        return known[key]

    def chunk_vectors(self, encoder: str, chunks: Sequence[str]) -> np.ndarray:
        known: dict[str, np.ndarray] = self.__dict__.setdefault("_known_vectors", {})
        if encoder not in known:
            known[encoder] = self.document_vectors(encoder)
        rows = self.__dict__.setdefault("_known_rows", {chunk: row for row, chunk in enumerate(self.chunk_ids)})
        return np.asarray(known[encoder][[rows[chunk] for chunk in chunks]])

    def embed(self, queries: Sequence[str]) -> dict[str, np.ndarray]:
        known: dict[tuple[str, ...], dict[str, np.ndarray]] = self.__dict__.setdefault("_known_queries", {})
        key = tuple(queries)
        if key not in known:
            known[key] = super().embed(queries)
        return known[key]


@dataclass(frozen=True)
class Kept:
    """The hard negatives that a run kept as (query, chunk), which of them were held back, and what it proposed."""

    all: frozenset[tuple[str, str]]
    false: frozenset[tuple[str, str]]
    proposed: frozenset[tuple[str, str]]


def write_cranfield(folder: Path, into: Path) -> tuple[list[Query], list[Judgement]]:
    """Write the abstracts as Markdown, one a document, and return the queries and their judgements."""
    into.mkdir(parents=True, exist_ok=True)
    for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["text"].strip():
            text = f"# {record['title']}\n\n{record['text']}\n"
            (into / f"{record['_id']}.md").write_text(text, encoding="utf-8")
    files = read_split(folder / "queries.jsonl", folder / "qrels" / "all.tsv", "train")
    return files.queries, [replace(judgement, document=f"{judgement.document}.md") for judgement in files.judgements]


def write_samples(into: Path) -> tuple[list[Query], list[Judgement]]:
    """Render the sample documents, and return the queries of all splits and their judgements."""
    into.mkdir(parents=True, exist_ok=True)
    render_all(into)
    asked = [Query(row["id"], row["text"], "train") for split in SPLITS for row in queries(split)]
    return asked, [Judgement(**row) for split in SPLITS for row in judgements(split)]


def hold_back(full: Projection, judged: Sequence[Judgement]) -> list[Judgement]:
    """Return one judgement, of the highest grade, of each query with several judged places."""
    left = []
    for query in sorted(full.units):
        if len(full.units[query]) < 2:
            continue
        own = [one for one in judged if one.query == query and one.grade > 0]
        best = [one for one in own if one.grade == max(other.grade for other in own)]
        left.append(random.Random(f"{SEED}\0{query}").choice(sorted(best, key=repr)))
    return left


def tuning_half(query: str) -> bool:
    return hashlib.sha256(query.encode()).digest()[0] % 2 == 0


def part(kept: Kept, tuning: bool) -> Kept:
    return Kept(
        frozenset(pair for pair in kept.all if tuning_half(pair[0]) is tuning),
        frozenset(pair for pair in kept.false if tuning_half(pair[0]) is tuning),
        frozenset(pair for pair in kept.proposed if tuning_half(pair[0]) is tuning),
    )


def facts(plain: Kept, filtered: Kept) -> tuple[float, float, float]:
    """Return by how much the share of false ones was cut, the share of true ones kept, the share of false removed.

    The last two are of those that the unfiltered run kept; the first counts what took their places too.
    """
    share = len(filtered.false) / max(len(filtered.all), 1)
    cut = 1 - share / (len(plain.false) / len(plain.all))
    true = plain.all - plain.false
    return cut, len(true & filtered.all) / len(true), 1 - len(plain.false & filtered.all) / len(plain.false)


def line(name: str, plain: Kept, filtered: Kept, halves: Sequence[bool] = (True, False)) -> str:
    cells = [name]
    for tuning in (True, False):
        if tuning not in halves:
            cells += [""] * len(COLUMNS)
            continue
        one, other = part(plain, tuning), part(filtered, tuning)
        cut, true, removed = facts(one, other)
        share = len(other.false) / max(len(other.all), 1)
        cells += [
            f"{len(other.all)}",
            f"{share:.3f}",
            f"{100 * cut:.0f} %",
            f"{100 * true:.0f} %",
            f"{100 * removed:.0f} %",
        ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--cranfield", type=Path, help="the folder with corpus.jsonl, queries.jsonl and qrels/")
    parser.add_argument("--samples", action="store_true")
    parser.add_argument("--budget", type=int, default=PLAIN.cross_budget, help="candidates of a query that are judged")
    arguments = parser.parse_args()
    if (arguments.cranfield is None) is not arguments.samples:
        parser.error("give either --cranfield FOLDER or --samples")
    os.environ["SPECMINE_HOME"] = str(arguments.home)
    settings = load_settings(None)
    home, index = settings.open_home(), settings.index()
    folder = arguments.home / "documents-in"
    asked, judged = write_samples(folder) if arguments.samples else write_cranfield(arguments.cranfield, folder)
    if current(home) is None:
        ingest([folder], home, index)
    searcher = Remembering.open(home, index)
    chunks = searcher.chunks.values()
    full = project(judged, chunks, searcher.document_text)
    held = hold_back(full, judged)
    left = project(held, chunks, searcher.document_text)
    taught = [one for one in judged if tuning_half(one.query)] + [one for one in held if not tuning_half(one.query)]
    half_full = project(taught, chunks, searcher.document_text)
    answers = {(query, chunk) for query in left.units for chunk in full.positives(query)}

    def run(setting: MineSettings, given: Projection = left) -> Kept:
        setting = replace(setting, cross_budget=arguments.budget)
        report = mine(searcher, asked, given, searcher.cross_encoder, setting, home)
        for language, agreement in (report.agreement or {}).items():
            measured.setdefault(language, repr(agreement))
        rows = [row for row in read_ledger(home, report.ledger).rows if row.query in left.units]
        kept = {(row.query, row.chunk) for row in rows if row.verdict == KEPT}
        proposed = {(row.query, row.chunk) for row in rows if row.verdict == PROPOSED_POSITIVE}
        return Kept(frozenset(kept), frozenset(kept & answers), frozenset(proposed))

    measured: dict[str, str] = {}
    plain = run(PLAIN)
    tuning = sum(tuning_half(query) for query in left.units)
    print(f"{len(left.units)} queries, {tuning} to tune on and {len(left.units) - tuning} to report; ", end="")
    print(
        f"{len(answers)} passages answer, {len(searcher.chunks)} passages in all; encoders {searcher.generation.names}"
    )
    print("\n| | " + " | ".join(f"{name} ({half})" for half in ("tuned", "reported") for name in COLUMNS) + " |")
    print("|---|" + "---|" * 2 * len(COLUMNS))
    print(line("no filter", plain, plain))
    proposals: dict[str, frozenset[tuple[str, str]]] = {}
    for name, setting in VARIANTS.items():
        kept = run(setting)
        proposals[name] = kept.proposed
        print(line(name, plain, kept), flush=True)
    for name, setting in TUNED.items():
        low, high, kept = 0.0, 1.0, plain
        for _ in range(STEPS):
            bound = (low + high) / 2
            tried = run(replace(setting, **{BOUND_OF[setting.filters[-1]]: (bound, 1.0)}))  # type: ignore[arg-type]
            if facts(part(plain, True), part(tried, True))[1] >= WANTED:
                high, kept = bound, tried
            else:
                low = bound
        proposals[name] = kept.proposed
        print(line(f"{name}, above {high:g}", plain, kept), flush=True)
    for name, setting in LEARNED.items():
        kept = run(setting, half_full)
        proposals[name] = part(kept, False).proposed
        print(line(name, plain, kept, [False]), flush=True)
    print("\n| filter | proposed as positives | of which answers |\n|---|---:|---:|")
    for name, proposed in proposals.items():
        if proposed:
            print(f"| {name} | {len(proposed)} | {len(proposed & answers) / len(proposed):.3f} |")
    for language, agreement in measured.items():
        print(f"\ncross-encoder, {language}: {agreement}")
    searcher.close()


if __name__ == "__main__":
    main()
