"""The pages and their JSON, over a really ingested home; one test looks through a real browser."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient

from dashboard.app import create_app, serve
from dashboard.highlight import marked
from evaluation.catalogue import Catalogue
from evaluation.searches import Search, Shown
from indexing.home import Home, write_json
from indexing.ingest import ingest
from indexing.models.fetching import fetch
from indexing.settings import IndexSettings, SearchSettings
from indexing.specs import WORDLLAMA
from training.versions import EncoderVersion

SETTINGS = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)
TEXT = f"""1.  Valves

   The relief valve shall open at 18 bar. <script>alert("valve")</script>
{"   Maintenance engineers document temperature measurements." * 17}

2.  Marking

   Every pump carries a plate with its serial number.
"""


@pytest.fixture
def empty(home: Home) -> TestClient:
    return TestClient(create_app(home, SETTINGS, Catalogue(home.catalogue_url)))


@pytest.fixture
def filled(home: Home, models_home: Home, tmp_path: Path) -> Home:
    fetch(WORDLLAMA.source, models_home)
    home.root.mkdir(parents=True, exist_ok=True)
    (home.root / "models").symlink_to(models_home.models.resolve())
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "pump.txt").write_text(TEXT, encoding="utf-8")
    (folder / "broken.pdf").write_bytes(b"not a pdf")
    ingest([folder], home, SETTINGS)
    catalogue = Catalogue(home.catalogue_url)
    catalogue.record_run("ingest", "done", datetime.now(UTC), 1.5, {})
    catalogue.record_measures("r0001", "dev", {"fusion": {"nDCG@10": 0.5, "RR@10": 0.25}})
    return home


@pytest.fixture
def client(filled: Home) -> TestClient:
    return TestClient(create_app(filled, SETTINGS, Catalogue(filled.catalogue_url)))


def test_an_empty_installation_says_what_to_do(empty: TestClient) -> None:
    page = empty.get("/")
    assert page.status_code == 200 and "specmine ingest PATH" in page.text
    assert empty.get("/api/status").json()["release"] is None
    refused = empty.get("/api/search", params={"q": "valve"})
    assert refused.status_code == 409 and "nothing is indexed" in refused.json()["error"]
    assert "nothing is indexed" in empty.get("/search", params={"q": "valve"}).text


@pytest.mark.models
def test_operations_shows_release_quarantine_measures_and_runs(client: TestClient) -> None:
    page = client.get("/").text
    for shown in ("r0001", "broken.pdf", "wordllama: untrained", "0.500", "0.250", "ingest"):
        assert shown in page
    status = client.get("/api/status").json()
    assert (status["documents"], status["release"]["id"]) == (1, "r0001")
    assert [entry["document"] for entry in status["quarantine"]] == ["broken.pdf"]
    assert "pump.txt" in client.get("/documents").text


@pytest.mark.models
def test_search_marks_words_and_escapes_documents(client: TestClient) -> None:
    page = client.get("/search", params={"q": "relief valves <b>"}).text
    assert "<mark>relief</mark> <mark>valve</mark>" in page
    assert "<script>" not in page and "&lt;script&gt;" in page and "<b>" not in page.split("<main>")[0]
    results = client.get("/api/search", params={"q": "relief valve", "limit": 1}).json()["results"]
    assert len(results) == 1 and results[0]["document"] == "pump.txt"


@pytest.mark.models
@pytest.mark.parametrize("params", [{"q": ""}, {}, {"q": "x" * 5000}, {"q": "x", "limit": 0}, {"q": "x", "limit": 101}])
def test_impossible_searches_are_refused(client: TestClient, params: dict[str, str | int]) -> None:
    assert client.get("/api/search", params=params).status_code == 422


def eventually(catalogue: Catalogue, done: Callable[[list[Search]], bool]) -> list[Search]:
    """Return the log once it is as wanted: it is written behind the answers."""
    deadline = time.monotonic() + 60
    while not done(searches := catalogue.searches()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert done(searches)
    return searches


@pytest.mark.models
def test_searches_are_logged_with_the_order_in_which_they_are_seen(client: TestClient, filled: Home) -> None:
    catalogue = Catalogue(filled.catalogue_url)
    answer = client.get("/api/search", params={"q": " relief valve\u3000"}).json()
    page = client.get("/search", params={"q": "serial number"}).text
    of_page, of_api = eventually(catalogue, lambda searches: len(searches) == 2)
    assert (of_api.id, of_api.query, of_api.release, of_api.origin) == (
        answer["search"],
        "relief valve",
        "r0001",
        "api",
    )
    assert [(shown.rank, shown.document, [shown.start, shown.end]) for shown in of_api.shown] == [
        (rank, result["document"], result["passage"]) for rank, result in enumerate(answer["results"], start=1)
    ]
    assert (of_page.query, of_page.origin) == ("serial number", "dashboard")
    places = re.findall(r'data-events="/api/searches/(\w+)/(\d+)"', page)
    assert places == [(of_page.id, str(shown.rank)) for shown in of_page.shown]
    headings = re.findall(r"<h3>(.*)\n", page)
    found = dict(zip(headings, of_page.shown, strict=True))
    assert TEXT[found["2. Marking"].start : found["2. Marking"].end].strip().startswith("2.  Marking")


@pytest.mark.models
def test_events_belong_to_a_result_that_was_shown(client: TestClient, filled: Home) -> None:
    search = client.get("/api/search", params={"q": "relief valve"}).json()["search"]
    shown = f"/api/searches/{search}"
    for event in ("opened", "wrong", "confirmed"):
        assert client.post(f"{shown}/2", json={"event": event}).status_code == 204
    assert client.post(f"{shown}/1", json={"event": "wrong"}).status_code == 204
    assert client.post(f"{shown}/1", json={"event": "withdrawn"}).status_code == 204
    for other in (f"{shown}/3", f"/api/searches/{'0' * 32}/1"):
        unknown = client.post(other, json={"event": "confirmed"})
        assert (unknown.status_code, unknown.json()) == (404, {"detail": "the log of searches has no such result"})
    for impossible in (f"{shown}/0", f"{shown}/101", f"{shown}/{2**70}", f"{shown}/x", "/api/searches/'--/1"):
        assert client.post(impossible, json={"event": "opened"}).status_code == 422
    (logged,) = Catalogue(filled.catalogue_url).searches()
    assert [(passage.opened, passage.verdict) for passage in logged.shown] == [(False, None), (True, "confirmed")]


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", JSON, 422),
        (b"{", JSON, 422),
        (b"[]", JSON, 422),
        (b"null", JSON, 422),
        (b'{"event": "promoted"}', JSON, 422),
        (b'{"event": ["opened"]}', JSON, 422),
        (b'{"event": "opened", "more": 1}', JSON, 422),
        (b"\xff\xfe", JSON, 422),
        (b"[" * 900, JSON, 422),
        (b'{"event": "opened"}' + b" " * 1000, JSON, 413),
        (b'{"event": "opened"}', {"Content-Type": "text/plain"}, 422),
        (b'{"event": "opened"}', {"Content-Type": "application/x-www-form-urlencoded"}, 422),
        (b'{"event": "opened"}', {}, 422),
        (b'{"event": "opened"}', {**JSON, "Sec-Fetch-Site": "cross-site"}, 403),
        (b'{"event": "opened"}', {**JSON, "Sec-Fetch-Site": "same-site"}, 403),
        (b'{"event": "opened"}', {**JSON, "Content-Length": "9" * 5000}, 413),
        (b'{"event": "opened"}', {**JSON, "Content-Length": "-1"}, 413),
        (b'{"event": "opened"}', {**JSON, "Content-Length": "１"}, 413),
    ],
)
def test_hostile_bodies_are_refused(
    empty: TestClient, home: Home, body: bytes, headers: dict[str, str], status: int
) -> None:
    catalogue = Catalogue(home.catalogue_url)
    shown = (Shown(1, "d", 0, 5, "c", 1.0),)
    search = "0123456789abcdef" * 2
    catalogue.record_search(Search(search, "2099-01-01T00:00:00.000Z", "q", "r0001", "api", 1.0, shown), 90)
    encoded = {name: value.encode() for name, value in headers.items()}
    refused = empty.post(f"/api/searches/{search}/1", content=body, headers=encoded)
    assert refused.status_code == status, refused.text
    assert refused.headers["content-security-policy"].startswith("default-src 'none'")
    assert catalogue.searches(with_feedback=True) == []


def test_a_body_of_unsaid_length_is_refused(empty: TestClient) -> None:
    refused = empty.post(f"/api/searches/{'0' * 32}/1", content=iter([b'{"event": ', b'"opened"}']), headers=JSON)
    assert refused.status_code == 413
    assert "its length" in refused.json()["error"]


@pytest.mark.models
def test_no_search_fails_because_of_its_log(
    filled: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    catalogue = Catalogue(filled.catalogue_url, wait=0.05)
    with TestClient(create_app(filled, SETTINGS, catalogue)) as client:
        assert client.get("/api/search", params={"q": "secret\0project"}).json()["search"] is None
        other = sqlite3.connect(filled.catalogue_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert len(client.get("/api/search", params={"q": "secret project"}).json()["results"]) == 2
        page = client.get("/search", params={"q": "secret project"})
        assert page.status_code == 200 and "<article" in page.text
        locked = client.post(f"/api/searches/{'0' * 32}/1", json={"event": "opened"})
        assert locked.status_code == 409 and "another program has held it" in locked.json()["error"]
        other.execute("ROLLBACK")
        other.close()
    assert catalogue.searches() == []
    told = [record.getMessage() for record in caplog.records if record.name == "dashboard.search_log"]
    assert [line.partition(":")[0] for line in told] == ["a search was not logged"] * 3
    assert not any("secret" in line or "\n" in line for line in told)


@pytest.mark.models
def test_without_a_log_nothing_is_kept_and_nothing_asked(filled: Home) -> None:
    catalogue = Catalogue(filled.catalogue_url)
    shown = (Shown(1, "d", 0, 5, "c", 1.0),)
    catalogue.record_search(Search("old", "2099-01-01T00:00:00.000Z", "q", "r0001", "api", 1.0, shown), 90)
    with TestClient(create_app(filled, replace(SETTINGS, search=SearchSettings(log_days=0)), catalogue)) as client:
        assert client.get("/api/search", params={"q": "relief valve"}).json()["search"] is None
        page = client.get("/search", params={"q": "relief valve"}).text
        assert "<article>" in page and "data-events" not in page and "<button" not in page.split("<main>")[1]
    assert catalogue.count_searches() == 0


def test_operations_shows_the_newest_verdict_of_every_encoder(empty: TestClient, home: Home) -> None:
    assert "Nothing was retrained yet" in empty.get("/").text
    reasons = {"20260101T000000-aaaa": "old", "20260102T000000-bbbb": "gain & co\nguard\npromoted"}
    verdicts: dict[str, dict[str, str]] = {name: {"reason": reason} for name, reason in reasons.items()}
    for name, verdict in {**verdicts, "20260103T000000-cccc": {}}.items():
        version = EncoderVersion("minilm", "f", "lce", "j", {}, {}, verdict, {}, name)
        (home.encoders / "minilm" / name).mkdir(parents=True)
        write_json(home.encoders / "minilm" / name / "manifest.json", asdict(version))
    assert "gain &amp; co<br>guard<br>promoted" in empty.get("/").text
    (told,) = empty.get("/api/status").json()["versions"]
    assert (told["version"], told["verdict"]["reason"]) == ("20260102T000000-bbbb", "gain & co\nguard\npromoted")


def test_every_answer_forbids_foreign_content(empty: TestClient) -> None:
    for path in ("/", "/static/style.css", "/api/status"):
        headers = empty.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"


def test_marking_is_by_stem_and_in_japanese() -> None:
    assert marked("Tightened bolts", "tighten") == "<mark>Tightened</mark> bolts"
    assert "<mark>" in marked("トルクの設定", "トルク")
    assert marked("a < b", "x") == "a &lt; b"


@pytest.fixture
def address(filled: Home) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = create_app(filled, SETTINGS, Catalogue(filled.catalogue_url))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.mark.models
@pytest.mark.slow
def test_a_person_searches_in_a_browser(address: str, filled: Home) -> None:
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser_path:
        pytest.skip("no chromium on this machine: the browser test needs one")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-quic"])
        page = browser.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(address)
        assert page.evaluate("document.activeElement.name") == "q"
        page.keyboard.type("serial number on the pump")
        page.keyboard.press("Enter")
        page.wait_for_selector("article")
        assert "2. Marking" in page.locator("article h3").first.inner_text()
        assert page.locator("article mark").count() >= 2
        # With the keyboard alone: from the search field to the first result's buttons.
        first = page.locator("article").first
        confirm, wrong = first.get_by_role("button", name="This is it"), first.get_by_role("button", name="Not this")
        first.locator("button").first.focus()
        page.keyboard.press("Enter")
        first.locator('button[value=confirmed][aria-pressed="true"]').wait_for()
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        first.locator('button[value=wrong][aria-pressed="true"]').wait_for()
        assert confirm.get_attribute("aria-pressed") == "false"
        wrong.click()  # takes it back
        first.locator('button[value=wrong][aria-pressed="false"]').wait_for()
        confirm.click()
        first.locator('button[value=confirmed][aria-pressed="true"]').wait_for()
        last = page.locator("article").last
        last.get_by_text("The whole passage").click()
        catalogue = Catalogue(filled.catalogue_url)
        (search,) = eventually(catalogue, lambda searches: any(p.opened for s in searches for p in s.shown))
        assert [passage.verdict for passage in search.shown] == ["confirmed", *[None] * (len(search.shown) - 1)]
        assert [passage.opened for passage in search.shown] == [*[False] * (len(search.shown) - 1), True]
        page.get_by_role("link", name="Documents").click()
        assert page.get_by_role("cell", name="pump.txt").is_visible()
        browser.close()
    assert problems == []


def test_an_unused_connection_outlives_those_who_ask(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """nginx keeps one for 60 seconds: one that the server closed first would lose the question sent into it."""
    options: dict[str, object] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _, **given: options.update(given))
    serve(home, SETTINGS, Catalogue(home.catalogue_url), "127.0.0.1", 8765)
    assert isinstance(options["timeout_keep_alive"], int) and options["timeout_keep_alive"] > 60
