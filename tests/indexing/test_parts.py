"""Work in parts: whoever does them, in whatever order, from whatever process, the vectors are the same."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunking.splitters import ChunkSettings
from indexing import embedding
from indexing.generations import GenerationEncoder, document_folder, vectors_file
from indexing.home import Home, SpecmineError
from indexing.ingest import ingest
from indexing.models.fetching import fetch
from indexing.models.fingerprints import encoder_fingerprint
from indexing.parts import Workers, here
from indexing.rates import Work, together
from indexing.reading import document_key, plan_generation, read_and_keep
from indexing.reindexing.reindex import reindex
from indexing.releases import served
from indexing.settings import IndexSettings, QdrantSettings
from indexing.specs import WORDLLAMA

SETTINGS = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "specs"
    folder.mkdir()
    for number in range(5):
        text = f"# Part {number}\n\n## 1 Load\n\nPart {number} shall bear {number * 7} kN.\n\n## 2 Test\n\nTwice.\n"
        (folder / f"part-{number}.md").write_text(text, encoding="utf-8")
    (folder / "empty.pdf").write_bytes(b"")
    return folder


@pytest.fixture
def fresh(tmp_path: Path, models_home: Home) -> Callable[[str], Home]:
    """A home of this name that shares the fetched model files."""
    fetch(WORDLLAMA.source, models_home)

    def make(name: str) -> Home:
        root = tmp_path / name
        root.mkdir()
        (root / "models").symlink_to(models_home.models.resolve())
        return Home(root)

    return make


def vectors_of(home: Home) -> dict[str, str]:
    return {
        str(path.relative_to(home.vectors)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.vectors.rglob("*.npy")
    }


def elsewhere(stages: list[str]) -> Workers:
    """Workers that get and give what travels between processes, and take the last part first."""

    def do(stage: str, work: Any, parts: Sequence[Any], tell: Callable[[int], None]) -> Iterator[Any]:
        for number, part in enumerate(reversed(parts), start=1):
            stages.append(stage)
            sent = pickle.dumps((work, [part]))
            assert b"secret" not in sent
            unpacked, received = pickle.loads(sent)
            for told in pickle.loads(pickle.dumps(list(unpacked(received, lambda done: None)))):
                for took in told.took if isinstance(told, embedding.BatchEmbedded) else ():
                    took.cpu_seconds += 1000.0  # which this process did not take
                yield told
            tell(number)

    return do


@pytest.mark.models
def test_an_ingest_and_a_reindex_are_the_same_whoever_does_the_parts(
    folder: Path, fresh: Callable[[str], Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_TEXTS_PER_BATCH", 3)
    stages: list[str] = []
    cut = replace(SETTINGS, chunking=ChunkSettings(max_tokens=40))
    states = []
    for name, workers in (("plain", here), ("scattered", elsewhere(stages))):
        home = fresh(name)
        report = ingest([folder], home, SETTINGS, workers=workers).as_json()
        again = reindex(home, cut, lambda stage, done, total: None, workers=workers)
        assert (again.actual.sums["cpu_seconds"] >= 1000.0) is (name == "scattered")
        facts = report["documents"], report["chunks"], report["embedded"], again.embedded, again.published
        states.append((facts, vectors_of(home), served(home).generation))
    assert states[0] == states[1]
    # Of every stage there are as many parts as files, or as batches: five documents of two passages, two in a batch.
    assert [stages.count(name) for name in ("reading", "embedding with wordllama", "cutting")] == [6, 6, 5]


@pytest.mark.models
def test_a_key_of_the_store_travels_to_no_worker(folder: Path, fresh: Callable[[str], Home]) -> None:
    home = fresh("home")
    settings = replace(SETTINGS, qdrant=QdrantSettings("https://qdrant.example", "secret"))
    names = sorted(path.name for path in folder.glob("*.md"))
    sources = {name: folder / name for name in names}
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sources.items()}
    generation = plan_generation(home, settings)
    parts: list[str] = []
    tell = lambda stage, done, total: None  # noqa: E731
    read, unread = read_and_keep(sources, {}, hashes, generation, home, settings, tell, elsewhere(parts))
    assert (list(read), unread, len(parts)) == (names, [], 5)


@pytest.mark.models
def test_a_batch_that_is_done_again_finds_its_work_done(folder: Path, fresh: Callable[[str], Home]) -> None:
    home = fresh("home")
    ingest([folder], home, SETTINGS)
    generation = plan_generation(home, SETTINGS)
    name = "part-1.md"
    key = document_key(name, hashlib.sha256((folder / name).read_bytes()).hexdigest(), generation)
    encoder = GenerationEncoder(WORDLLAMA, encoder_fingerprint(WORDLLAMA, home)[0])
    path = vectors_file(home, encoder.fingerprint, key)
    passages = len(np.load(path))
    batch = embedding.Batch({name: key}, {}, passages)

    def again() -> embedding.BatchEmbedded:
        (told,) = embedding.embed_batches(home, encoder, [batch], lambda done: None)
        return told

    before = path.read_bytes()
    assert (again().passages, again().fresh) == (passages, 0)
    path.unlink()
    assert again().fresh == passages
    assert path.read_bytes() == before

    document_folder(home, key).rename(document_folder(home, "elsewhere"))
    path.unlink()
    with pytest.raises(SpecmineError, match="is missing: where workers on other machines did this, the home must be"):
        again()


def test_the_work_of_several_processes_is_one_line_for_each_stage() -> None:
    """Two workers, 6 s each by their clocks, were done after 8 s: of those embedding has 9/12."""
    parts = [
        Work("embedding", "f", 100, 4.0, 4.0, 300.0),
        Work("vectors", "f", 10, 1.0, 2.0, 310.0),
        Work("embedding", "f", 50, 5.0, 5.0, 200.0),
        Work("vectors", "f", 5, 0.5, 1.0, 210.0),
    ]
    assert together(parts, 8.0) == [
        Work("embedding", "f", 150, 9.0, 8.0 * 9 / 12, 300.0),
        Work("vectors", "f", 15, 1.5, 8.0 * 3 / 12, 310.0),
    ]
    assert together([], 8.0) == []
