import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation.judgements import Judgement, Query, read_judgements, read_queries, read_split

Write = Callable[[str, str], Path]


def test_reads_queries_in_order_with_group_and_byte_order_mark(write: Write) -> None:
    path = write("q.jsonl", '\ufeff{"id": "b", "text": "Is it?", "group": "g"}\r\n\n{"id": "a", "text": "締付トルク"}')
    assert read_queries(path, "dev") == [Query("b", "Is it?", "dev", "g"), Query("a", "締付トルク", "dev", None)]


def test_line_separators_inside_a_text_do_not_end_the_line(write: Write) -> None:
    path = write("q.jsonl", '{"id": "a", "text": "one\u2028two"}\n')
    assert read_queries(path, "dev")[0].text == "one\u2028two"


def test_reads_every_locator(write: Write) -> None:
    records = [
        {"query": "a", "document": "d", "start": 3, "end": 9, "section": "4.2", "grade": 2},
        {"query": "a", "document": "d", "quote": "shall be", "section": None, "grade": 1},
        {"query": "a", "document": "d", "first_page": 4, "grade": 1},
        {"query": "a", "document": "d", "grade": 0},
    ]
    assert read_judgements(write("j.jsonl", "\n".join(map(json.dumps, records)))) == [
        Judgement("a", "d", 2, start=3, end=9, section="4.2"),
        Judgement("a", "d", 1, quote="shall be"),
        Judgement("a", "d", 1, first_page=4, last_page=4),
        Judgement("a", "d", 0),
    ]


def test_reads_beir_and_keeps_only_the_queries_judged_in_the_split(write: Write) -> None:
    queries = write("queries.jsonl", '{"_id": "1", "text": "x", "metadata": {}}\n{"_id": "2", "text": "y"}\n')
    qrels = write("dev.tsv", "query-id\tcorpus-id\tscore\n2\t184\t3\n2\t29\t0\n")
    files = read_split(queries, qrels, "dev")
    assert files.queries == [Query("2", "y", "dev", None)]
    assert files.judgements == [Judgement("2", "184", 3), Judgement("2", "29", 0)]
    assert files.where["2"] == f"{queries}:2"


def test_qrels_without_header_lose_no_line(write: Write) -> None:
    assert read_judgements(write("dev.tsv", "1\ta\t1\n1\tb\t2\n")) == [Judgement("1", "a", 1), Judgement("1", "b", 2)]


BAD_QUERIES = {
    "not JSON": "{",
    "a list": "[]",
    "endless nesting": "[" * 100_000,
    "a number of too many digits": '{"id": ' + "9" * 5000 + "}",
    "no text": '{"id": "b"}',
    "blank text": '{"id": "b", "text": " "}',
    "text is a number": '{"id": "b", "text": 3}',
    "NUL": '{"id": "b", "text": "a\\u0000b"}',
    "half a surrogate pair": '{"id": "b", "text": "\\ud800"}',
    "too long a text": '{"id": "b", "text": "' + "x" * 20_001 + '"}',
    "another text": '{"id": "a", "text": "other"}',
}


@pytest.mark.parametrize("line", BAD_QUERIES.values(), ids=BAD_QUERIES.keys())
def test_a_bad_query_is_refused_with_its_line(write: Write, line: str) -> None:
    path = write("q.jsonl", '{"id": "a", "text": "x"}\n\n' + line + "\n")
    with pytest.raises(ValueError) as refused:
        read_queries(path, "train")
    message = str(refused.value)
    assert message.startswith(f"{path}:3: ")
    assert "\n" not in message
    assert len(message) < 400 + len(str(path))


BAD_JUDGEMENTS = {
    "mistyped key": '"grade": 1, "qoute": "shall"',
    "no grade": '"start": 1, "end": 2',
    "grade is a truth value": '"grade": true',
    "grade is a fraction": '"grade": 1.5',
    "negative grade": '"grade": -1',
    "start without end": '"grade": 1, "start": 1',
    "empty span": '"grade": 1, "start": 2, "end": 2',
    "reversed span": '"grade": 1, "start": 3, "end": 2',
    "negative start": '"grade": 1, "start": -1, "end": 2',
    "offset beyond any database": '"grade": 1, "start": 1, "end": 2147483648',
    "page 0": '"grade": 1, "first_page": 0',
    "last page alone": '"grade": 1, "last_page": 3',
    "blank quote": '"grade": 1, "quote": ""',
    "quote is a number": '"grade": 1, "quote": 4',
}


@pytest.mark.parametrize("fields", BAD_JUDGEMENTS.values(), ids=BAD_JUDGEMENTS.keys())
def test_a_bad_judgement_is_refused_with_its_line(write: Write, fields: str) -> None:
    path = write(
        "j.jsonl", '{"query": "a", "document": "d", "grade": 1}\n{"query": "a", "document": "d", ' + fields + "}"
    )
    with pytest.raises(ValueError) as refused:
        read_judgements(path)
    assert str(refused.value).startswith(f"{path}:2: ")


@pytest.mark.parametrize("line", ["1\ta", "1\ta\tx", "1\ta\t-1", "\ta\t1", "1\ta\t99999999999"])
def test_bad_qrels_are_refused_with_their_line(write: Write, line: str) -> None:
    path = write("q.tsv", "query-id\tcorpus-id\tscore\n" + line + "\n")
    with pytest.raises(ValueError) as refused:
        read_judgements(path)
    assert str(refused.value).startswith(f"{path}:2: ")


def test_judgements_of_unknown_queries_are_refused(write: Write) -> None:
    queries = write("q.jsonl", '{"id": "a", "text": "x"}')
    judgements = write("j.jsonl", '{"query": "b", "document": "d", "grade": 1}')
    with pytest.raises(ValueError, match=r"j\.jsonl:1: query 'b' is not in"):
        read_split(queries, judgements, "train")


def test_missing_and_binary_files_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_queries(tmp_path / "absent.jsonl", "train")
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_queries(binary, "train")


def test_unknown_split_lists_the_known() -> None:
    with pytest.raises(ValueError, match="train, dev, test, guard or guard:NAME, not 'eval'"):
        Query("a", "x", "eval", None)
