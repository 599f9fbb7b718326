"""Commands for the installation itself: is all there, try it on the samples, run what is due."""

from __future__ import annotations

from cli.parameters import Given


def doctor(*, session: Given) -> None:
    """Check that everything needed is there, and say what to do where it is not."""
    from cli.show import doctor as show
    from flows.doctor import check_all

    result = check_all(session.settings())
    session.status = 0 if result["ok"] else 1
    session.emit(result, lambda console: show.checks(console, result))


def demo(*, profile: str | None = None, session: Given) -> None:
    """Go once round on the sample documents: ingest, search, mine, retrain, measure.

    Parameters
    ----------
    profile
        "default" or "fast"; the configured one when not given.
    """
    from cli.show import demo as show
    from flows.demo import demo as go_round
    from flows.demo import with_profile

    settings = with_profile(session.settings(), profile)
    with session.progress() as tell:
        result = go_round(settings, session.log, tell)
    session.emit(result, lambda console: show.told(console, result, settings.promotion.level))


def deploy(*, pool: str = "specmine", session: Given) -> None:
    """Register all flows for workers, with the schedules of the configuration, and say what changed.

    Parameters
    ----------
    pool
        The process work pool that the workers look at; it is made where it is missing.
    """
    from cli.show import deploy as show
    from flows.deploy import deploy as put_all

    result = put_all(session.settings(), pool)
    session.emit(result, lambda console: show.deployed(console, result))


def serve(*, session: Given) -> None:
    """Serve all flows from this process, with the schedules of the configuration. Needs a Prefect API."""
    from cli.show.tables import table
    from flows.serve import serve as serve_flows

    def announce(api: str, rows: list[list[str]]) -> None:
        shown = {"api": api, "deployments": dict(rows)}
        session.emit(shown, lambda console: console.print(table(f"serving at {api}", ["deployment", "runs"], rows)))

    serve_flows(session.settings(), announce)
