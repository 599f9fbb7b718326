"""The operations page, the search page and their JSON twins.

It only reads: releases, the catalogue and the served index. Everything shown is escaped; nothing is loaded from
elsewhere, so that it works without the internet.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

from chunking.document import SECTION_SEPARATOR
from dashboard.highlight import marked
from dashboard.status import read_status
from evaluation.catalogue import Catalogue, CatalogueError
from indexing.home import Home, SpecmineError
from indexing.releases import current
from indexing.search import Searcher, SearchResponse
from indexing.settings import IndexSettings

_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

QueryText = Annotated[str, Query(min_length=1, max_length=4000)]
Limit = Annotated[int, Query(ge=1, le=100)]


class ServedSearcher:
    """The searcher of the served release; opened anew when another release is served. Safe to use from threads."""

    def __init__(self, home: Home, settings: IndexSettings) -> None:
        self._home = home
        self._settings = settings
        self._lock = threading.Lock()
        self._open: Searcher | None = None

    def search(self, query: str, limit: int) -> SearchResponse:
        """Answer one query from the release that is served now."""
        with self._lock:
            release = current(self._home)
            if self._open is None or self._open.release != release:
                self._open = Searcher.open(self._home, self._settings, release)
            searcher = self._open
        return searcher.search(query, limit)


def create_app(home: Home, settings: IndexSettings, catalogue: Catalogue) -> FastAPI:
    """Return the application over one home."""
    # The built-in documentation pages load their scripts from the internet; the schema itself is served.
    app = FastAPI(title="specmine", docs_url=None, redoc_url=None)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    templates = Jinja2Templates(directory=_HERE / "templates")
    templates.env.globals.update(marked=marked, section_separator=SECTION_SEPARATOR)
    searcher = ServedSearcher(home, settings)

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    @app.exception_handler(SpecmineError)
    @app.exception_handler(CatalogueError)
    def refuse(request: Request, error: Exception) -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": str(error)}, status_code=409)
        return templates.TemplateResponse(request, "refused.html", {"reason": str(error)}, status_code=409)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def operations(request: Request) -> Response:
        return templates.TemplateResponse(request, "operations.html", {"status": read_status(home, catalogue)})

    @app.get("/documents", response_class=HTMLResponse, include_in_schema=False)
    def documents(request: Request) -> Response:
        return templates.TemplateResponse(request, "documents.html", {"status": read_status(home, catalogue)})

    @app.get("/search", response_class=HTMLResponse, include_in_schema=False)
    def search_page(request: Request, q: QueryText, limit: Limit = 10) -> Response:
        return templates.TemplateResponse(request, "search.html", {"answer": searcher.search(q, limit), "query": q})

    @app.get("/api/status")
    def status() -> dict[str, Any]:
        """Return the served release, documents, quarantine, measures and last runs."""
        return read_status(home, catalogue).as_json()

    @app.get("/api/search")
    def search(q: QueryText, limit: Limit = 10) -> dict[str, Any]:
        """Search the served release; the answer is that of ``specmine search --json``."""
        return searcher.search(q, limit).as_json()

    return app


def serve(home: Home, settings: IndexSettings, catalogue: Catalogue, host: str, port: int) -> None:
    """Serve the pages until interrupted."""
    uvicorn.run(create_app(home, settings, catalogue), host=host, port=port, log_level="warning")
