import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from chunking.document import Chunk
from evaluation import tables
from evaluation.catalogue import Catalogue
from evaluation.database import open_engine
from tests.evaluation.postgres import programs, server

MakeChunk = Callable[..., Chunk]

POSTGRES = os.environ.get("SPECMINE_TEST_POSTGRES")  # URL of an empty database that may be written to


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of an empty PostgreSQL database: the one that is named, else that of a server started here."""
    if POSTGRES:
        yield POSTGRES
        return
    folder = programs()
    if folder is None:
        pytest.skip(
            "PostgreSQL is not installed and SPECMINE_TEST_POSTGRES names no database: `apt-get install postgresql`"
        )
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed: pip install 'specmine[postgres]'")
    with server(folder) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty catalogue, once on each kind of database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state/catalogue.sqlite"
        return
    url = request.getfixturevalue("postgres")
    yield url
    engine = open_engine(sa.make_url(url))
    tables.METADATA.drop_all(engine)
    engine.dispose()


@pytest.fixture
def catalogue(url: str) -> Iterator[Catalogue]:
    catalogue = Catalogue(url)
    yield catalogue
    catalogue.close()


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
