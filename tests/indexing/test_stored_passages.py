"""The passages of a content: the same as what was saved, read when asked for, and no text held longer than wanted."""

from __future__ import annotations

import gc
import random
import tracemalloc
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

import indexing.passages as module
from chunking.document import Chunk, Document, Parent, chunk_id
from chunking.stored import chunk_places, load_some_chunks, save
from indexing.home import SpecmineError
from indexing.passages import Passages


def stored(folder: Path, document: str, texts: list[str]) -> list[Chunk]:
    """Save a document cut into ``texts``, each followed by a line end, and return its chunks."""
    chunks = []
    start = 0
    for ordinal, text in enumerate(texts):
        end = start + len(text)
        name = chunk_id(document, start, end, text)
        chunks.append(
            Chunk(name, document, document, ordinal, ("1",), 1, 1, start, end, text, f"{document}\n{text}", 3)
        )
        start = end + 1
    save(folder, Document(document, "0" * 64, document, "\n".join(texts), (), ()), chunks)
    return chunks


@pytest.fixture
def saved(tmp_path: Path) -> dict[str, list[Chunk]]:
    texts = {"a": ["one", 'quoted "id": "x"\nアンカー', "three"], "b": [], "c": ["four", "five"]}
    return {name: stored(tmp_path / name, name, parts) for name, parts in texts.items()}


@pytest.fixture
def passages(saved: dict[str, list[Chunk]], tmp_path: Path) -> Passages:
    return Passages({name: tmp_path / name for name in saved})


def test_it_is_a_mapping_of_what_was_saved(passages: Passages, saved: dict[str, list[Chunk]]) -> None:
    every = saved["a"] + saved["c"]
    assert list(passages) == [chunk.id for chunk in every]
    assert list(passages.values()) == every
    assert dict(passages.items()) == {chunk.id: chunk for chunk in every}
    assert len(passages) == 5
    assert list(passages.ids) == list(passages)
    assert (passages.ids[-1], passages.ids[::-2]) == (every[-1].id, list(passages)[::-2])
    assert [passages[chunk.id] for chunk in reversed(every)] == every[::-1]
    assert list(passages.of_documents(["c", "z", "b"])) == saved["c"]
    wanted = [every[4], every[0], every[2], every[0]]
    assert passages.some([chunk.id for chunk in wanted]) == {chunk.id: chunk for chunk in wanted}


def test_a_place_is_known_without_reading(passages: Passages, saved: dict[str, list[Chunk]], tmp_path: Path) -> None:
    for name in saved:
        (tmp_path / name / "chunks.jsonl").unlink()
    for document, chunks in saved.items():
        assert [passages.place_of(chunk.id) for chunk in chunks] == [(document, n) for n in range(len(chunks))]


@pytest.mark.parametrize("unknown", ["", "x", "ffffffff-ffff-ffff-ffff-ffffffffffff", "0" * 99, "é"])
def test_what_is_not_there_is_not_found(passages: Passages, unknown: str) -> None:
    assert unknown not in passages
    assert passages.get(unknown) is None
    for ask in (passages.__getitem__, passages.place_of, passages.clause_of, lambda id: passages.some([id])):
        with pytest.raises(KeyError):
            ask(unknown)
    assert 3 not in passages


def test_an_empty_content_has_no_passage(tmp_path: Path) -> None:
    stored(tmp_path / "e", "e", [])
    for empty in (Passages({}), Passages({"e": tmp_path / "e"})):
        assert (list(empty), list(empty.values()), len(empty), "x" in empty) == ([], [], 0, False)


def test_who_holds_a_chunk_shares_it_and_who_lets_go_frees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 3)
    chunks = stored(tmp_path / "d", "d", [f"text {n}" for n in range(20)])
    passages = Passages({"d": tmp_path / "d"})
    held = passages[chunks[0].id]
    for chunk in chunks:
        passages[chunk.id]
    assert passages[chunks[0].id] is held  # long out of the three that were read last
    gc.collect()
    assert len(passages._held) == 4  # these three, and what is held here


def test_texts_take_no_memory_until_they_are_read(tmp_path: Path) -> None:
    """Two homes of equally many passages, one with texts a hundred times as long: the same memory."""
    grown = {}
    for length in (50, 5000):
        folder = tmp_path / str(length)
        stored(folder, "d", [f"{n:04} ".ljust(length, "x") for n in range(1000)])
        tracemalloc.start()
        passages = Passages({"d": folder})
        grown[length] = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(passages) == 1000
    assert grown[5000] < grown[50] + 1000  # bytes
    assert grown[5000] < 70 * 1000 + 8192  # 36 + 8 + 8 for each passage, and what is there but once


def test_passages_of_one_clause_share_a_number_and_no_others_do(tmp_path: Path) -> None:
    """Two documents whose clauses stand at the same places; the middle clause has two passages."""
    parents = [Parent(0, 9, 1, 1), Parent(10, 30, 1, 1), Parent(10, 30, 1, 1), Parent(40, 50, 1, 2)]
    chunks: dict[tuple[str, int], str] = {}
    for name in ("a", "b"):
        plain = stored(tmp_path / name, name, ["p", "q", "r", "s"])
        cut = [replace(chunk, parent=parent) for chunk, parent in zip(plain, parents, strict=True)]
        save(tmp_path / name, Document(name, "0" * 64, name, "p\nq\nr\ns", (), ()), cut)
        chunks |= {(name, place): chunk.id for place, chunk in enumerate(cut)}
    passages = Passages({name: tmp_path / name for name in ("a", "b")})
    for one, other in product(chunks, repeat=2):
        same_clause = one[0] == other[0] and parents[one[1]] == parents[other[1]]
        assert (passages.clause_of(chunks[one]) == passages.clause_of(chunks[other])) == same_clause


def test_what_cannot_be_read_is_said_in_one_line(
    passages: Passages, saved: dict[str, list[Chunk]], tmp_path: Path
) -> None:
    path = tmp_path / "a" / "chunks.jsonl"
    path.write_bytes(b"x" * path.stat().st_size)
    for read in (
        lambda: passages[saved["a"][1].id],
        lambda: list(passages.values()),
        lambda: Passages({"a": path.parent}),
    ):
        with pytest.raises(SpecmineError, match=r"the passages in .*/a cannot be read .*specmine reindex") as refused:
            read()
        assert "\n" not in str(refused.value)
    with pytest.raises(SpecmineError, match="cannot be read"):
        Passages({"gone": tmp_path / "gone"})


def test_places_lead_to_the_records(tmp_path: Path) -> None:
    draw = random.Random(5)
    alphabet = 'ab"\\\n\r\u2028\u0085\0é設😀{}:, '
    texts = ["".join(draw.choices(alphabet, k=draw.randrange(1, 40))) for _ in range(200)]
    chunks = stored(tmp_path, "d", texts)
    places = chunk_places(tmp_path)
    assert [id for id, _ in places] == [chunk.id for chunk in chunks]
    assert load_some_chunks(tmp_path, [offset for _, offset in reversed(places)]) == chunks[::-1]
