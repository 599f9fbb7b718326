"""The passages of a content by id: their ids and places are in memory, their texts are read from disk when asked for.

Memory grows by some 60 bytes for each passage, however long its text: the id, where its record stands, and its place in
the order of ids.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, ValuesView
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import overload
from weakref import WeakValueDictionary

import numpy as np

from chunking.document import Chunk, Parent
from chunking.stored import chunk_places, load_chunks, load_some_chunks
from indexing.home import SpecmineError

# Passages that were read last stay in memory: some ten megabytes.
_KEPT = 4096


class Passages(Mapping[str, Chunk]):
    """All chunks of the documents in ``folders`` (by document id), in the order of the documents.

    A chunk that somebody holds is not read twice: whoever asks for it gets the same one. To go through all of them use
    ``values``, which reads document by document. Raises SpecmineError when a document's chunks cannot be read.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._names = list(folders)
        self._folders = list(folders.values())
        parts = [_places(folder) for folder in self._folders]
        self._ids = np.concatenate([np.zeros(0, "S1"), *(ids for ids, _ in parts)])
        self._offsets = np.concatenate([np.zeros(0, np.int64), *(offsets for _, offsets in parts)])
        self._firsts = np.cumsum([0, *(len(ids) for ids, _ in parts)])  # the row each document's chunks begin at
        self._sorted = np.argsort(self._ids, kind="stable")
        self._held: WeakValueDictionary[int, Chunk] = WeakValueDictionary()
        self._recent: deque[Chunk] = deque(maxlen=_KEPT)

    def __getitem__(self, chunk: str) -> Chunk:
        row = self._row(chunk)
        if row is None:
            raise KeyError(chunk)
        return self._held.get(row) or self._read([row])[0]

    def __contains__(self, chunk: object) -> bool:
        return isinstance(chunk, str) and self._row(chunk) is not None

    def __iter__(self) -> Iterator[str]:
        return map(bytes.decode, self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all chunks, in order."""
        return _Ids(self._ids)

    def values(self) -> ValuesView[Chunk]:
        """All chunks in order. Going through them holds those of one document at a time."""
        return _Streamed(self)

    def of_documents(self, documents: Iterable[str]) -> Iterator[Chunk]:
        """Yield the chunks of these documents, of those that are here, in order; no other's file is read."""
        wanted = set(documents)
        for name, folder in zip(self._names, self._folders, strict=True):
            if name in wanted:
                yield from _chunks(folder)

    def some(self, chunks: Iterable[str]) -> dict[str, Chunk]:
        """Return the chunks with these ids: each document is opened once, and read from front to back.

        Raises KeyError for an unknown one.
        """
        rows = {chunk: self._row(chunk) for chunk in chunks}
        if None in rows.values():
            raise KeyError(next(chunk for chunk, row in rows.items() if row is None))
        found = {row: held for row in rows.values() if row is not None and (held := self._held.get(row)) is not None}
        missing = sorted(row for row in rows.values() if row is not None and row not in found)
        for _, of_document in groupby(missing, key=self._document):
            part = list(of_document)
            found.update(zip(part, self._read(part), strict=True))
        return {chunk: found[row] for chunk, row in rows.items() if row is not None}

    def _read(self, rows: Sequence[int]) -> list[Chunk]:
        """Read the chunks in these rows, all of one document."""
        folder = self._folders[self._document(rows[0])]
        try:
            read = load_some_chunks(folder, [int(self._offsets[row]) for row in rows])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _unreadable(folder, error) from None
        chunks = [self._held.setdefault(row, chunk) for row, chunk in zip(rows, read, strict=True)]
        self._recent.extend(chunks)
        return chunks

    def place_of(self, chunk: str) -> tuple[str, int]:
        """Return the document of a chunk and its place among the document's chunks, from 0. Reads nothing.

        Raises KeyError for an unknown chunk.
        """
        row = self._row(chunk)
        if row is None:
            raise KeyError(chunk)
        document = self._document(row)
        return self._names[document], row - int(self._firsts[document])

    def clause_of(self, chunk: str) -> int:
        """Return a number that a chunk shares with those cut from the same clause. Raises KeyError for an unknown one.

        All chunks are read once, at the first call.
        """
        row = self._row(chunk)
        if row is None:
            raise KeyError(chunk)
        return int(self._clauses[row])

    @cached_property
    def _clauses(self) -> np.ndarray:
        """The number of each chunk's clause, (n,) int64."""
        numbers = np.zeros(len(self), np.int64)
        seen: dict[Parent | None, int] = {}
        first = document = -1
        for row, chunk in enumerate(self.values()):
            if self._document(row) != document:
                document, first, seen = self._document(row), row, {}
            numbers[row] = seen.setdefault(chunk.parent, first + len(seen))
        return numbers

    def _document(self, row: int) -> int:
        return int(np.searchsorted(self._firsts, row, side="right")) - 1

    def _row(self, chunk: str) -> int | None:
        wanted = chunk.encode()
        if len(wanted) > self._ids.dtype.itemsize:  # numpy would cut it
            return None
        place = int(np.searchsorted(self._ids, wanted, sorter=self._sorted))
        if place == len(self._sorted):
            return None
        row = int(self._sorted[place])
        return row if self._ids[row] == wanted else None


class _Ids(Sequence[str]):
    """The ids, each made when it is asked for: as objects they would take three times the memory."""

    def __init__(self, ids: np.ndarray) -> None:
        self._ids = ids

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [id.decode() for id in self._ids[place]]
        return str(self._ids[place].decode())

    def __len__(self) -> int:
        return len(self._ids)


class _Streamed(ValuesView[Chunk]):
    """The chunks, document by document. (The view of ``Mapping`` looks each of them up.)"""

    _mapping: Passages

    def __iter__(self) -> Iterator[Chunk]:
        for folder in self._mapping._folders:
            yield from _chunks(folder)


def _places(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of a document's chunks, (n,) bytes, and the places of their records, (n,) int64."""
    try:
        places = chunk_places(folder)
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from None
    return np.array([id for id, _ in places], dtype="S"), np.array([offset for _, offset in places], dtype=np.int64)


def _chunks(folder: Path) -> list[Chunk]:
    try:
        return load_chunks(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(folder, error) from None


def _unreadable(folder: Path, error: Exception) -> SpecmineError:
    return SpecmineError(f"the passages in {folder} cannot be read ({error}): run `specmine reindex`")
