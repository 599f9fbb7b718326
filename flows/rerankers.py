"""What ``specmine reranker`` does."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.markup import escape

from flows.output import Session
from flows.settings import load_settings
from flows.show_rerankers import listed


def rerankers(session: Session) -> None:
    """List the trained re-rankers."""
    from indexing.releases import current
    from training.reranker_versions import list_rerankers, read_outcome

    home = load_settings(session.config).open_home()
    release = current(home)
    used = release.reranker if release else None
    result = {
        "served": asdict(used) if used else None,
        "versions": [
            {**asdict(version), "outcome": read_outcome(home, version.id)} for version in list_rerankers(home)
        ],
    }
    session.emit(result, lambda console: listed(console, result))


def export(session: Session, version: str, directory: Path) -> None:
    """Copy a trained re-ranker to a directory."""
    from training.reranker_versions import export as export_version

    result = export_version(load_settings(session.config).open_home(), version, directory.absolute())
    session.emit(
        result,
        lambda console: console.print(f"{version} → {escape(result['directory'])}", soft_wrap=True),
    )
