"""A re-index beside what is served: nothing that comes meanwhile is lost, a worse one is refused, old ones go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from chunking.splitters import ChunkSettings
from indexing import embedding
from indexing.encoders.document import DocumentEncoder, load_document_encoder
from indexing.generations import (
    GenerationEncoder,
    read_generation,
    vectors_file,
)
from indexing.home import Home, LockedHomeError, SpecmineError
from indexing.ingest import ingest
from indexing.models.fetching import fetch, tokenizer_file
from indexing.reading import plan_generation
from indexing.reindexing.checks import Checked, check
from indexing.reindexing.journal import under_way
from indexing.reindexing.reindex import Judged, reindex
from indexing.reindexing.settings import ReindexSettings
from indexing.reindexing.work import work_of
from indexing.releases import Release, current, publish, rollback, served
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import MINILM, WORDLLAMA
from tests.indexing.small import SETTINGS, documents_of
from tests.killing import killed_at

pytestmark = pytest.mark.models

SMALL = replace(SETTINGS, chunking=ChunkSettings(max_tokens=40))
SMALLER = replace(SETTINGS, chunking=ChunkSettings(max_tokens=32))


def silent(stage: str, done: int, total: int) -> None:
    pass


def write(folder: Path, number: int, clauses: int = 9, unit: str = "newtons") -> None:
    lines = [f"## {i} Clause\n\nItem {number}-{i} shall withstand {number * i} {unit}." for i in range(clauses)]
    text = "\n\n".join([f"# Part {number}", *lines])
    (folder / f"part-{number:02}.md").write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "specs"
    folder.mkdir()
    for number in range(4):
        write(folder, number)
    return folder


def texts_of(home: Home, settings: IndexSettings = SETTINGS) -> set[str]:
    """The texts of all passages that the store serves."""
    searcher = Searcher.open(home, settings)
    chunks = searcher._reader.chunks([chunk for chunk, _ in searcher._reader.vectors("wordllama")])
    searcher.close()
    return {chunk.text for chunk in chunks.values()}


def test_what_an_ingest_brings_meanwhile_is_there_after_the_switch(prepared: Home, folder: Path) -> None:
    first = ingest([folder], prepared, SETTINGS)
    with pytest.raises(SpecmineError, match="run `specmine reindex`"):
        ingest([folder], prepared, SMALL)
    meanwhile: list[str] = []

    def ingest_meanwhile(old: Release, new: Release) -> Judged:
        assert (old.generation, old.id) == (first.generation, "r0001")
        write(folder, 7)
        write(folder, 1, unit="pascals")
        (folder / "part-02.md").unlink()
        (folder / "part-03.md").rename(folder / "part-33.md")
        report = ingest([folder], prepared, SMALL, prune=True)
        assert (report.indexed, report.removed, report.renamed) == (2, 1, {"part-33.md": "part-03.md"})
        assert report.generation == first.generation  # the served one, which the re-index follows
        meanwhile.append(report.release)
        return Judged({})

    report = reindex(prepared, SMALL, silent, judge=ingest_meanwhile)
    assert meanwhile == ["r0002"]
    assert (report.published, report.release, report.reasons) == (True, "r0003", ())
    # changed: 7 and 1 (new texts), 33 for 03 (renamed); left: 02, 03
    assert report.brought_after == 3 + 2
    assert set(documents_of(prepared)) == {"part-00.md", "part-01.md", "part-07.md", "part-33.md"}
    texts = texts_of(prepared)
    assert sum("pascals" in text for text in texts) == 9
    assert any("Item 7-8" in text for text in texts) and not any("Item 2-" in text for text in texts)
    assert served(prepared).generation != first.generation
    assert under_way(prepared) is None
    assert ingest([folder], prepared, SMALL).unchanged == 4
    assert rollback(prepared).id == "r0002"


def test_a_worse_one_is_not_published_and_goes_on_from_what_was_built(prepared: Home, folder: Path) -> None:
    first = ingest([folder], prepared, SETTINGS)
    before = texts_of(prepared)
    report = reindex(prepared, SMALL, silent, judge=lambda old, new: Judged({"after": 0.1}, "much worse"))
    assert (report.published, report.reasons, report.release) == (False, ("much worse",), first.release)
    assert report.as_json()["judged"] == {"after": 0.1}
    coming = under_way(prepared)
    assert coming is not None and coming.refused == ("much worse",)
    assert texts_of(prepared) == before
    write(folder, 9)
    assert ingest([folder], prepared, SMALL).indexed == 1  # documents come in as before
    again = reindex(prepared, SMALL, silent, judge=lambda old, new: Judged({}))
    assert (again.published, again.embedded, again.brought_after) == (True, 0, 0)  # the ingest embedded these texts
    assert len(documents_of(prepared)) == 5


def test_a_second_reindex_is_refused_and_other_writers_are_not_kept_waiting(
    prepared: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest([folder], prepared, SETTINGS)
    monkeypatch.setattr("indexing.reindexing.reindex._SECONDS_TO_START", 0.0)

    def judge(old: Release, new: Release) -> Judged:
        with pytest.raises(LockedHomeError, match="is re-indexing it"):
            reindex(prepared, SMALL, silent)
        with prepared.exclusive():  # somebody promotes another version meanwhile
            publish(prepared, replace(served(prepared), note="promoted"))
        return Judged({})

    report = reindex(prepared, SMALL, silent, judge=judge)
    assert (report.release, served(prepared).previous) == ("r0003", "r0002")


def test_old_generations_go_with_what_only_they_list_unless_a_reader_has_them_open(
    prepared: Home, folder: Path
) -> None:
    rule = ReindexSettings(keep_generations=2)
    first = ingest([folder], prepared, SETTINGS).generation
    keys = {entry.key for entry in documents_of(prepared).values()}
    searcher = Searcher.open(prepared, SETTINGS)
    second = reindex(prepared, SMALL, silent, rule)
    assert (second.removed, second.held) == ([], [])
    third = reindex(prepared, SMALLER, silent, rule)
    assert (third.removed, third.held) == ([], [first])
    assert searcher.search("newtons").results[0].chunk.document.startswith("part-")  # whole as long as it is open
    searcher.close()
    again = reindex(prepared, SMALLER, silent, rule)  # the same generation once more
    assert (again.removed, again.held) == ([first], [])
    left = {folder.name for folder in prepared.generations.iterdir()}
    assert left == {second.plan.generation, third.plan.generation}
    assert not any(key in path.name for path in prepared.root.rglob("*") for key in keys)
    assert rollback(prepared).generation in left
    rollback(prepared)
    assert texts_of(prepared)
    with pytest.raises(SpecmineError, match=f"generation {first} is gone .* keep_generations"):
        read_generation(prepared, first)


def test_what_a_linked_home_shares_is_not_removed(prepared: Home, folder: Path, tmp_path: Path) -> None:
    ingest([folder], prepared, SETTINGS)
    mine = Home(tmp_path / "mine")
    shutil.copytree(prepared.root, mine.root, symlinks=True)
    for name in ("documents", "vectors"):
        shutil.rmtree(mine.root / name)
        (mine.root / name).symlink_to(prepared.root / name)

    def shared() -> set[Path]:
        return {path for name in ("documents", "vectors") for path in (prepared.root / name).glob("*/*.*")}

    before = {path for path in shared() if path.is_file()}
    for settings in (SMALL, SMALLER):
        reindex(mine, settings, silent)
    assert len(list(mine.generations.iterdir())) == 2  # the first went
    assert before and before <= shared()


def test_the_checks_count_and_search_exactly(prepared: Home, folder: Path) -> None:
    ingest([folder], prepared, SETTINGS)
    release = served(prepared)
    generation, documents = read_generation(prepared, release.generation), documents_of(prepared)
    good = check(prepared, SETTINGS, generation, documents, release.content)
    assert good == Checked(4, 36, 36, {"wordllama": 1.0}, 36)
    assert good.failures(4, 1.0) == []
    assert good.failures(5, 1.0) == ["it holds 4 documents, the served release 5"]
    entry = documents["part-00.md"]
    path = vectors_file(prepared, generation.encoders[0].fingerprint, entry.key)
    rows = np.load(path)
    np.save(path, -rows)  # what the store holds of one document is not what lies on disk
    bad = check(prepared, SETTINGS, generation, documents, release.content)
    assert bad.recall["wordllama"] < 0.95
    assert "less than minimum_recall = 0.95" in bad.failures(4, 0.95)[0]
    fewer = {name: kept for name, kept in documents.items() if name != "part-00.md"}
    short = check(prepared, SETTINGS, generation, fewer, release.content)
    assert short.failures(3, 0.0) == ["the store holds 36 passages, its documents have 27"]


@pytest.mark.parametrize(
    "wrong", [{"tolerance": -0.1}, {"minimum_recall": 1.1}, {"keep_generations": 1}, {"split": "night"}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ReindexSettings(**wrong)  # type: ignore[arg-type]


COMMON = """
import sys
from dataclasses import replace
from pathlib import Path
from chunking.splitters import ChunkSettings
from indexing import embedding
from indexing.home import Home
from indexing.settings import IndexSettings
from indexing.specs import WORDLLAMA
embedding._TEXTS_PER_BATCH = 20
home = Home(Path(sys.argv[1]))
settings = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None, chunking=ChunkSettings(max_tokens=40))
"""
REINDEX = (
    COMMON
    + """
