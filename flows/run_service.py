"""Where the dashboard starts runs, from the configuration."""

from __future__ import annotations

from dashboard.runs import RunService
from flows.prefect_api import configured_api
from flows.settings import Settings


def run_service(settings: Settings) -> RunService:
    """Return the Prefect API, the token, and the folders below which an ingest over HTTP may take files."""
    token = settings.dashboard.token
    folders = [*settings.sources.paths, *([settings.inbox.folder] if settings.inbox.folder else [])]
    return RunService(configured_api(), token.get_secret_value() if token else None, folders)
