"""``specmine models``: the pretrained models that are configured."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from cli.parameters import Given
from cli.session import Session

models = App(name="models", help="The pretrained models: what is configured, fetched and verified.")


@models.command(name="list")
def list_models(*, session: Given) -> None:
    """List the configured models."""
    from flows.models import states

    _emit(session, states(session.settings()))


@models.command(name="fetch")
def fetch_models(*, session: Given) -> None:
    """Fetch the configured models, so that nothing needs the network after."""
    from flows.models import fetch

    _emit(session, fetch(session.settings(), lambda name: session.log(f"fetching {name}")), needed=True)


@models.command(name="verify")
def verify_models(*, session: Given) -> None:
    """Compare every file of the fetched models with its recorded SHA-256."""
    from flows.models import states

    _emit(session, states(session.settings(), verify=True), needed=True)


def _emit(session: Session, result: dict[str, Any], needed: bool = False) -> None:
    """Show the models; ``needed`` makes a missing or damaged one the exit status 1."""
    from cli.show.models import listing

    if needed and not all(state["fetched"] and state["verified"] for state in result["models"]):
        session.status = 1
    session.emit(result, lambda console: listing(console, result))
