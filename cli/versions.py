"""``specmine versions``: the retrained query encoders."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from cli.parameters import Given

versions = App(name="versions", help="The retrained query encoders: what made each, how two differ, taking one along.")


@versions.default
def list_versions(*, session: Given) -> None:
    """List the versions, the newest first; those that are served are marked."""
    from cli.show import versions as show
    from flows import versions

    result = versions.list_all(session.settings().open_home())
    session.emit(result, lambda console: show.listing(console, result))


@versions.command(name="show")
def show_version(version: str, *, session: Given) -> None:
    """Show one version: the verdict and its slices, measures, settings, data, code, and the releases that serve it.

    Parameters
    ----------
    version
        Its id, as `specmine versions` lists it.
    """
    from cli.show import versions as show
    from flows import versions

    result = versions.show(session.settings().open_home(), version)
    session.emit(result, lambda console: show.one(console, result))


@versions.command(name="diff")
def diff_versions(before: str, after: str, *, session: Given) -> None:
    """Show what differs in the making of two versions, and their measures side by side.

    Parameters
    ----------
    before
        The id of the earlier version.
    after
        The id of the later one.
    """
    from cli.show import versions as show
    from flows import versions

    result = versions.diff(session.settings().open_home(), before, after)
    session.emit(result, lambda console: show.diff(console, result))


@versions.command(name="export")
def export_version(version: str, *, out: Path, session: Given) -> None:
    """Write a version as a sentence-transformers directory, with its lineage in manifest.json.

    Parameters
    ----------
    version
        Its id, as `specmine versions` lists it.
    out
        The directory to write; it must not exist.
    """
    from cli.show import versions as show
    from flows import versions

    result = versions.export(session.settings().open_home(), version, out)
    session.emit(result, lambda console: show.exported(console, result))


@versions.command(name="shadow")
def shadow_version(version: str, *, limit: int = 500, session: Given) -> None:
    """Answer what people searched for with a version, beside the served release; nothing is published.

    Parameters
    ----------
    version
        Its id, as `specmine versions` lists it.
    limit
        How many different queries of the log, the latest first.
    """
    from cli.show import versions as show
    from flows import serving

    settings = session.settings()
    with session.progress() as tell:
        result = serving.shadow(settings, version, limit, tell)
    session.emit(result, lambda console: show.shadowed(console, result))
