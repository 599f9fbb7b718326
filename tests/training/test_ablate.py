"""An ablation lists what is switched on, leaves out exactly that, and compares with corrected p-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from evaluation.verdict import PromotionRule
from mining.ledger import FoundBy, Ledger, LedgerRow
from training.ablate import ablate, parts_of
from training.development import MASKS, SHARE, Lab, Recipe
from training.splits import Splits, split_queries
from training.sweep import Job, run_fixed
from training.train_settings import TrainSettings

WHOLE = TrainSettings(learning_rate=5e-2, temperature=0.1, epochs=3, precision="float32", weight_decay=0.0, warmup=0.5)


def row(verdict: str, *sources: str, query: str = "q", chunk: str = "c") -> LedgerRow:
    found = tuple(FoundBy(name, 1, 1.0) for name in sources)
    return LedgerRow(query, chunk, "d", 0, 1, found, None, None, None, verdict, "because")


def splits_of(world: Any) -> Splits:
    return split_queries(world.searcher(), world.catalogue, development=SHARE)


def test_only_what_is_switched_on_is_listed(world: Any) -> None:
    splits = splits_of(world)
    bare = TrainSettings(warmup=0.0, weight_decay=0.0)
    assert parts_of(bare, splits, None) == {"masks": Recipe(bare, (MASKS,))}

    rows = (
        row("kept", "bm25"),
        row("kept", "bm25", "ensemble"),
        row("random", "random"),
        row("false_negative", "bm25"),
    )
    settings = replace(
        bare, loss={"infonce": 1.0, "histogram": 0.2}, negatives=(("in_batch",), ("ledger", "live")), synthesis="mix",
        start="served", average=(0.5,), weight_decay=0.01,
    )  # fmt: skip
    parts = parts_of(settings, splits, Ledger("x", rows, (), {}))
    assert list(parts) == [
        "loss infonce", "loss histogram", "synthesis mix", "negatives in_batch", "negatives ledger", "negatives live",
        "stages of negatives", "warm start", "weight decay", "masks", "masks of the ledger",
        "random share of the ledger", "what only bm25 found",
    ]  # fmt: skip
    assert parts["loss infonce"].settings.losses == {"histogram": 0.2}
    assert parts["negatives in_batch"].settings.negatives == (("ledger", "live"),)
    assert parts["negatives ledger"].settings.negatives == (("in_batch",), ("live",))
    assert parts["stages of negatives"].settings.negatives == (("ledger", "live"),)
    assert parts["masks of the ledger"].without == ("false_negative",)
    # Nothing is averaged where no query stops the training, so nothing could be left out there.
    assert "averaging" in parts_of(settings, replace(splits, stopping=splits.development), None)


def test_the_whole_corpus_reads_only_masks_of_the_ledger(world: Any) -> None:
    rows = (row("kept", "bm25"), row("random", "random"), row("duplicate", "bm25"))
    parts = parts_of(TrainSettings(), splits_of(world), Ledger("x", rows, (), {}))
    assert list(parts) == ["warm-up", "weight decay", "masks", "masks of the ledger"]


def test_what_is_left_out_is_gone_and_nothing_else(world: Any) -> None:
    searcher = world.searcher()
    splits = split_queries(searcher, world.catalogue, development=SHARE)
    chunks = searcher.chunk_ids
    query = splits.train[0].id
    positive = next(iter(splits.train_projection.positives(query)))
    others = [chunk for chunk in chunks if chunk != positive]
    found = [("kept", ("bm25",)), ("kept", ("bm25", "one")), ("random", ("random",)), ("duplicate", ("bm25",))]
    rows = tuple(
        row(verdict, *sources, query=query, chunk=chunk)
        for (verdict, sources), chunk in zip(found, others, strict=False)
    )
    lab = Lab(searcher, "one", Ledger("x", rows, (), {}), splits, PromotionRule(), world.home)

    def read(*without: str) -> tuple[list[str], list[str]]:
        example = next(e for e in lab.build(Recipe(WHOLE, without)) if e.query == query)
        return [chunks[place] for place in example.ledger], [chunks[place] for place in example.masked]

    ledger, masked = read()
    assert set(ledger) == set(others[:3])
    assert others[3] in masked
    assert set(read("random")[0]) == set(others[:2])
    assert set(read("only:bm25")[0]) == {others[1], others[2]}
    assert others[3] not in read("duplicate")[1]
    assert read(MASKS) == (ledger, [])


def test_a_part_that_matters_is_told_from_one_that_does_not(world: Any) -> None:
    lab = Lab(world.searcher(), "one", None, splits_of(world), PromotionRule(), world.home)
    settings = replace(WHOLE, loss={"full_softmax": 1.0, "lce": 1e-9}, negatives=(("corpus",),), warmup=0.0)
    ran: list[Job] = []

    def run_jobs(stage: str, jobs: Sequence[Job]) -> None:
        for job in jobs:
            ran.append(job)
            run_fixed(lab, job, lambda stage, done, total: None)

    found = ablate(lab, settings, 2, run_jobs)
    assert len(ran) == 2 * (1 + len(found.parts))
    by_part = {ablated.part: ablated for ablated in found.parts}
    assert set(by_part) == {"loss full_softmax", "loss lce", "masks"}
    # A loss of weight 1e-9 on the same candidates is the same training but for rounding.
    assert abs(by_part["loss lce"].comparison.difference) < 0.02
    assert all(ablated.p_holm >= ablated.comparison.p_value for ablated in found.parts)
    assert [tried.recipe.settings.seed for tried in found.whole] == [WHOLE.seed, WHOLE.seed + 1]
