"""The real judged corpora: RFC (spans), JaQuAD (spans, Japanese) and Cranfield (BEIR, whole documents)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chunking.document import Chunk, chunk_id
from evaluation.judgements import Judgement, read_split
from evaluation.leakage import find_leaks, groups, split_seen
from evaluation.measures import measure
from evaluation.projection import project

pytestmark = pytest.mark.data


def windows(folder: Path, size: int) -> list[Chunk]:
    chunks = []
    for path in sorted(folder.glob("*.txt")):
        text = path.read_bytes().decode()
        for ordinal, start in enumerate(range(0, len(text), size)):
            end = min(start + size, len(text))
            id = chunk_id(path.name, start, end, text[start:end])
            part = text[start:end]
            chunks.append(Chunk(id, path.name, path.name, ordinal, (), 1, 1, start, end, part, part, 1))
    return chunks


@pytest.mark.parametrize(
    ("corpus", "train", "dev"), [("rfc", (3250, 3428), (514, 538)), ("jaquad", (717, 717), (99, 99))]
)
def test_every_span_maps_whatever_the_chunking(
    data_folder: Callable[[str], Path], corpus: str, train: tuple[int, int], dev: tuple[int, int]
) -> None:
    folder = data_folder(corpus)
    splits = {
        split: read_split(folder / f"queries.{split}.jsonl", folder / f"judgements.{split}.jsonl", split)
        for split in ("train", "dev")
    }
    assert {split: (len(files.queries), len(files.judgements)) for split, files in splits.items()} == {
        "train": train,
        "dev": dev,
    }
    for size in (300, 900, 5000):
        chunks = windows(folder / "documents", size)
        projections = {
            split: project(files.judgements, chunks, lambda document: None) for split, files in splits.items()
        }
        assert [len(projection.units) for projection in projections.values()] == [train[0], dev[0]]
        assert all(not projection.unmapped for projection in projections.values())
        # A run that returns exactly the positives finds every unit.
        perfect = {query: dict.fromkeys(hits, 1.0) for query, hits in projections["dev"].hits.items()}
        measured = measure(perfect, projections["dev"])
        assert measured.mean["R@100"] == 1.0
        assert measured.mean["RR@10"] == 1.0
    seen = split_seen(projections["dev"], projections["train"])
    assert len(seen.seen) + len(seen.unseen) == dev[0]
    assert {leak.held_out for leak in find_leaks(splits["train"].queries, splits["dev"].queries)} <= set(
        projections["dev"].units
    )


def test_spans_and_the_quotes_they_hold_agree(data_folder: Callable[[str], Path]) -> None:
    folder = data_folder("jaquad")
    files = read_split(folder / "queries.dev.jsonl", folder / "judgements.dev.jsonl", "dev")
    chunks = windows(folder / "documents", 400)

    def text_of(document: str) -> str:
        return (folder / "documents" / document).read_bytes().decode()

    by_span = project(files.judgements, chunks, text_of)
    quotes = [Judgement(j.query, j.document, 1, quote=text_of(j.document)[j.start : j.end]) for j in files.judgements]
    by_quote = project(quotes, chunks, text_of)
    assert by_quote.unmapped == []
    assert by_quote.hits.keys() == by_span.hits.keys()
    for query in by_span.hits:
        assert set(by_span.positives(query)) <= set(by_quote.positives(query))


def test_beir_judges_whole_documents(data_folder: Callable[[str], Path]) -> None:
    folder = data_folder("cranfield")
    files = read_split(folder / "queries.jsonl", folder / "qrels" / "dev.tsv", "dev")
    documents = sorted({judgement.document for judgement in files.judgements})
    chunks = [Chunk(f"{id}/{i}", id, id, i, (), 1, 1, 0, 9, "", "", 1) for id in documents for i in range(2)]
    projection = project(files.judgements, chunks, lambda document: None)
    assert set(projection.units) == {query.id for query in files.queries}
    assert projection.unmapped == []
    assert max(grade for grades in projection.units.values() for grade in grades.values()) == 4
    # Shared documents tie nearly all queries together; they must still make groups enough for a test.
    assert len(set(groups(files.queries, files.judgements).values())) > 12