from indexing.reindexing.reindex import reindex
reindex(home, settings, lambda stage, done, total: print(stage, done, total, flush=True))
"""
)
# Prints a line for each release it met; a result of another generation than its release ends it with an error.
SEARCH = (
    COMMON
    + """
from indexing.generations import read_documents
from indexing.search import Searcher
met, asked = [], 0
while not Path(sys.argv[2]).exists():
    searcher = Searcher.open(home, settings)
    whole = set(searcher.chunk_ids)
    for query in ("newtons", "Item 7-8", "shall withstand"):
        found = searcher.search(query, limit=20)
        assert found.release == searcher.release.id
        assert len(found.results) == 20
        assert {result.chunk.id for result in found.results} <= whole
        asked += 1
    if searcher.release.id not in met:
        met.append(searcher.release.id)
    searcher.close()
print(asked, *met)
"""
)


@pytest.mark.campaign
def test_killed_at_any_stage_while_people_search(prepared: Home, folder: Path, tmp_path: Path) -> None:
    for number in range(4, 30):
        write(folder, number)
    ingest([folder], prepared, SETTINGS)
    undisturbed = Home(tmp_path / "undisturbed")
    shutil.copytree(prepared.root, undisturbed.root, symlinks=True)
    reindex(undisturbed, SMALL, silent)
    stop = tmp_path / "stop"
    command = [sys.executable, "-c", SEARCH, str(prepared.root), str(stop)]
    searching = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        moments = (("cutting", 9), ("embedding", 3), ("writing", 9), ("checking", 0))
        assert list(killed_at(REINDEX, [str(prepared.root)], moments)) == list(moments)
        assert current(prepared) is not None and served(prepared).id == "r0001"
        subprocess.run([sys.executable, "-c", REINDEX, str(prepared.root)], check=True, stdout=subprocess.DEVNULL)
        time.sleep(1.0)
    finally:
        stop.touch()
    asked, *met = (searching.communicate(timeout=120)[0] or "0").split()
    assert searching.returncode == 0
    assert (met, int(asked) > 3) == (["r0001", "r0002"], True)
    assert _stored(prepared) == _stored(undisturbed)


def _stored(home: Home) -> tuple[str, dict[str, str], set[str]]:
    searcher = Searcher.open(home, SMALL)
    keys = {name: entry.key for name, entry in searcher.documents.items()}
    state = searcher.vector_checksum("wordllama"), keys, set(searcher.chunk_ids)
    searcher.close()
    return state


def state_of(home: Home, encoder: str) -> dict[str, tuple[bytes, int]]:
    """The bytes of an encoder's vectors and norms of the served documents, and when they were written."""
    release = served(home)
    part = read_generation(home, release.generation).encoder(encoder)
    folder = home.vectors / part.fingerprint[:32]
    files = [path for entry in documents_of(home).values() for path in folder.glob(f"{entry.key}.*")]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_an_encoder_comes_and_goes_without_touching_the_other(
    prepared: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(MINILM.source, Home(prepared.root))
    both = replace(SETTINGS, encoders=(WORDLLAMA, MINILM))
    chunks = ingest([folder], prepared, SETTINGS).chunks
    before, cut = state_of(prepared, "wordllama"), {entry.key for entry in documents_of(prepared).values()}
    embedded: list[str] = []

    def counted(encoder: GenerationEncoder, home: Home) -> DocumentEncoder:
        loaded = load_document_encoder(encoder.spec, home)
        embed = loaded.embed_with_norms

        def embed_with_norms(texts: Sequence[str], progress: object = None) -> object:
            embedded.extend(encoder.spec.name for _ in texts)
            return embed(texts)

        monkeypatch.setattr(loaded, "embed_with_norms", embed_with_norms)
        return loaded

    monkeypatch.setattr(embedding, "load_encoder", counted)
    added = reindex(prepared, both, silent)
    assert added.plan.changes == ("encoder minilm is new",)
    assert (added.published, added.embedded, embedded) == (True, chunks, ["minilm"] * chunks)
    assert added.work.shortened == {"minilm": 0}
    assert state_of(prepared, "wordllama") == before
    assert {entry.key for entry in documents_of(prepared).values()} == cut
    searcher = Searcher.open(prepared, both)
    assert set(searcher.search("newtons").results[0].sources) == {"wordllama", "minilm", "bm25"}
    searcher.close()
    write(folder, 8)
    assert ingest([folder], prepared, both).indexed == 1  # the configured index is the served one

    embedded.clear()
    dropped = reindex(prepared, SETTINGS, silent)
    assert dropped.plan.changes == ("encoder minilm goes",)
    assert (dropped.published, dropped.embedded, embedded) == (True, 0, [])
    after = state_of(prepared, "wordllama")
    assert {name: after[name] for name in before} == before
    only = reindex(prepared, replace(SETTINGS, encoders=(MINILM,)), silent)
    assert (only.published, only.embedded) == (True, 0)  # its vectors were kept
    searcher = Searcher.open(prepared, SETTINGS)
    assert set(searcher.search("newtons").results[0].sources) == {"minilm", "bm25"}
    searcher.close()


def test_passages_that_a_later_encoder_reads_in_part_are_counted(prepared: Home, folder: Path) -> None:
    text = ("bolt " + "/" * 16 + " ") * 45  # four tokens for the word vectors, 16 for BERT
    (folder / "long.md").write_text("# Long\n\n" + text, encoding="utf-8")
    ingest([folder], prepared, SETTINGS)
    settings = replace(SETTINGS, encoders=(WORDLLAMA, MINILM))
    generation = plan_generation(prepared, settings)
    assert generation.chunking == read_generation(prepared, served(prepared).generation).chunking
    work = work_of(prepared, settings, served(prepared), generation)
    texts = [chunk.encoder_text for chunk in Searcher.open(prepared, SETTINGS).chunks.values()]
    tokenizer = Tokenizer.from_file(str(tokenizer_file(MINILM, prepared)))
    tokenizer.no_truncation()
    longer = sum(len(tokenizer.encode(text).ids) > MINILM.max_tokens for text in texts)
    assert work.shortened == {"minilm": longer} and longer > 0
