"""The operations page, the search page and their JSON twins.

It reads releases, the catalogue and the served index, and writes nothing but the log of searches; runs are started by
the Prefect server. Everything shown is
escaped; nothing is loaded from elsewhere, so that it works without the internet.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, ConfigDict

from chunking.document import SECTION_SEPARATOR
from dashboard.highlight import LONGEST_SHOWN, marked
from dashboard.metrics import CONTENT_TYPE, Metrics
from dashboard.runs import RunService, run_routes
from dashboard.search_log import SearchLog
from dashboard.served_searcher import ServedSearcher
from dashboard.status import read_status
from evaluation.catalogue import Catalogue
from evaluation.database import CatalogueError
from evaluation.searches import Event
from indexing.home import Home, SpecmineError
from indexing.settings import IndexSettings

_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_KEPT_ALIVE = 75
"""Seconds that an unused connection stays open: longer than proxies and clients keep theirs (60 s is usual). Who asks
must be the one that closes, for a question sent into a connection just closed gets no answer."""

_MOST_RESULTS = 100
_LONGEST_BODY = 1000  # bytes of what may be posted

QueryText = Annotated[str, Query(min_length=1, max_length=4000)]
Limit = Annotated[int, Query(ge=1, le=_MOST_RESULTS)]
SearchId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]
Rank = Annotated[int, InPath(ge=1, le=_MOST_RESULTS)]


class Told(BaseModel):
    """What was done with a result: it was opened, confirmed as right, found wrong, or one of the latter withdrawn."""

    model_config = ConfigDict(extra="forbid")

    event: Event


def create_app(home: Home, settings: IndexSettings, catalogue: Catalogue, runs: RunService | None = None) -> FastAPI:
    """Return the application over one home; ``runs`` is where runs are started over HTTP, if they are."""
    search_log = SearchLog(catalogue, settings.search.log_days)

    @asynccontextmanager
    async def until_logged(_: FastAPI) -> AsyncIterator[None]:
        yield
        search_log.close()

    # The built-in documentation pages load their scripts from the internet; the schema itself is served.
    app = FastAPI(title="specmine", docs_url=None, redoc_url=None, lifespan=until_logged)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    app.include_router(run_routes(runs or RunService()))
    templates = Jinja2Templates(directory=_HERE / "templates")
    templates.env.globals.update(marked=marked, section_separator=SECTION_SEPARATOR, longest_shown=LONGEST_SHOWN)
    searcher = ServedSearcher(home, settings)
    metrics = Metrics(home, catalogue)

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Any) -> Response:
        refused = refusal(request)
        response: Response = refused if refused else await call_next(request)
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
        with metrics.search_seconds.labels("dashboard").time():
            answer = searcher.search(q, limit)
        seen = [result for results in answer.by_document().values() for result in results]
        places = {result.chunk.id: place for place, result in enumerate(seen, start=1)}
        search = search_log.add(answer, seen, "dashboard")
        shown = {"answer": answer, "query": q, "search": search, "places": places}
        return templates.TemplateResponse(request, "search.html", shown)

    @app.get("/api/status")
    def status() -> dict[str, Any]:
        """Return the served release, documents, quarantine, measures and last runs."""
        return read_status(home, catalogue).as_json()

    @app.get("/metrics", include_in_schema=False)
    def tell_metrics() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/api/search")
    def search(q: QueryText, limit: Limit = 10) -> dict[str, Any]:
        """Search the served release; the answer is that of ``specmine search --json``.

        ``search`` is its id in the log of searches, null where none is kept.
        """
        with metrics.search_seconds.labels("api").time():
            answer = searcher.search(q, limit)
        return {**answer.as_json(), "search": search_log.add(answer, answer.results, "api")}

    @app.post("/api/searches/{search}/{rank}", status_code=204)
    async def record_event(search: SearchId, rank: Rank, told: Told) -> None:
        """Tell the log what was done with a result of a search; ``rank`` is its place there, from 1."""
        if not await asyncio.wrap_future(search_log.record_event(search, rank, told.event)):
            raise HTTPException(404, "the log of searches has no such result")

    return app


def refusal(request: Request) -> Response | None:
    """Refuse what no page of this application sends: requests from other sites, and large bodies before they come.

    A page of another site can post no JSON either, unless it were allowed to, and does not know the id of a search.
    """
    if request.method in ("GET", "HEAD"):
        return None
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return JSONResponse({"error": "this comes from a page of another site"}, status_code=403)
    length = request.headers.get("content-length", "")
    if not re.fullmatch("[0-9]{1,4}", length) or int(length) > _LONGEST_BODY:
        return JSONResponse({"error": f"the body must say its length, at most {_LONGEST_BODY} bytes"}, status_code=413)
    return None


def serve(
    home: Home, settings: IndexSettings, catalogue: Catalogue, host: str, port: int, runs: RunService | None = None
) -> None:
    """Serve the pages until interrupted."""
    app = create_app(home, settings, catalogue, runs)
    uvicorn.run(app, host=host, port=port, log_level="warning", timeout_keep_alive=_KEPT_ALIVE)
