"""Judged queries: what a person (or a collection) says answers a query, independent of any chunking.

A judgement never names a chunk, so it outlives re-chunking; ``evaluation.projection`` maps it onto the chunks of an
index. Files are UTF-8 and hostile: every bad line is refused with ``file:line``.

* Queries, JSON lines: ``{"id", "text"[, "group"]}``; BEIR's ``{"_id", "text"}`` is read too (Thakur et al.,
  arXiv 2104.08663).
* Judgements, JSON lines: ``{"query", "document", "grade"}`` and a locator: ``start`` and ``end`` (character offsets),
  or ``quote`` (with ``section`` where it occurs in several), or ``section``, or ``first_page`` and ``last_page``.
  BEIR's ``qrels`` (``.tsv``: query, document, score) judge whole documents.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

Split = Literal["train", "dev", "test", "guard"]
SPLITS: tuple[str, ...] = get_args(Split)

SYNTHETIC = "synthetic"
"""The split of queries that a program made. It is none of ``SPLITS``: nothing is measured on it."""
_SYNTHETIC_ID = f"{SYNTHETIC}:"

GUARD = "guard"
_NAMED_GUARD = re.compile(rf"{GUARD}:[a-z0-9][a-z0-9_-]{{0,40}}")

MAX_LINE = 1_000_000  # characters of one line of a file
MAX_TEXT = 20_000  # characters of a query or a quote
MAX_NAME = 1_000  # characters of an id, a group or a section
MAX_OFFSET = 2**31 - 1  # what a PostgreSQL integer holds
MAX_GRADE = 100

_LOCATORS = ("start", "end", "quote", "section", "first_page", "last_page")
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_JUDGEMENT_KEYS = ("query", "document", "grade", *_LOCATORS)


@dataclass(frozen=True, slots=True)
class Query:
    """A judged query. ``group`` names what it shares with others (a source), where the author of the set says so.

    The ids of synthetic queries, and no others, begin with ``synthetic:``, so that none can become one that measures.
    """

    id: str
    text: str
    split: str
    group: str | None = None

    def __post_init__(self) -> None:
        check_text("id", self.id, MAX_NAME)
        check_text("text", self.text, MAX_TEXT)
        if self.group is not None:
            check_text("group", self.group, MAX_NAME)
        if self.split != SYNTHETIC:
            check_split(self.split)
        if self.id.startswith(_SYNTHETIC_ID) != (self.split == SYNTHETIC):
            raise ValueError(
                f"query {self.id!r} cannot be in split {self.split!r}: ids that begin with {_SYNTHETIC_ID!r} are those "
                "of queries that `specmine queries generate` made, which never measure anything"
            )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What answers a query, and how well: ``grade`` 0 is judged and not relevant, 1 and more is relevant.

    ``[start, end)`` are offsets into the document's text, pages count from 1 (both ends included). The most exact
    locator given decides: span, then quote, then section, then pages, then the whole document.
    """

    query: str
    document: str
    grade: int = 1
    start: int | None = None
    end: int | None = None
    first_page: int | None = None
    last_page: int | None = None
    section: str | None = None
    quote: str | None = None

    def __post_init__(self) -> None:
        check_text("query", self.query, MAX_NAME)
        check_text("document", self.document, MAX_NAME)
        if self.section is not None:
            check_text("section", self.section, MAX_NAME)
        if self.quote is not None:
            check_text("quote", self.quote, MAX_TEXT)
        if not 0 <= self.grade <= MAX_GRADE:
            raise ValueError(f"grade must be 0 to {MAX_GRADE}, not {self.grade}")
        _check_range("start", self.start, "end", self.end, lowest=0)
        _check_range("first_page", self.first_page, "last_page", self.last_page, lowest=1)
        if self.start is not None and self.start == self.end:
            raise ValueError(f"the span {self.start} to {self.end} is empty")


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """One split as read: its queries, their judgements, and where each query stands (``file:line``)."""

    split: str
    queries: list[Query]
    judgements: list[Judgement]
    where: dict[str, str]


def follow_renames(judgements: Iterable[Judgement], renamed: Mapping[str, str]) -> list[Judgement]:
    """Return judgements with the present names of their documents; ``renamed`` gives those by former name."""
    return [
        replace(judgement, document=renamed.get(judgement.document, judgement.document)) for judgement in judgements
    ]


def check_split(split: str) -> None:
    """Raise ``ValueError`` unless ``split`` is one of ``SPLITS`` or a guard with a name (``guard:drawings``).

    These are judged by people, so that they may measure.
    """
    if split not in SPLITS and not _NAMED_GUARD.fullmatch(split):
        raise ValueError(f"split must be one of {', '.join(SPLITS)} or {GUARD}:NAME, not {split!r}")


def training_splits(synthetic: bool) -> tuple[str, ...]:
    """Return the splits that train: ``train``, and the synthetic one where it may."""
    return ("train", SYNTHETIC) if synthetic else ("train",)


def synthetic_id(generator: str, document: str, start: int, end: int, text: str) -> str:
    """Return the id of a synthetic query: the same generator, place and text have the same id in every run."""
    digest = hashlib.sha256("\0".join((generator, document, str(start), str(end), text)).encode()).hexdigest()
    return f"{_SYNTHETIC_ID}{generator}:{digest[:16]}"


