"""A stage whose work falls into parts that do not need each other: documents to read, batches of passages to embed.

They are done here, one after another, unless who calls hands in ``Workers`` that do them elsewhere (``flows.workers``).
What a part makes lies in the home, under a name made of its content and of the configuration it was made with, so that
a part that is done a second time finds what is there; what comes back is only what there is to tell of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from indexing.generations import document_folder
from indexing.home import Home, SpecmineError, is_whole

P = TypeVar("P")
R = TypeVar("R")

Count = Callable[[int], None]
"""Called with how much is done, in the stage's own unit."""


class Workers(Protocol):
    """Those who do the parts of a stage.

    ``work`` does several parts and yields what there is to tell of them; it calls a function with what it has done so
    far. Function, parts and results are sent to other processes, so they can be pickled; documents and vectors are not
    sent, but lie in the home. ``tell`` is called with what is done of all parts. Results come in any order.
    """

    def __call__(
        self, stage: str, work: Callable[[Sequence[P], Count], Iterator[R]], parts: Sequence[P], tell: Count
    ) -> Iterator[R]:
        """Yield what ``work`` yields for all parts. Raises what it raises."""


def here(stage: str, work: Callable[[Sequence[P], Count], Iterator[R]], parts: Sequence[P], tell: Count) -> Iterator[R]:
    """Do all parts in this thread, in order."""
    yield from work(parts, tell)


def kept_document(home: Home, key: str) -> Path:
    """Return the folder of a document that a part made, or is made from. Raises SpecmineError when it is not there."""
    folder = document_folder(home, key)
    if not is_whole(folder):
        raise not_shared(folder)
    return folder


def not_shared(path: Path) -> SpecmineError:
    """Return what is wrong when this process does not find what another made."""
    return SpecmineError(
        f"{path} is missing: where workers on other machines did this, the home must be the same folder, on storage "
        "that all of them share"
    )
