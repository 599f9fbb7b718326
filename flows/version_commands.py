"""What the commands of ``specmine versions`` do."""

from __future__ import annotations

from pathlib import Path

from flows import show_versions, versions
from flows.output import Session
from flows.settings import load_settings


def listing(session: Session) -> None:
    """List the versions."""
    result = versions.list_all(load_settings(session.config).open_home())
    session.emit(result, lambda console: show_versions.listing(console, result))


def show(session: Session, version: str) -> None:
    """Show one version."""
    result = versions.show(load_settings(session.config).open_home(), version)
    session.emit(result, lambda console: show_versions.one(console, result))


def diff(session: Session, before: str, after: str) -> None:
    """Show how two versions differ."""
    result = versions.diff(load_settings(session.config).open_home(), before, after)
    session.emit(result, lambda console: show_versions.diff(console, result))


def export(session: Session, version: str, directory: Path) -> None:
    """Write a version as a sentence-transformers directory."""
    result = versions.export(load_settings(session.config).open_home(), version, directory)
    session.emit(result, lambda console: show_versions.exported(console, result))


def shadow(session: Session, version: str, limit: int) -> None:
    """Score a version beside the served release on what people searched for."""
    from flows import stages

    settings = load_settings(session.config)
    with session.progress() as tell:
        result = stages.shadow(settings, version, limit, tell)
    session.emit(result, lambda console: show_versions.shadowed(console, result))


def monitor(session: Session, prefect: bool | None) -> None:
    """Compare the served release with the one before it."""
    from flows import stages
    from flows.commands import as_flow, config_of

    settings = load_settings(session.config)
    if as_flow(prefect):
        from flows.monitor import monitor as flow

        result = flow(config_of(settings))
    else:
        with session.progress() as tell:
            result = stages.monitor(settings, tell)
    session.emit(result, lambda console: console.print(result["reason"], soft_wrap=True, markup=False))
