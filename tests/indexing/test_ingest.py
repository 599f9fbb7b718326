"""Ingest, search, re-index and crash recovery on the real engine with a real (static, fast) encoder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chunking import docling_install
from chunking.limits import ReadLimits
from chunking.ocr import OcrSettings
from chunking.reading_settings import ReadingSettings
from chunking.splitters import ChunkSettings
from chunking.worker import Job, Unread
from evaluation.judgements import Judgement, follow_renames
from indexing import embedding
from indexing import reading as reading_module
from indexing.generations import present_names, read_documents
from indexing.home import Home, LockedHomeError, OtherIndexError, SpecmineError
from indexing.ingest import ingest
from indexing.quarantine import read_quarantine
from indexing.reading import reader_of
from indexing.reindexing.plan import plan_reindex
from indexing.reindexing.reindex import reindex
from indexing.releases import current, rollback, served
from indexing.search import Searcher
from tests.indexing.small import PUMP, SETTINGS, counts, documents_of, served_passages
from tests.killing import killed_at

pytestmark = pytest.mark.models


def search(home: Home, query: str) -> list[dict[str, object]]:
    return list(Searcher.open(home, SETTINGS).search(query).as_json()["results"])


def test_what_is_ingested_is_found_with_section_and_span(prepared: Home, folder: Path) -> None:
    report = ingest([folder], prepared, SETTINGS)
    assert counts(report) == (2, 0, 0, 0)
    assert report.release == "r0001"
    best = search(prepared, "At what pressure does the relief valve open?")[0]
    assert best["document"] == "pump.md"
    assert str(best["section"]).endswith("2.2 Relief valve")
    first, last = best["span"]  # type: ignore[misc]
    assert PUMP.format(pressure=16)[first:last] == best["text"]
    assert set(best["sources"]) == {"wordllama", "bm25"}  # type: ignore[call-overload]


def test_a_second_ingest_embeds_nothing_and_publishes_nothing(prepared: Home, folder: Path) -> None:
    first = ingest([folder], prepared, SETTINGS)
    second = ingest([folder], prepared, SETTINGS)
    assert counts(second) == (0, 2, 0, 0)
    assert (second.embedded, second.release, second.chunks) == (0, first.release, first.chunks)
    assert first.embedded > 0


def test_a_changed_document_replaces_its_chunks_and_reembeds_only_what_changed(prepared: Home, folder: Path) -> None:
    first = ingest([folder], prepared, SETTINGS)
    (folder / "pump.md").write_text(PUMP.format(pressure=25), encoding="utf-8")
    second = ingest([folder], prepared, SETTINGS)
    assert counts(second) == (1, 1, 0, 0)
    assert second.embedded == 1
    assert second.chunks == first.chunks
    texts = [str(result["text"]) for result in search(prepared, "operating pressure in bar")]
    assert any("25 bar" in text for text in texts) and not any("16 bar" in text for text in texts)
    rollback(prepared)
    assert any("16 bar" in str(result["text"]) for result in search(prepared, "operating pressure in bar"))


def test_an_edited_clause_of_a_long_document_is_all_that_is_embedded_again(prepared: Home, tmp_path: Path) -> None:
    clauses = [
        f"## {i} Clause\n\nItem {i} shall withstand {7 * i} newtons for {i % 60} seconds.\n" for i in range(2000)
    ]
    folder = tmp_path / "long"
    folder.mkdir()

    def write() -> None:
        (folder / "long.md").write_text("# Long specification\n\n" + "\n".join(clauses), encoding="utf-8")

    write()
    first = ingest([folder], prepared, SETTINGS)
    before = _state(prepared)["long.md"]
    clauses[10] = "## 10 Clause\n\nItem 10 shall withstand 71 newtons, which the second edition added to.\n"
    write()  # every later passage begins elsewhere now, and has another id
    second = ingest([folder], prepared, SETTINGS)
    assert (first.embedded, second.embedded) == (2000, 1)
    after = _state(prepared)["long.md"]
    assert len(after) == 2000
    assert len(after.keys() & before.keys()) == 10
    vectors = {vector.tobytes() for vector in before.values()}
    assert sum(vector.tobytes() not in vectors for vector in after.values()) == 1


def test_removed_documents_go_only_with_prune(prepared: Home, folder: Path) -> None:
    ingest([folder], prepared, SETTINGS)
    (folder / "sub" / "valve.md").unlink()
    assert counts(ingest([folder], prepared, SETTINGS)) == (0, 1, 0, 0)
    assert any(result["document"] == "sub/valve.md" for result in search(prepared, "actuator closes the valve"))
    assert counts(ingest([folder], prepared, SETTINGS, prune=True)) == (0, 1, 1, 0)
    assert all(result["document"] == "pump.md" for result in search(prepared, "actuator closes the valve"))


def test_bad_documents_are_quarantined_and_the_rest_go_on(prepared: Home, folder: Path) -> None:
    (folder / "empty.txt").write_bytes(b"")
    (folder / "picture.pdf").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (folder / "latin.txt").write_bytes("Größe".encode("latin-1"))
    report = ingest([folder], prepared, SETTINGS)
    assert counts(report) == (2, 0, 0, 3)
    assert {entry.document for entry in report.quarantine} == {"empty.txt", "picture.pdf", "latin.txt"}
    assert all(entry.reason and "\n" not in entry.reason for entry in report.quarantine)
    again = ingest([folder], prepared, SETTINGS)
    assert counts(again) == (0, 2, 0, 3)
    (folder / "latin.txt").write_text("Die Größe der Mutter ist M12.", encoding="utf-8")
    (folder / "empty.txt").unlink()
    assert counts(ingest([folder], prepared, SETTINGS)) == (1, 2, 0, 1)
    assert set(read_quarantine(prepared)) == {"picture.pdf", "empty.txt"}


def test_what_was_refused_is_read_again_when_the_limits_change(prepared: Home, folder: Path) -> None:
    (folder / "pages.txt").write_text("A nut.\fThe bolt turns.\fWashers lie flat.", encoding="utf-8")
    narrow = replace(SETTINGS, limits=ReadLimits(pages=2))
    refused = ingest([folder], prepared, narrow)
    assert [entry.reason for entry in refused.quarantine] == ["3 pages, more than the limit of 2"]
    assert ingest([folder], prepared, narrow).quarantine == tuple(read_quarantine(prepared).values())
    assert counts(ingest([folder], prepared, SETTINGS)) == (1, 2, 0, 0)


def test_what_the_machine_could_not_read_is_tried_again_the_next_time(
    prepared: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(jobs: list[Job], *_: object, **__: object) -> Iterator[Unread]:
        yield from (Unread(job, "the reader process was killed", passing=True) for job in jobs)

    with monkeypatch.context() as patched:
        patched.setattr(reading_module, "read_and_chunk_all", killed)
        assert counts(ingest([folder], prepared, SETTINGS)) == (0, 0, 0, 2)
    assert counts(ingest([folder], prepared, SETTINGS)) == (2, 0, 0, 0)


def test_nothing_partial_is_left(prepared: Home, folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"no PDF")
    assert counts(ingest([folder], prepared, SETTINGS)) == (2, 0, 0, 1)
    assert list(prepared.root.rglob("*.partial")) == []


def test_an_unreadable_new_state_leaves_the_old_one_served(prepared: Home, folder: Path) -> None:
    ingest([folder], prepared, SETTINGS)
    (folder / "pump.md").write_bytes(b"\xff\xfe\x00bad")
    report = ingest([folder], prepared, SETTINGS, prune=True)
    assert counts(report) == (0, 1, 0, 1)
    assert any(result["document"] == "pump.md" for result in search(prepared, "relief valve"))


def test_another_file_of_the_same_name_does_not_replace_a_document(
    prepared: Home, folder: Path, tmp_path: Path
) -> None:
    ingest([folder], prepared, SETTINGS)
    other = tmp_path / "other"
    other.mkdir()
    (other / "pump.md").write_text("# Another pump\n\nIt has nothing to do with the first.", encoding="utf-8")
    report = ingest([other], prepared, SETTINGS)
    assert counts(report) == (0, 0, 0, 1)
    assert "is indexed from" in report.quarantine[0].reason


def test_another_configuration_asks_for_a_reindex(prepared: Home, folder: Path) -> None:
    first = ingest([folder], prepared, SETTINGS)
    changed = replace(SETTINGS, chunking=ChunkSettings(max_tokens=64))
    with pytest.raises(OtherIndexError, match="specmine reindex"):
        ingest([folder], prepared, changed)
    shutil.rmtree(folder)
    plan = plan_reindex(prepared, changed)
    assert (plan.documents, plan.documents_to_read, plan.documents_to_cut) == (2, 0, 2)
    assert plan.changes == ("chunking: max_tokens 240 → 64",)
    report = reindex(prepared, changed, lambda stage, done, total: None)
    assert served(prepared).generation == plan.generation != first.generation
    assert report.embedded > 0
    assert search(prepared, "relief valve")[0]["document"] == "pump.md"
    rollback(prepared)
    assert search(prepared, "relief valve")[0]["document"] == "pump.md"


def test_a_renamed_file_is_neither_read_nor_embedded_again(
    prepared: Home, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ingest([folder], prepared, SETTINGS)
    (folder / "sub" / "new").mkdir()
    (folder / "pump.md").rename(folder / "sub" / "new" / "pump.md")
    (folder / "sub" / "valve.md").rename(folder / "actuator.md")
    with monkeypatch.context() as patch:
        patch.setattr(embedding, "load_document_encoder", lambda *_: pytest.fail("an encoder was loaded"))
        patch.setattr(
            reading_module, "read_and_chunk_all", lambda jobs, *_, **__: pytest.fail("a file was read") if jobs else []
        )
        report = ingest([folder], prepared, SETTINGS)
    assert counts(report) == (0, 0, 0, 0)
    assert report.renamed == {"actuator.md": "sub/valve.md", "sub/new/pump.md": "pump.md"}
    assert (report.embedded, report.chunks, report.pages) == (0, first.chunks, first.pages)
    assert report.as_json()["documents"]["renamed"] == 2
    fresh = Home(tmp_path / "fresh")
    fresh.root.mkdir()
    (fresh.root / "models").symlink_to(prepared.models.resolve())
    ingest([folder], fresh, SETTINGS)
    assert served_passages(prepared) == served_passages(fresh)
    mine, theirs = _state(prepared), _state(fresh)
    assert mine.keys() == theirs.keys() == {"actuator.md", "sub/new/pump.md"}
    for name, vectors in theirs.items():
        assert all(np.array_equal(mine[name][chunk], vector) for chunk, vector in vectors.items())
    assert counts(ingest([folder], prepared, SETTINGS, prune=True)) == (0, 2, 0, 0)
    rollback(prepared)
    assert search(prepared, "relief valve")[0]["document"] == "pump.md"


def test_judgements_follow_renamed_documents(prepared: Home, folder: Path) -> None:
    ingest([folder], prepared, SETTINGS)
    judged = [Judgement("q1", "pump.md", section="2.2"), Judgement("q2", "sub/valve.md", section="1")]
    for before, after in (("pump.md", "water.md"), ("water.md", "sub/cooling.md")):
        (folder / before).rename(folder / after)
        ingest([folder], prepared, SETTINGS)
    assert present_names(documents_of(prepared)) == {"pump.md": "sub/cooling.md", "water.md": "sub/cooling.md"}
    (folder / "sub" / "cooling.md").write_text(PUMP.format(pressure=9), encoding="utf-8")  # changed: still the same
    ingest([folder], prepared, SETTINGS)
    now = follow_renames(judged, present_names(documents_of(prepared)))
    assert [judgement.document for judgement in now] == ["sub/cooling.md", "sub/valve.md"]
    (folder / "pump.md").write_text("# Another pump\n\nOf the old name, it has its own judgements.", encoding="utf-8")
    ingest([folder], prepared, SETTINGS)
    assert "pump.md" not in present_names(documents_of(prepared))


def test_a_title_that_was_the_files_name_is_read_anew(prepared: Home, folder: Path) -> None:
    (folder / "draft.txt").write_text("the nut shall be locked with wire, and the wire be sealed.\n" * 2)
    ingest([folder], prepared, SETTINGS)
    assert documents_of(prepared)["draft.txt"].title == "draft"
    (folder / "draft.txt").rename(folder / "final.txt")
    report = ingest([folder], prepared, SETTINGS)
    assert (report.renamed, report.embedded) == ({"final.txt": "draft.txt"}, 1)
    assert documents_of(prepared)["final.txt"].title == "final"
    assert documents_of(prepared)["final.txt"].formerly == ["draft.txt"]


def test_a_copy_is_a_document_of_its_own_but_is_not_embedded_again(prepared: Home, folder: Path) -> None:
    first = ingest([folder], prepared, SETTINGS)
    shutil.copy(folder / "pump.md", folder / "copy.md")
    report = ingest([folder], prepared, SETTINGS)
    assert (counts(report), report.renamed, report.embedded) == ((1, 2, 0, 0), {}, 0)
    assert report.chunks > first.chunks


def test_a_folder_that_was_moved_is_unchanged(prepared: Home, folder: Path, tmp_path: Path) -> None:
    first = ingest([folder], prepared, SETTINGS)
    elsewhere = folder.rename(tmp_path / "elsewhere")
    report = ingest([elsewhere], prepared, SETTINGS, prune=True)
    assert (counts(report), report.release) == ((0, 2, 0, 0), first.release)
    assert documents_of(prepared)["pump.md"].source == str(elsewhere / "pump.md")


def test_with_recognition_documents_are_read_again(prepared: Home, folder: Path) -> None:
    ingest([folder], prepared, SETTINGS)
    recognising = replace(SETTINGS, ocr=OcrSettings(enabled=True, languages=("eng",)))
    with pytest.raises(SpecmineError, match="specmine reindex"):
        ingest([folder], prepared, recognising)
    assert plan_reindex(prepared, recognising).documents_to_read == 2
    assert plan_reindex(prepared, replace(SETTINGS, ocr=OcrSettings(languages=("deu",)))).documents_to_read == 0  # off
    assert reader_of(recognising) != reader_of(replace(SETTINGS, ocr=OcrSettings(True, ("eng", "jpn"))))


def test_with_docling_documents_are_read_again(
    prepared: Home, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest([folder], prepared, SETTINGS)
    docling = replace(SETTINGS, reading=ReadingSettings("docling", str(tmp_path / "models")))
    monkeypatch.setattr(docling_install, "versions", lambda _: {})
    with pytest.raises(SpecmineError, match=r"docling is not installed here: pip install 'specmine\[docling\]'"):
        ingest([folder], prepared, docling)
    monkeypatch.setattr(docling_install, "versions", lambda _: {"docling-slim": "2.143.0"})
    with pytest.raises(SpecmineError, match="docling's models are not in"):
        ingest([folder], prepared, docling)
    for name in ("docling-project--docling-layout-heron", "docling-project--docling-models"):
        (tmp_path / "models" / name).mkdir(parents=True)
    with pytest.raises(SpecmineError, match="specmine reindex"):
        ingest([folder], prepared, docling)
    assert plan_reindex(prepared, docling).documents_to_read == 2
    both = replace(docling, ocr=OcrSettings(enabled=True, languages=("eng",)))
    assert len({reader_of(settings) for settings in (SETTINGS, docling, both)}) == 3


def test_a_locked_home_is_refused(prepared: Home, folder: Path) -> None:
    with prepared.exclusive(), pytest.raises(LockedHomeError, match="locked by process"):
        ingest([folder], prepared, SETTINGS)


@pytest.mark.parametrize("query", ["", "   ", "x" * 5000])
def test_unsearchable_queries_are_refused(prepared: Home, folder: Path, query: str) -> None:
    ingest([folder], prepared, SETTINGS)
    with pytest.raises(SpecmineError, match="query"):
        Searcher.open(prepared, SETTINGS).search(query)


def test_runs_cover_every_query_and_source(prepared: Home, folder: Path) -> None:
    ingest([folder], prepared, SETTINGS)
    searcher = Searcher.open(prepared, SETTINGS)
    runs = searcher.runs({"q1": "relief valve", "q2": "the of"}, depth=5)
    assert set(runs) == {"wordllama", "bm25", "fusion"}
    assert all(set(run) == {"q1", "q2"} for run in runs.values())
    assert runs["bm25"]["q2"] == {}
    vectors = searcher.document_vectors("wordllama")
    assert vectors.shape == (len(searcher.chunk_ids), 256)
    some = searcher.chunk_ids[::-2]
    rows = [searcher.chunk_ids.index(chunk) for chunk in some]
    assert (searcher.chunk_vectors("wordllama", some) == vectors[rows]).all()
    query = searcher.embed(["relief valve"])["wordllama"][0]
    exact = dict(zip(searcher.chunk_ids, (vectors @ query).tolist(), strict=True))
    assert runs["wordllama"]["q1"] == pytest.approx({c: exact[c] for c in runs["wordllama"]["q1"]}, abs=1e-5)


INGEST = """
import sys
from pathlib import Path
from indexing import embedding, ingest
from indexing.home import Home
from indexing.settings import IndexSettings
from indexing.specs import WORDLLAMA
embedding._TEXTS_PER_BATCH = 20
settings = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)
def tell(stage, done, total):
    print(stage, done, total, flush=True)
