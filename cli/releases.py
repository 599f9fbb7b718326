"""Commands for what is served: list releases, publish another version or geometry, go back, watch."""

from __future__ import annotations

from cli.parameters import Given, Orchestrated, flow_or_stage


def releases(*, session: Given) -> None:
    """List the releases; the served one is marked."""
    from cli.show import releases as show
    from flows import releases

    result = releases.list_all(session.settings().open_home())
    session.emit(result, lambda console: show.listing(console, result))


def promote(version: str, *, session: Given) -> None:
    """Serve a version of a query encoder, or of the re-ranker.

    Parameters
    ----------
    version
        The version's id, as `specmine retrain` reports it.
    """
    from flows import serving

    result = serving.promote(session.settings(), version)
    session.emit(result, lambda console: console.print(f"serving {result['release']}: {result['note']}"))


def geometry(encoder: str, kind: str, *, session: Given) -> None:
    """Find an encoder's documents by cosine, by hyperbolic distance, or by both; nothing is embedded again.

    Parameters
    ----------
    encoder
        The encoder's name.
    kind
        cosine, hyperbolic or hybrid.
    """
    from flows import serving

    settings = session.settings()
    with session.progress() as tell:
        result = serving.geometry(settings, encoder, kind, tell)
    told = f"serving {result['release']}: {encoder} by {result['geometry']['kind']}"
    session.emit(result, lambda console: console.print(told))


def rollback(*, session: Given) -> None:
    """Serve again the release that was served before."""
    from flows import releases

    settings = session.settings()
    result = releases.roll_back(settings.open_home(), settings.index())
    told = f"serving {result['release']} again (was {result['before']})"
    session.emit(result, lambda console: console.print(told))


def monitor(*, prefect: Orchestrated = None, session: Given) -> None:
    """Compare the served release with the one before it; where it has fallen below, serve that one again."""
    from flows import stages

    settings = session.settings()
    result = flow_or_stage(session, settings, prefect, "monitor", {}, lambda tell: stages.monitor(settings, tell))
    session.emit(result, lambda console: console.print(result["reason"], soft_wrap=True, markup=False))
