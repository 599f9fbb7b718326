"""Whether a Prefect server is configured, found out without importing Prefect (which takes seconds)."""

from __future__ import annotations

import os
import tomllib
import urllib.request
from pathlib import Path

from indexing.home import SpecmineError


def configured_api() -> str | None:
    """Return the URL of the Prefect API that Prefect itself would use, or None where it would start a server.

    It is looked for where Prefect looks first: the environment, then the active profile.
    """
    from_environment = os.environ.get("PREFECT_API_URL")
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
    url = profile.get("PREFECT_API_URL") if isinstance(profile, dict) else None
    return str(url) if url else None


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
