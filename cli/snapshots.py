"""Commands for snapshots of a whole installation."""

from __future__ import annotations

from cyclopts import App

from cli.parameters import Given

snapshots = App(name="snapshot", help="The whole installation, saved to a folder or an object store, and restored.")


@snapshots.command
def save(target: str, *, session: Given) -> None:
    """Save index, releases, trained encoders, models, ledgers and catalogue, while others search and write.

    Parameters
    ----------
    target
        A new folder, or a URL such as s3://bucket/name for which the fsspec package of its store is installed.
    """
    from flows import snapshots

    settings = session.settings()
    with session.progress() as tell:
        result = snapshots.save(settings, target, tell)
    told = f"saved {result['release']}: {result['files']:,} files, {result['bytes'] / 1e6:,.1f} MB in {target}"
    session.emit(result, lambda console: console.print(told, markup=False, soft_wrap=True))
    for folder in result["outside"]:
        session.log(f"not in the snapshot: an encoder is read from {folder}; copy it as well")


@snapshots.command
def restore(source: str, *, session: Given) -> None:
    """Restore a snapshot into a new home: every file is compared with its SHA-256, the index is opened and counted.

    Parameters
    ----------
    source
        The folder or URL that `specmine snapshot save` wrote.
    """
    from flows import snapshots

    settings = session.settings()
    with session.progress() as tell:
        result = snapshots.restore(settings, source, tell)
    told = (
        f"restored {result['release']} to {result['home']}: {result['files']:,} files, {result['bytes'] / 1e6:,.1f} MB"
    )
    session.emit(result, lambda console: console.print(told, markup=False, soft_wrap=True))
    for folder in result["outside"]:
        session.log(f"an encoder was read from {folder}, which the snapshot does not hold: see that it is there")
