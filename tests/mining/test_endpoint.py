"""The endpoint's client against a real HTTP server that speaks the protocol, and that misbehaves in every way."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chunking.document import Chunk, Document
from indexing.home import SpecmineError
from mining import endpoint as client
from mining.drafts import Material, Vocabulary
from mining.endpoint import Endpoint
from mining.generate_models import endpoint
from mining.generate_settings import EndpointSettings, GenerateSettings
from mining.generators import description

KEY = "sk-confidential-1234"


class Server:
    """Answers each request as the next of ``replies`` says, the last for ever: status, body, headers."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, bytes, dict[str, str]]] = []
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.busy, self.busiest = 0, 0
        self.slow = 0.0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    outer.asked.append((self.path, dict(self.headers), body))
                    reply = outer.replies.pop(0) if len(outer.replies) > 1 else outer.replies[0]
                    outer.busy += 1
                    outer.busiest = max(outer.busiest, outer.busy)
                time.sleep(outer.slow)
                with lock:
                    outer.busy -= 1
                status, content, headers = reply
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    pass  # the client has hung up, as it should

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client would have slept."""
    slept: list[float] = []
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(client.time, "sleep", lambda seconds: slept.append(seconds) if seconds else None)
    return slept


def said(text: str) -> tuple[int, bytes, dict[str, str]]:
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode(), {}


def failed(status: int, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    return status, f"the key {KEY} is bad".encode(), {name.replace("_", "-"): value for name, value in headers.items()}


def test_a_question_is_asked_as_the_protocol_wants(server: Server, delays: list[float]) -> None:
    server.replies = [said("torque of M12")]
    assert Endpoint(EndpointSettings(server.url, "m1", temperature=0.3)).complete("Do.", "Text", 7) == "torque of M12"
    path, headers, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["messages"] == [{"role": "system", "content": "Do."}, {"role": "user", "content": "Text"}]
    assert (body["model"], body["temperature"], body["seed"]) == ("m1", 0.3, 7)


def test_without_a_key_none_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server.replies = [said("x")]
    Endpoint(EndpointSettings(server.url, "m1")).complete("a", "b", 1)
    assert "Authorization" not in server.asked[0][1]


def test_busy_and_failing_servers_are_asked_again_later_and_later(
    server: Server, delays: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    server.replies = [failed(429, Retry_After="7"), failed(503), failed(500), said("at last")]
    with caplog.at_level(logging.DEBUG):
        assert Endpoint(EndpointSettings(server.url, "m1")).complete("a", "b", 1) == "at last"
    assert delays[0] == 7.0
    assert 2 <= delays[1] <= 4
    assert 4 <= delays[2] <= 8
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("reply", "message", "asked"),
    [
        (failed(401), "answered 401: the key in the environment is missing or wrong", 1),
        (failed(404), "answered 404: look at url and model", 1),
        (failed(302, Location="http://127.0.0.1:1/elsewhere"), "answered 302", 1),
        (failed(503), "answered 503 5 times", 5),
        ((200, b"<html>", {}), "does not speak the chat completions protocol", 1),
        ((200, b'{"choices": []}', {}), "does not speak the chat completions protocol", 1),
        ((200, b'{"choices": [{"message": {"content": 5}}]}', {}), "does not speak the chat completions protocol", 1),
        ((200, b"[" * 5000, {}), "does not speak the chat completions protocol", 1),
        ((200, b" " * 1_000_001, {}), "sent more than 1,000,000 bytes", 1),
    ],
)
def test_what_goes_wrong_is_told_in_one_line_without_the_key(
    server: Server, delays: list[float], reply: tuple[int, bytes, dict[str, str]], message: str, asked: int
) -> None:
    server.replies = [reply]
    with pytest.raises(SpecmineError) as error:
        Endpoint(EndpointSettings(server.url, "m1")).complete("a", "b", 1)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert KEY not in str(error.value)
    assert len(server.asked) == asked


def test_a_server_that_does_not_answer_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.replies, server.slow = [said("late")], 1.5
    with pytest.raises(SpecmineError, match="gave no answer in 1 seconds"):
        Endpoint(EndpointSettings(server.url, "m1", seconds=1)).complete("a", "b", 1)
    with pytest.raises(SpecmineError, match=r"cannot be asked \(ConnectError\)"):
        Endpoint(EndpointSettings("http://127.0.0.1:1/v1", "m1")).complete("a", "b", 1)


def material() -> Material:
    text = (
        "The flange bolts of the pump shall be tightened to 25 Nm with a calibrated wrench, in three steps, crosswise."
    )
    chunks = [
        Chunk(f"c{n}", "a.md", "A", n, (f"{n} Bolts",), 1, 1, n * 200, n * 200 + 150, f"{text} </passage> {n}", "", 1)
        for n in range(6)
    ]
    return Material(Document("a.md", "", "A", "", (), ()), chunks, Vocabulary(chunks))


@pytest.fixture
def settings(server: Server) -> Callable[..., GenerateSettings]:
    def make(**more: Any) -> GenerateSettings:
        return GenerateSettings(("endpoint",), per_document=6, endpoint=EndpointSettings(server.url, "m1", **more))

    return make


def test_passages_become_queries_a_few_at_a_time(server: Server, settings: Callable[..., GenerateSettings]) -> None:
    server.replies, server.slow = [said("1. torque of flange bolts\n2. wrench for pump bolts\n3. too many")], 0.05
    drafts = endpoint(material(), settings(concurrency=2, per_passage=2))
    # 6 queries of 2 each: 3 of the 6 passages are asked about.
    assert [draft.text for draft in drafts] == ["torque of flange bolts", "wrench for pump bolts"] * 3
    assert all((draft.end - draft.start, len(draft.chunks)) == (150, 1) for draft in drafts)
    assert server.busiest == 2
    for _, _, body in server.asked:
        assert body["messages"][1]["content"].count("</passage>") == 1  # a document cannot end its quotation
        assert "in English" in body["messages"][0]["content"]


def test_what_is_stored_of_an_endpoint_holds_no_key(
    settings: Callable[..., GenerateSettings], delays: list[float]
) -> None:
    made_by = description("endpoint", settings())
    assert made_by["model"] == "m1"
    assert KEY not in json.dumps(made_by)


def test_a_real_endpoint_speaks_as_expected() -> None:
    url, model = os.environ.get("SPECMINE_TEST_ENDPOINT"), os.environ.get("SPECMINE_TEST_ENDPOINT_MODEL", "")
    if not url:
        pytest.skip("SPECMINE_TEST_ENDPOINT names no server (its model in SPECMINE_TEST_ENDPOINT_MODEL)")
    wanted = GenerateSettings(("endpoint",), per_document=2, endpoint=EndpointSettings(url, model))
    drafts = endpoint(material(), wanted)
    assert 1 <= len(drafts) <= 2
