"""Documents that a re-index reads again: what a new reader makes of them, and norms that were not kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chunking.limits import ReadLimits
from chunking.splitters import ChunkSettings
from chunking.stored import load, save
from indexing import embedding
from indexing import reading as reading_module
from indexing.encoders.document import load_document_encoder
from indexing.generations import read_generation
from indexing.home import Home, SpecmineError
from indexing.ingest import ingest
from indexing.reindexing.plan import plan_reindex
from indexing.reindexing.reindex import reindex
from indexing.releases import served
from indexing.search import Searcher
from indexing.specs import WORDLLAMA
from indexing.vectors import load_norms
from tests.indexing.small import PUMP, SETTINGS, VALVE, counts, documents_of, served_passages

pytestmark = pytest.mark.models


def count_up_reader_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_module, "READER_VERSION", reading_module.READER_VERSION + 1)


def test_a_reindex_after_a_reader_change_reads_again_and_embeds_only_new_texts(
    prepared: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ingest([folder], prepared, SETTINGS)
    before = served_passages(prepared)
    count_up_reader_version(monkeypatch)
    (folder / "sub" / "valve.md").unlink()  # one file is gone: what is stored of it is cut
    with pytest.raises(SpecmineError, match="specmine reindex"):
        ingest([folder], prepared, SETTINGS)
    plan = plan_reindex(prepared, SETTINGS)
    assert plan.changes == ("chunking: reader or tokenizers",)
    assert (plan.documents, plan.documents_to_read, plan.documents_to_cut) == (2, 1, 1)
    assert plan.passages == {"wordllama": first.chunks}

    monkeypatch.setattr(embedding, "load_document_encoder", lambda *_: pytest.fail("an encoder was loaded"))
    report = reindex(prepared, SETTINGS, lambda stage, done, total: None)
    assert (report.embedded, report.chunks, report.unread) == (0, first.chunks, {})
    assert report.plan == plan
    assert served_passages(prepared) == before
    assert counts(ingest([folder], prepared, SETTINGS)) == (0, 1, 0, 0)
    assert plan_reindex(prepared, SETTINGS).documents_to_read == 0


def test_a_reindex_reads_what_the_new_reader_makes_of_the_file(
    prepared: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest([folder], prepared, SETTINGS)
    for manifest in prepared.documents.glob("*/manifest.json"):  # as if an older reader had lost a clause
        if json.loads(manifest.read_text())["document"] == "pump.md":
            stored, chunks = load(manifest.parent)
            blocks = [block for block in stored.blocks if "Relief" not in stored.text[block.start : block.end]]
            save(manifest.parent, replace(stored, blocks=tuple(blocks)), chunks)
    count_up_reader_version(monkeypatch)
    reindex(prepared, SETTINGS, lambda stage, done, total: None)
    assert any("2.2 Relief valve" in path for _, path, _ in served_passages(prepared))


def test_a_file_that_the_new_reader_refuses_keeps_what_is_stored_of_it(
    prepared: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest([folder], prepared, SETTINGS)
    before = served_passages(prepared)
    count_up_reader_version(monkeypatch)
    strict = replace(SETTINGS, limits=ReadLimits(characters=len(PUMP) - 50))
    assert len(VALVE) < len(PUMP) - 50
    report = reindex(prepared, strict, lambda stage, done, total: None)
    assert list(report.unread) == ["pump.md"] and "limit" in report.unread["pump.md"]
    assert report.embedded == 0
    assert served_passages(prepared) == before


def test_a_return_to_the_chunking_before_embeds_nothing(prepared: Home, folder: Path) -> None:
    ingest([folder], prepared, SETTINGS)
    small = replace(SETTINGS, chunking=ChunkSettings(max_tokens=40))
    assert reindex(prepared, small, lambda stage, done, total: None).embedded > 0
    near = replace(SETTINGS, chunking=ChunkSettings(max_tokens=230))  # the same cuts: every section is far shorter
    assert reindex(prepared, near, lambda stage, done, total: None).embedded == 0


def norms_of(home: Home) -> dict[str, list[float]]:
    fingerprint = read_generation(home, served(home).generation).encoders[0].fingerprint
    return {name: load_norms(home, fingerprint, entry.key).tolist() for name, entry in documents_of(home).items()}


def test_norms_lie_beside_the_vectors_and_follow_a_changed_document(prepared: Home, folder: Path) -> None:
    ingest([folder], prepared, SETTINGS)
    before = norms_of(prepared)
    searcher = Searcher.open(prepared, SETTINGS)
    texts = [chunk.encoder_text for chunk in searcher.chunks.values()]
    expected = load_document_encoder(WORDLLAMA, prepared).embed_with_norms(texts)[1]
    assert [norm for norms in before.values() for norm in norms] == pytest.approx(expected.tolist())
    (folder / "pump.md").write_text(PUMP.format(pressure=25), encoding="utf-8")
    assert ingest([folder], prepared, SETTINGS).embedded == 1
    after = norms_of(prepared)
    assert sum(a != b for a, b in zip(after["pump.md"], before["pump.md"], strict=True)) == 1


def test_a_reindex_adds_the_norms_that_older_versions_did_not_keep(prepared: Home, folder: Path) -> None:
    chunks = ingest([folder], prepared, SETTINGS).chunks
    before = norms_of(prepared)
    for path in prepared.vectors.rglob("*.norms.npy"):
        path.unlink()
    vectors = {path: path.read_bytes() for path in prepared.vectors.rglob("*.npy")}
    (folder / "pump.md").write_text(PUMP.format(pressure=25), encoding="utf-8")
    ingest([folder], prepared, SETTINGS)
    with pytest.raises(SpecmineError, match="lacks the norms"):
        norms_of(prepared)  # one of the changed document's passages has a norm, the others' vectors served again
    assert plan_reindex(prepared, SETTINGS).passages == {"wordllama": chunks}
    assert reindex(prepared, SETTINGS, lambda stage, done, total: None).embedded == chunks
    after = norms_of(prepared)
    assert after["sub/valve.md"] == pytest.approx(before["sub/valve.md"])
    assert len(after["pump.md"]) == len(before["pump.md"])
    assert {path: path.read_bytes() for path in vectors} == vectors
    assert plan_reindex(prepared, SETTINGS).passages == {"wordllama": 0}
