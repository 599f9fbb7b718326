"""Whether a Prefect server is configured, found out without importing Prefect (which takes seconds)."""

from __future__ import annotations

import base64
import json
import os
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, cast

from indexing.home import SpecmineError


def configured_api() -> str | None:
    """Return the URL of the Prefect API that Prefect itself would use, or None where it would start a server.

    It is looked for where Prefect looks first: the environment, then the active profile.
    """
    return _setting("PREFECT_API_URL")


def ask(url: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Return what the API at ``url`` answers: to a GET, or to a POST of ``body``.

    Raises SpecmineError when it does not answer, or refuses.
    """
    with _opened(url, path, body) as answer:
        return json.loads(answer.read())


def server_time(url: str) -> float | None:
    """Return the Prefect server's time in seconds since 1970, to the second; None where it does not tell."""
    with _opened(url, "/health", None) as answer:
        told = answer.headers.get("Date")
    return parsedate_to_datetime(told).timestamp() if told else None


def _opened(url: str, path: str, body: Mapping[str, Any] | None) -> HTTPResponse:
    check_answers(url)
    headers = {"Content-Type": "application/json"}
    if secret := _setting("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
    elif key := _setting("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(  # noqa: S310 (http or https, checked above)
        f"{url.rstrip('/')}{path}", None if body is None else json.dumps(body).encode(), headers
    )
    try:
        return cast(HTTPResponse, urllib.request.urlopen(request, timeout=10))  # noqa: S310
    except urllib.error.HTTPError as error:
        hint = "; set PREFECT_API_AUTH_STRING" if error.code in (401, 403) else ""
        raise SpecmineError(f"the Prefect server at {url} refuses {path} ({error.code} {error.reason}){hint}") from None
    except (OSError, ValueError) as error:
        raise SpecmineError(f"the Prefect server at {url} does not answer {path} ({error})") from None


def _setting(name: str) -> str | None:
    """Return a setting of Prefect's, from the environment or the active profile."""
    from_environment = os.environ.get(name)
    if from_environment:
        return from_environment
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    profiles_path = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser()
    try:
        content = tomllib.loads(profiles_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    active = os.environ.get("PREFECT_PROFILE") or content.get("active")
    profiles = content.get("profiles")
    profile = profiles.get(active) if isinstance(profiles, dict) else None
    value = profile.get(name) if isinstance(profile, dict) else None
    return str(value) if value else None


def check_answers(url: str) -> None:
    """Raise SpecmineError, in seconds instead of minutes, when the configured Prefect server does not answer."""
    if not url.startswith(("http://", "https://")):
        raise SpecmineError(f"PREFECT_API_URL is no http address: {url}")
    health = f"{url.rstrip('/')}/health"
    try:
        with urllib.request.urlopen(health, timeout=5):  # noqa: S310 (http or https, checked above)
            return
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise SpecmineError(
            f"the Prefect server at {url} does not answer ({reason}); start it with `prefect server start`, "
            "or use --no-prefect"
        ) from None
