"""A Qdrant server that is gone, that refuses, or that fails in the middle of a write: one line, and nothing is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException

from indexing.home import SpecmineError
from indexing.stores import server
from indexing.stores.server import ServerStore, connect
from indexing.stores.store import QueryVectors
from tests.answering import Quiet, answering
from tests.indexing.stores.test_stores import make_batch, query_for

pytestmark = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect", "ignore:Failed to obtain server version"
)
FIRST, SECOND = make_batch(["a", "b"], 1), make_batch(["b", "c"], 2)


class OnlyLists(Quiet):
    """Tells that it holds no collections, and hangs up at every other request."""

    def do_GET(self) -> None:
        if self.path == "/collections":
            self.tell({"collections": []})
        self.close_connection = True

    def tell(self, result: dict[str, Any]) -> None:
        """Answer as Qdrant does."""
        answer = json.dumps({"result": result, "status": "ok", "time": 0.0}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


class Slow(OnlyLists):
    """Tells at once that it holds no collections, and after a second and a half whether it holds one."""

    def do_GET(self) -> None:
        if self.path.endswith("/exists"):
            time.sleep(1.5)
            with suppress(BrokenPipeError, ConnectionResetError):  # who asked has gone
                self.tell({"exists": False})
        else:
            super().do_GET()


@pytest.fixture
def url() -> Iterator[str]:
    with answering(OnlyLists) as url:
        yield url


def test_a_server_that_is_gone_is_one_line(url: str) -> None:
    port = int(url.rpartition(":")[2])
    with pytest.raises(SpecmineError, match="no Qdrant server answers at"):
        connect(f"http://127.0.0.1:{port + 1 if port < 65535 else port - 1}", None)


def test_a_server_that_hangs_up_is_one_line(url: str) -> None:
    store = ServerStore(connect(url, None), "a_collection")
    asked: list[Callable[[], Any]] = [
        lambda: store.write(1, None, [FIRST], []),
        lambda: store.has(1),
        lambda: store.keep({1}),
    ]
    for ask in asked:
        with pytest.raises(SpecmineError, match=r"the Qdrant server failed \(.+\): run the same command again"):
            ask()


def test_a_slow_server_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(Slow) as url:
        assert not ServerStore(connect(url, None), "a_collection").has(1)
        monkeypatch.setattr(server, "_PATIENCE", 1)
        hasty = ServerStore(connect(url, None), "a_collection")
        with pytest.raises(SpecmineError, match=r"the Qdrant server failed \(timed out\): run the same command again"):
            hasty.has(1)


def failing_at(client: QdrantClient, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the request of this number, of those that change something, fail before it is done."""
    left = [number]

    def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise ResponseHandlingException(ConnectionResetError("the peer hung up"))
            return method(*arguments, **named)

        return ask

    for name in ("upsert", "set_payload", "delete", "delete_payload"):
        monkeypatch.setattr(client, name, guarded(getattr(client, name)))


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_a_write_that_fails_half_way_is_done_again(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(":memory:", None)
    store = ServerStore(client, "a_collection")
    store.write(1, None, [FIRST], [])
    query = QueryVectors(query_for(FIRST, 3).dense, None)  # a server weighs words over all contents
    before = store.reader(1).nearest([query], 5)
    with monkeypatch.context() as patched:
        failing_at(client, number, patched)
        with pytest.raises(SpecmineError, match="the peer hung up"):
            store.write(2, 1, [SECOND], ["b", "c"])
    assert not store.has(2)
    assert store.reader(1).nearest([query], 5) == before
    store.write(2, 1, [SECOND], ["b", "c"])
    assert store.reader(1).nearest([query], 5) == before
    served = {chunk for chunk, _ in store.reader(2).vectors("alpha")}
    assert served == {chunk.id for chunk in FIRST.chunks if chunk.document == "a"} | {c.id for c in SECOND.chunks}
