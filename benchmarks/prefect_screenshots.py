"""Pictures of a Prefect server's pages: python -m benchmarks.prefect_screenshots http://127.0.0.1:4200 FOLDER.

The runs, deployments and automations, the newest artifact of each key, and the newest progress; look at them.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

PAGES = ("dashboard", "runs", "deployments", "automations", "work-pools")
_SETTLED = 6_000  # milliseconds for what the page loads after it is there


def newest_artifacts(server: str) -> dict[str, str]:
    """Return the id of the newest artifact of each key, and of the newest progress."""
    body = {"sort": "CREATED_DESC", "limit": 200}
    found = httpx.post(f"{server}/api/artifacts/filter", json=body, timeout=60).raise_for_status().json()
    newest: dict[str, str] = {}
    for artifact in found:
        newest.setdefault(artifact["key"] or artifact["type"], artifact["id"])
    return newest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    server = arguments.server.rstrip("/")
    artifacts = newest_artifacts(server)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1700})
        shown = {name: f"/{name}" for name in PAGES}
        shown |= {f"artifact-{key}": f"/artifacts/artifact/{number}" for key, number in artifacts.items()}
        for name, path in shown.items():
            page.goto(server + path, timeout=180_000)
            page.wait_for_timeout(_SETTLED)
            page.screenshot(path=arguments.folder / f"{name}.png", full_page=True)
            print(f"{name}.png: {path}")
        browser.close()


if __name__ == "__main__":
    main()
