"""What is exported is what ``datasets`` loads and the sentence-transformers trainer trains on: both are run here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from indexing.home import Home, SpecmineError
from mining.export import FORMATS, export_ledger
from mining.ledger import Ledger, LedgerQuery, LedgerRow, read_ledger, write_ledger

NAMES = [f"w{number}" for number in range(20)]


def row(query: str, chunk: str, verdict: str, score: float | None = 0.5) -> LedgerRow:
    return LedgerRow(query, chunk, "d", 0, 100, (), score, -3.0, -1.0, verdict, "because")


# q1 has three negatives, q2 two, q3 one, q4 none and q5 no judged passage in the ledger.
ROWS = [
    *(row("q1", chunk, "kept", score) for chunk, score in (("w1", 0.2), ("w2", 0.9))),
    row("q1", "w3", "random", None),
    row("q1", "w4", "borderline"),
    row("q1", "w5", "proposed_positive"),
    *(row("q2", chunk, "kept", score) for chunk, score in (("w6", 0.8), ("w7", 0.7))),
    row("q2", "w8", "relevant"),
    row("q2", "w9", "duplicate"),
    row("q3", "w1", "kept"),
    row("q4", "w2", "too_easy"),
    row("q5", "w3", "kept"),
]
QUERIES = [
    LedgerQuery("q1", "w30 w31", "en", ("w10", "w11")),
    LedgerQuery("q2", "w32", "en", ("w12",)),
    LedgerQuery("q3", "w33", "en", ("w13",)),
    LedgerQuery("q4", "w34", "en", ("w14",)),
    LedgerQuery("q5", "w35", "en", ()),
]


@pytest.fixture
def ledger(world: SimpleNamespace, home: Home) -> Ledger:
    """A ledger whose passage w7 reads "D\\nw7 w8": its title, and its own number and the next as text."""
    world.store(home, [world.chunk(name, "d", place, f"{name} w{place + 1}") for place, name in enumerate(NAMES)])
    return read_ledger(home, write_ledger(home, ROWS, {"generation": "g1", "content": 1}, QUERIES))


def text(name: str) -> str:
    return f"D\n{name} w{int(name[1:]) + 1}"


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_triplets_are_every_positive_with_every_negative(home: Home, ledger: Ledger, tmp_path: Path) -> None:
    done = export_ledger(home, ledger, "triplets", tmp_path / "t.jsonl")
    records = lines(tmp_path / "t.jsonl")
    assert [(r["anchor"], r["positive"], r["negative"]) for r in records] == [
        ("w30 w31", text(positive), text(negative)) for positive in ("w10", "w11") for negative in ("w2", "w1", "w3")
    ] + [
        # what was accepted or confirmed as relevant is a positive
        ("w32", text(positive), text(negative)) for positive in ("w12", "w8") for negative in ("w6", "w7")
    ] + [("w33", text("w13"), text("w1"))]  # fmt: skip
    assert (done.records, done.queries, done.negatives) == (2 * 3 + 2 * 2 + 1, 3, 3 + 2 + 1)
    assert (done.queries_left_out, done.negatives_left_out) == (2, 1)  # q4 and q5; q5's negative


def test_sentence_transformers_takes_the_width_that_uses_most(home: Home, ledger: Ledger, tmp_path: Path) -> None:
    done = export_ledger(home, ledger, "sentence-transformers", tmp_path / "t.jsonl")
    # one negative of three queries, two of two, three of one: 3, 4, 3
    assert [list(record) for record in lines(tmp_path / "t.jsonl")] == [
        ["anchor", "positive", "negative_1", "negative_2"]
    ] * 4
    assert lines(tmp_path / "t.jsonl")[0] == {
        "anchor": "w30 w31", "positive": text("w10"), "negative_1": text("w2"), "negative_2": text("w1"),
    }  # fmt: skip
    assert (done.records, done.queries, done.negatives) == (4, 2, 4)
    assert (done.queries_left_out, done.negatives_left_out) == (3, 3)


def test_jsonl_says_all_that_is_known(home: Home, ledger: Ledger, tmp_path: Path) -> None:
    export_ledger(home, ledger, "jsonl", tmp_path / "t.jsonl")
    records = lines(tmp_path / "t.jsonl")
    assert [record["id"] for record in records] == ["q1", "q2", "q3"]
    first = records[0]
    assert (first["query"], first["language"], first["positive_cross_score"]) == ("w30 w31", "en", -1.0)
    assert [passage["chunk"] for passage in first["positives"]] == ["w10", "w11"]
    negative = first["negatives"][2]
    assert (negative["verdict"], negative["cross_score"], negative["span"]) == ("random", -3.0, [300, 400])
    assert (negative["text"], negative["encoder_text"]) == ("w3 w4", text("w3"))


@pytest.mark.parametrize("form", ["triplets", "sentence-transformers"])
@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_the_sentence_transformers_trainer_learns_from_it(
    home: Home, ledger: Ledger, tmp_path: Path, make_encoder: Callable[..., Path], form: str, suffix: str
) -> None:
    import datasets
    import torch
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    file = tmp_path / f"negatives.{suffix}"
    done = export_ledger(home, ledger, form, file)
    kind = "parquet" if suffix == "parquet" else "json"
    loaded = datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == done.records
    assert loaded.column_names[:2] == ["anchor", "positive"]
    assert all(feature.dtype in ("string", "large_string") for feature in loaded.features.values())
    model = SentenceTransformer(str(make_encoder(tmp_path / "tiny")), device="cpu")
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    arguments = SentenceTransformerTrainingArguments(
        str(tmp_path / "out"), max_steps=3, per_device_train_batch_size=4, learning_rate=1e-2, logging_steps=1,
        save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    trainer = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=loaded, loss=MultipleNegativesRankingLoss(model)
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 3
    assert all(torch.isfinite(torch.tensor(losses)))
    assert any(not torch.equal(weight, before[name]) for name, weight in model.named_parameters())


@pytest.mark.parametrize(
    ("form", "name", "problem"),
    [
        ("pairs", "t.jsonl", "there is no format 'pairs': choose triplets, sentence-transformers, jsonl"),
        ("triplets", "t.csv", "for triplets the name must end in .parquet or .jsonl"),
        ("jsonl", "t.parquet", "for jsonl the name must end in .jsonl"),
        ("jsonl", "gone/t.jsonl", "cannot be written: No such file or directory"),
    ],
)
def test_refusals(home: Home, ledger: Ledger, tmp_path: Path, form: str, name: str, problem: str) -> None:
    with pytest.raises(SpecmineError, match=problem) as refused:
        export_ledger(home, ledger, form, tmp_path / name)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("t.*"))


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_overwritten(home: Home, ledger: Ledger, tmp_path: Path, form: str) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text("mine")
    with pytest.raises(SpecmineError, match=r"t\.jsonl exists: give another name, or remove it"):
        export_ledger(home, ledger, form, file)
    assert file.read_text() == "mine"


def test_whole_or_not_at_all(home: Home, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def full(*_: Any, **__: Any) -> str:
        calls.append(1)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        return "{}"

    monkeypatch.setattr("mining.export.json.dumps", full)
    with pytest.raises(SpecmineError, match=r"t\.jsonl cannot be written: No space left on device"):
        export_ledger(home, ledger, "triplets", tmp_path / "t.jsonl")
    assert not list(tmp_path.glob("t.jsonl*"))


def test_a_ledger_without_negatives(world: SimpleNamespace, home: Home, tmp_path: Path) -> None:
    world.store(home, [world.chunk("w1", "d", 1, "w1")])
    bare = read_ledger(home, write_ledger(home, [row("q", "w1", "too_easy")], {"generation": "g1", "content": 1}))
    with pytest.raises(SpecmineError, match="has no negatives to export"):
        export_ledger(home, bare, "triplets", tmp_path / "t.jsonl")


def test_texts_that_are_gone(home: Home, ledger: Ledger, tmp_path: Path) -> None:
    (home.generations / "g1" / "documents-1.json").unlink()
    with pytest.raises(SpecmineError, match=r"was mined on content 1 of generation g1, which is no longer in .*: mine"):
        export_ledger(home, ledger, "triplets", tmp_path / "t.jsonl")
