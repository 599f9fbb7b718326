"""Judged queries brought into the catalogue."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation import judgements as judged
from flows.opened import catalogue
from flows.settings import Settings
from indexing.home import SpecmineError


def check_split(split: str) -> None:
    """Raise SpecmineError when there is no such split."""
    try:
        judged.check_split(split)
    except ValueError as error:
        raise SpecmineError(str(error)) from None


def import_files(settings: Settings, queries: Path, judgements: Path, split: str) -> dict[str, Any]:
    """Import the queries and judgements of a split; return how many there are, and how many queries are new.

    Raises SpecmineError that names file and line of what is wrong.
    """
    check_split(split)
    try:
        with catalogue(settings) as book:
            imported = book.import_files(split, queries, judgements)
    except ValueError as error:  # names file and line
        raise SpecmineError(str(error)) from None
    return {"split": split, **asdict(imported)}