def check_text(name: str, value: str, longest: int) -> None:
    """Raise ``ValueError`` unless ``value`` is text that a catalogue can hold: not blank, not too long, no NUL."""
    if not value.strip():
        raise ValueError(f"{name} is empty")
    if len(value) > longest:
        raise ValueError(f"{name} is longer than {longest:,} characters")
    # Neither can be stored: PostgreSQL refuses NUL, and lone surrogates are not Unicode text.
    if _NOT_TEXT.search(value):
        raise ValueError(f"{name} holds characters that are not text (NUL or half a surrogate pair)")


def read_queries(path: Path, split: str) -> list[Query]:
    """Return the queries of a JSON-lines file, in its order. A repeated identical line counts once.

    Raises ``ValueError`` naming ``file:line``.
    """
    return list(_read_queries(path, split)[0].values())


def read_judgements(path: Path) -> list[Judgement]:
    """Return the judgements of a JSON-lines or (suffix ``.tsv``) BEIR qrels file, in its order.

    Raises ``ValueError`` naming ``file:line``.
    """
    return [judgement for _, judgement in _read_judgements(path)]


def read_split(queries_path: Path, judgements_path: Path, split: str) -> SplitFiles:
    """Read both files of a split and check one against the other.

    BEIR keeps the queries of all splits in one file: with qrels, only queries that are judged in them belong to the
    split. Raises ``ValueError`` naming ``file:line`` for a bad line or a judgement of an unknown query.
    """
    queries, where = _read_queries(queries_path, split)
    located = _read_judgements(judgements_path)
    for place, judgement in located:
        if judgement.query not in queries:
            raise ValueError(f"{place}: query {judgement.query!r} is not in {queries_path}")
    if judgements_path.suffix.lower() == ".tsv":
        judged = {judgement.query for _, judgement in located}
        queries = {id: query for id, query in queries.items() if id in judged}
    if not queries:
        raise ValueError(f"{queries_path} and {judgements_path} hold no judged query")
    return SplitFiles(split, list(queries.values()), [judgement for _, judgement in located], where)


def _read_queries(path: Path, split: str) -> tuple[dict[str, Query], dict[str, str]]:
    check_split(split)
    queries: dict[str, Query] = {}
    where: dict[str, str] = {}
    for place, record in _json_lines(path):
        try:
            key = "_id" if "_id" in record else "id"
            group = None if record.get("group") is None else _string(record, "group")
            query = Query(_string(record, key), _string(record, "text"), split, group)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        if queries.setdefault(query.id, query) != query:
            raise ValueError(f"{place}: query {query.id!r} is already in {where[query.id]} with another text or group")
        where.setdefault(query.id, place)
    return queries, where


def _read_judgements(path: Path) -> list[tuple[str, Judgement]]:
    if path.suffix.lower() == ".tsv":
        return list(_read_qrels(path))
    located = []
    for place, record in _json_lines(path):
        try:
            located.append((place, _judgement(record)))
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
    return located


def _judgement(record: dict[str, Any]) -> Judgement:
    # A mistyped locator would silently judge the whole document, so unknown keys are refused.
    for key in record:
        if key not in _JUDGEMENT_KEYS:
            raise ValueError(f"unknown key {key!r} (known: {', '.join(_JUDGEMENT_KEYS)})")
    given = {key: record[key] for key in _LOCATORS if record.get(key) is not None}
    for key in given:
        if key in ("quote", "section"):
            _string(given, key)
        else:
            _integer(given, key)
    if "first_page" in given:
        given.setdefault("last_page", given["first_page"])
    return Judgement(_string(record, "query"), _string(record, "document"), _integer(record, "grade"), **given)


def _read_qrels(path: Path) -> Iterator[tuple[str, Judgement]]:
    for number, line in _lines(path):
        place = f"{path}:{number}"
        cells = line.split("\t")
        if len(cells) != 3:
            raise ValueError(f"{place}: expected query, document and score between tabs, found {len(cells)} columns")
        query, document, score = (cell.strip() for cell in cells)
        if not score.removeprefix("-").isdecimal() or len(score) > 9:
            if number == 1:
                continue  # the header
            raise ValueError(f"{place}: score must be a whole number, not {score[:40]!r}")
        try:
            yield place, Judgement(query, document, int(score))
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None


def _json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in _lines(path):
        place = f"{path}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{place}: not a JSON object ({str(error)[:100]})") from None
        if not isinstance(record, dict):
            raise ValueError(f"{place}: not a JSON object")
        yield place, record


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number (from 1) and text of each line that is not blank."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise ValueError(f"{path}:{number}: longer than {MAX_LINE:,} characters")
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}:{number + 1}: not UTF-8 text (or in the lines after it): {error.reason}") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None


def _string(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key!r} is missing" if value is None else f"{key!r} must be a text")
    return value


def _integer(record: dict[str, Any], key: str) -> int:
    value = record.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{key!r} is missing" if value is None else f"{key!r} must be a whole number")
    return value


def _check_range(low_name: str, low: int | None, high_name: str, high: int | None, lowest: int) -> None:
    if low is None and high is None:
        return
    if low is None or high is None:
        raise ValueError(f"{low_name} and {high_name} go together")
    if not lowest <= low <= high <= MAX_OFFSET:
        raise ValueError(f"{low_name} {low} to {high_name} {high} is not a range from {lowest} on")
