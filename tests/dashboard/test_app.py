"""The pages and their JSON, over a really ingested home; one test looks through a real browser."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient

from dashboard.app import create_app
from dashboard.highlight import marked
from evaluation.catalogue import Catalogue
from indexing.home import Home
from indexing.ingest import ingest
from indexing.models import fetch
from indexing.settings import IndexSettings
from indexing.specs import WORDLLAMA

SETTINGS = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)
TEXT = """1.  Valves

   The relief valve shall open at 18 bar. <script>alert("valve")</script>

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
def test_a_person_searches_in_a_browser(address: str) -> None:
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
        page.get_by_role("link", name="Documents").click()
        assert page.get_by_role("cell", name="pump.txt").is_visible()
        browser.close()
    assert problems == []
