from collections.abc import Callable
from pathlib import Path

import pytest

from chunking.document import Chunk

MakeChunk = Callable[..., Chunk]


@pytest.fixture
def make_chunk() -> MakeChunk:
    def make(
        id: str,
        document: str = "d",
        start: int = 0,
        end: int = 10,
        section: tuple[str, ...] = (),
        pages: tuple[int, int] = (1, 1),
    ) -> Chunk:
        return Chunk(id, document, document, 0, section, pages[0], pages[1], start, end, "text", "text", 1)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write_file
