"""What reading one document may cost; documents are hostile until read."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class ReadLimits:
    """Bounds on one document: seconds of processor time, address space, pages, file size, unpacked size, characters.

    By the wall clock a document may take five times ``seconds``: a busy machine must not make it unreadable.
    ``unpacked_megabytes`` bounds what a zip-based format holds when unpacked, and each packed stream of a PDF.
    """

    seconds: float = 300.0
    memory_mb: int = 4096
    pages: int = 5000
    megabytes: int = 512
    unpacked_megabytes: int = 512
    characters: int = 50_000_000

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) <= 0:
                raise ValueError(f"read limit {field.name} must be above 0, not {getattr(self, field.name)}")
        if self.memory_mb < 256:
            raise ValueError(f"read limit memory_mb must be 256 at least, not {self.memory_mb}")
