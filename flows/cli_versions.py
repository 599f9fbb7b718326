"""The command ``specmine versions``."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from flows.cli_parameters import Given

versions = App(name="versions", help="The retrained query encoders: what made each, how two differ, taking one along.")


@versions.default
def list_versions(*, session: Given) -> None:
    """List the versions, the newest first; those that are served are marked."""
    from flows import version_commands

    version_commands.listing(session)


@versions.command(name="show")
def show_version(version: str, *, session: Given) -> None:
    """Show one version: the verdict and its slices, measures, settings, data, code, and the releases that serve it.

    Parameters
    ----------
    version
        Its id, as `specmine versions` lists it.
    """
    from flows import version_commands

    version_commands.show(session, version)


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
    from flows import version_commands

    version_commands.diff(session, before, after)


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
    from flows import version_commands

    version_commands.export(session, version, out)


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
    from flows import version_commands

    version_commands.shadow(session, version, limit)