ingest.ingest([Path(sys.argv[2])], Home(Path(sys.argv[1])), settings, progress=tell)
"""


def _state(home: Home) -> dict[str, dict[str, np.ndarray]]:
    searcher = Searcher.open(home, SETTINGS)
    stored = dict(searcher._reader.vectors("wordllama"))
    by_document: dict[str, dict[str, np.ndarray]] = {}
    for chunk in searcher.chunks.values():
        by_document.setdefault(chunk.document, {})[chunk.id] = stored.pop(chunk.id)
    assert stored == {}
    return by_document


@pytest.mark.campaign
def test_killed_at_any_stage_it_ends_as_if_undisturbed(prepared: Home, folder: Path, tmp_path: Path) -> None:
    ingest([folder], prepared, SETTINGS)
    for number in range(30):
        text = "\n".join(
            f"\n## {i} Clause\n\nItem {number}-{i} shall withstand {number * i} newtons." for i in range(9)
        )
        (folder / f"part-{number:02}.md").write_text(f"# Part {number}\n{text}\n", encoding="utf-8")
    undisturbed = Home(tmp_path / "undisturbed")
    shutil.copytree(prepared.root, undisturbed.root, symlinks=True)
    ingest([folder], undisturbed, SETTINGS)
    kills = 0
    moments = (("reading", 3), ("reading", 20), ("embedding", 2), ("embedding", 9), ("writing", 5))
    for _ in killed_at(INGEST, [str(prepared.root), str(folder)], moments):
        kills += 1
        served_now = search(prepared, "relief valve")
        assert served_now[0]["document"] == "pump.md"
    assert kills >= 3
    report = ingest([folder], prepared, SETTINGS)
    assert report.indexed + report.unchanged == 32
    mine, theirs = _state(prepared), _state(undisturbed)
    assert mine.keys() == theirs.keys()
    for document, vectors in theirs.items():
        assert mine[document].keys() == vectors.keys()
        for chunk, vector in vectors.items():
            assert np.allclose(mine[document][chunk], vector, atol=1e-6)


def test_vectors_on_disk_are_not_computed_again(prepared: Home, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest([folder], prepared, SETTINGS)
    for path in prepared.releases.iterdir():
        path.unlink()
    monkeypatch.setattr(embedding, "load_document_encoder", lambda *_: pytest.fail("an encoder was loaded"))
    report = ingest([folder], prepared, SETTINGS)
    assert counts(report) == (2, 0, 0, 0)
    assert report.embedded == 0


def test_release_and_reports_are_json(prepared: Home, folder: Path) -> None:
    report = ingest([folder], prepared, SETTINGS)
    saved = json.loads(json.dumps(report.as_json()))
    assert set(saved) >= {"documents", "pages", "pages_without_text", "chunks", "generation", "release", "seconds"}
    again = ingest([folder], prepared, SETTINGS).as_json()  # all unchanged: the same pages are accounted for
    counted = (
        "pages",
        "characters",
        "tables",
        "table_rows",
        "dropped_lines",
        "pages_rotated",
        "pages_scanned",
        "chunks_shortened",
    )
    assert [saved[name] for name in counted] == [again[name] for name in counted]
    assert saved["characters"] == sum(len(path.read_text(encoding="utf-8")) for path in folder.rglob("*.md"))
    assert saved["documents"] == {"indexed": 2, "renamed": 0, "unchanged": 0, "removed": 0, "quarantined": 0}
    release = current(prepared)
    assert release is not None
    documents = read_documents(prepared, release.generation, release.content)
    assert sum(entry.chunks for entry in documents.values()) == report.chunks
