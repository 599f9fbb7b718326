"""Which reader documents are read by, where there is a choice."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

PdfReader = Literal["specmine", "docling"]


@dataclass(frozen=True)
class ReadingSettings:
    """By what PDFs are read: specmine's own reader, or docling with its models, where it is installed.

    ``docling_artifacts`` is the folder that docling's models were downloaded to, "" for the folder where docling puts
    them itself. ``docling_python`` is the interpreter of the environment that docling is installed in, "" for that of
    specmine.
    """

    pdf: PdfReader = "specmine"
    docling_artifacts: str = ""
    docling_python: str = ""

    def __post_init__(self) -> None:
        if self.pdf not in get_args(PdfReader):
            raise ValueError(f"pdf must be one of {', '.join(get_args(PdfReader))}, not {self.pdf!r}")

    @property
    def artifacts(self) -> Path:
        """The folder of docling's models."""
        cache = Path(os.environ.get("DOCLING_CACHE_DIR") or Path.home() / ".cache" / "docling")
        return Path(self.docling_artifacts) if self.docling_artifacts else cache / "models"


OWN = ReadingSettings()
