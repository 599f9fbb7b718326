from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from evaluation import tables
from evaluation.catalogue import Catalogue
from evaluation.database import CatalogueError, open_engine
from evaluation.judgements import SYNTHETIC, Judgement, Query, synthetic_id
from evaluation.synthetic import Generated, SyntheticQuery

Write = Callable[[str, str], Path]


def entry(generator: str, document: str, text: str, rank: int = 1) -> SyntheticQuery:
    query = Query(synthetic_id(generator, document, 5, 9, text), text, SYNTHETIC)
    return SyntheticQuery(query, Judgement(query.id, document, 1, 5, 9), rank)


def made(generator: str, document: str, *texts: str, fingerprint: str = "f") -> Generated:
    queries = sorted((entry(generator, document, text, rank) for rank, text in enumerate(texts, 1)), key=_id)
    return Generated(generator, document, fingerprint, {"seed": 13}, 4, {"not found": 2}, tuple(queries))


def _id(entry: SyntheticQuery) -> str:
    return entry.query.id


def test_what_was_generated_is_read_back_and_replaced_by_what_comes_later(catalogue: Catalogue) -> None:
    first, other = made("headings", "a.pdf", "torque", "preload"), made("headings", "b.pdf", "torque")
    catalogue.store_generated(first)
    catalogue.store_generated(other)
    found = catalogue.generated()
    assert [(entry.document, entry.queries, entry.made) for entry in found] == [
        ("a.pdf", first.queries, 4),
        ("b.pdf", other.queries, 4),
    ]
    assert (found[0].settings, found[0].dropped, found[0].time[-1:]) == ({"seed": 13}, {"not found": 2}, "Z")
    assert len(catalogue.queries(SYNTHETIC)) == len(catalogue.judgements(SYNTHETIC)) == 3
    catalogue.store_generated(made("headings", "a.pdf", "preload", fingerprint="g"))
    assert [query.text for query in catalogue.queries(SYNTHETIC)].count("preload") == 1
    assert [(entry.fingerprint, len(entry.queries)) for entry in catalogue.generated()] == [("g", 1), ("f", 1)]


def test_removing_takes_the_queries_and_judgements_of_one_generator_and_document(catalogue: Catalogue) -> None:
    for generator in ("headings", "definitions"):
        catalogue.store_generated(made(generator, "a.pdf", f"{generator} one", f"{generator} two"))
    catalogue.import_split("train", [Query("t", "Kept?", "train")], [Judgement("t", "a.pdf")])
    assert catalogue.remove_generated([("headings", "a.pdf"), ("headings", "gone.pdf")]) == 2
    assert [entry.generator for entry in catalogue.generated()] == ["definitions"]
    assert len(catalogue.judgements(SYNTHETIC)) == 2
    assert len(catalogue.queries("train")) == 1


def test_no_synthetic_query_can_become_one_that_measures(catalogue: Catalogue, url: str, write: Write) -> None:
    generated = made("headings", "a.pdf", "torque")
    catalogue.store_generated(generated)
    id = generated.queries[0].query.id
    for split in ("train", "dev", "test", "guard"):
        with pytest.raises(ValueError, match="never measure"):
            Query(id, "torque", split)
        assert catalogue.queries(split) == []
    with pytest.raises(ValueError, match="never measure"):
        Query("q1", "torque", SYNTHETIC)
    queries = write("q.jsonl", f'{{"id": "{id}", "text": "torque"}}\n')
    judgements = write("j.jsonl", f'{{"query": "{id}", "document": "a.pdf", "grade": 1}}\n')
    with pytest.raises(ValueError, match=r"q\.jsonl:1: .*never measure"):
        catalogue.import_files("dev", queries, judgements)
    with pytest.raises(ValueError, match="split must be one of train, dev, test, guard"):
        catalogue.import_split(SYNTHETIC, [generated.queries[0].query], [])
    with pytest.raises(ValueError, match="split must be one of train, dev, test, guard"):
        catalogue.record_measures("r0001", SYNTHETIC, {})
    # Whoever moves one by SQL makes the split unreadable, not the measure wrong.
    engine = open_engine(sa.make_url(url))
    with engine.begin() as connection:
        connection.execute(sa.update(tables.queries).values(split="dev"))
    engine.dispose()
    with pytest.raises(CatalogueError, match=r"changed by another program.*never measure"):
        catalogue.queries("dev")


def test_a_catalogue_of_before_gets_the_new_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalogue.sqlite"
    book = Catalogue(url)
    book.import_split("train", [Query("t", "Kept?", "train")], [])
    book.close()
    engine = open_engine(sa.make_url(url))
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE synthetic_queries")
        connection.exec_driver_sql("DROP TABLE generated")
    engine.dispose()
    book = Catalogue(url)
    book.store_generated(made("headings", "a.pdf", "torque"))
    assert (len(book.generated()), len(book.queries("train"))) == (1, 1)
    book.close()
