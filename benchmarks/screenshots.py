"""Pictures of the pages over a home, for the README: python -m benchmarks.screenshots QUERY FOLDER [--config FILE]."""

from __future__ import annotations

import argparse
import shutil
import socket
import threading
import time
from pathlib import Path
from urllib.parse import quote

import uvicorn
from playwright.sync_api import sync_playwright

from dashboard.app import create_app
from evaluation.catalogue import Catalogue
from flows.settings import load_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("query")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--config", type=Path)
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    app = create_app(settings.open_home(), settings.index(), Catalogue(settings.catalogue_url()))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 760})
        for name, path in (("search", f"/search?q={quote(arguments.query)}"), ("operations", "/")):
            page.goto(f"http://127.0.0.1:{port}{path}", timeout=120_000)
            page.screenshot(path=arguments.folder / f"{name}.png")
        browser.close()
    server.should_exit = True


if __name__ == "__main__":
    main()
