"""The command ``specmine``: its commands, its global options, and what an error looks like."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter
from cyclopts.exceptions import CycloptsError

from cli import documents, installation, learning, releases, searching, training
from cli.compare import compare
from cli.ledgers import ledger
from cli.models import models
from cli.queries import judgements, queries
from cli.rerankers import reranker
from cli.review import review
from cli.session import Session
from cli.snapshots import snapshots
from cli.versions import versions

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

COMMANDS = (
    documents.ingest,
    documents.inbox,
    documents.reindex,
    documents.inspect,
    documents.documents,
    searching.search,
    searching.searches,
    searching.dashboard,
    searching.metrics,
    judgements,
    queries,
    learning.evaluate,
    learning.mine,
    learning.retrain,
    learning.lifecycle,
    ledger,
    review,
    training.sweep,
    training.ablate,
    versions,
    reranker,
    releases.releases,
    releases.promote,
    releases.geometry,
    releases.rollback,
    releases.monitor,
    snapshots,
    compare,
    models,
    installation.doctor,
    installation.demo,
    installation.deploy,
    installation.serve,
)

app = App(
    name="specmine",
    help="Search over long specification documents that learns from its own mistakes.",
    version=lambda: __import__("importlib.metadata").metadata.version("specmine"),
)
app.meta.suppress_keyboard_interrupt = False  # main reports it
app.meta.group_parameters = Group("Every command takes", sort_key=0)
for command in COMMANDS:
    app.command(command)


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    debug: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run one command.

    Parameters
    ----------
    config
        The configuration; specmine.toml in the working directory by default.
    json
        Print exactly one JSON object on standard output.
    debug
        Show the traceback of an error.
    """
    session = Session(config, json, debug)
    command, bound, ignored = app.parse_args(tokens, exit_on_error=False, print_error=False)
    if "session" not in ignored:  # --help and --version
        command(*bound.args, **bound.kwargs)
        return DONE
    try:
        command(*bound.args, session=session, **bound.kwargs)
    except Exception as error:
        if debug:
            traceback.print_exc()
        session.fail(*_told(error))
        return FAILED
    return session.status


def _told(error: Exception) -> tuple[str, str | None]:
    """Return an error in one line and, where it is not one a user is expected to meet, a hint."""
    from chunking.document import UnreadableError
    from evaluation.database import CatalogueError
    from indexing.home import SpecmineError

    line = " ".join(str(error).split())
    if isinstance(error, SpecmineError | CatalogueError | UnreadableError):
        return line, None
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = f" for {error.filename}" if error.filename else ""
        return f"the disk is full{place}: make room and run the same command again; what was done is kept", None
    return f"unexpected {type(error).__name__}: {line[:500]}", "--debug shows the traceback"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with 0 (done), 1 (refused or failed) or 2 (wrong usage)."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status: Any = app.meta(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        Session(json="--json" in tokens).fail(" ".join(str(error).split()), "specmine --help lists what there is")
        status = WRONG_USAGE
    except KeyboardInterrupt:
        Session(json="--json" in tokens).fail("interrupted", "run the same command again to continue")
        status = INTERRUPTED
    except BrokenPipeError:
        status = FAILED
    sys.exit(status or DONE)
