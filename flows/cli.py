"""The command ``specmine``. Only what parses the command line is imported here: each command imports what it needs.

``search``, ``evaluate``, ``doctor`` and ``--help`` never import Prefect.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter
from cyclopts.exceptions import CycloptsError

from flows.cli_ledgers import ledger, review
from flows.cli_parameters import Given, Orchestrated
from flows.cli_queries import judgements, queries
from flows.cli_rerankers import reranker as rerankers
from flows.cli_training import ablate, sweep
from flows.cli_versions import versions
from flows.output import Session

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

app = App(
    name="specmine",
    help="Search over long specification documents that learns from its own mistakes.",
    version=lambda: __import__("importlib.metadata").metadata.version("specmine"),
)
app.meta.suppress_keyboard_interrupt = False  # main reports it
app.meta.group_parameters = Group("Every command takes", sort_key=0)
models = App(name="models", help="The pretrained models: what is configured, fetched and verified.")
compare = App(name="compare", help="Configurations measured on the same judged queries, beside the served release.")
documents = App(name="documents", help="The documents: what is indexed, and what could not be read.")
app.command(documents)
app.command(ledger)
app.command(review)
app.command(judgements)
app.command(queries)
app.command(versions)
app.command(compare)
app.command(rerankers)
app.command(models)
app.command(sweep)
app.command(ablate)


@app.command
def ingest(
    *paths: Path, prune: bool = False, deployment: bool = False, prefect: Orchestrated = None, session: Given
) -> None:
    """Bring documents into the index and publish it.

    Parameters
    ----------
    paths
        Folders and files; those of [sources] in the configuration when none is given.
    prune
        Remove documents whose files are gone from the folders given.
    deployment
        Hand the work to the deployed flow and return at once.
    prefect
        Run as a flow, or not; by default when a Prefect API is configured.
    """
    from flows import commands

    commands.ingest(session, paths, prune, deployment, prefect)


@app.command
def search(query: str, *, limit: int = 10, session: Given) -> None:
    """Search the served release.

    Parameters
    ----------
    query
        What to look for, in English or Japanese.
    limit
        How many passages to return, 1 to 100.
    """
    from flows import commands

    commands.search(session, query, limit)


@app.command
def searches(*, limit: int = 20, session: Given) -> None:
    """List the log of searches, the newest first.

    Parameters
    ----------
    limit
        How many searches to list; with --json each with all its results.
    """
    from flows import commands

    commands.searches(session, limit)


@app.command
def evaluate(*, split: str = "test", session: Given) -> None:
    """Measure the served release on the judged queries of a split.

    Parameters
    ----------
    split
        train, dev, test or guard.
    """
    from flows import commands

    commands.evaluate(session, split)


@app.command
def mine(*, like: str | None = None, prefect: Orchestrated = None, session: Given) -> None:
    """Mine hard negatives for the training queries.

    Parameters
    ----------
    like
        Make this ledger again, with its settings and on its release, and say whether it is the same.
    prefect
        Run as a flow, or not; by default when a Prefect API is configured.
    """
    from flows import commands

    commands.mine(session, like, prefect)


@app.command
def retrain(
    *, reranker: Annotated[bool, Parameter(negative="")] = False, prefect: Orchestrated = None, session: Given
) -> None:
    """Retrain the query encoders on the newest ledger; publish what is proven better.

    Parameters
    ----------
    reranker
        Retrain the re-ranker instead, from the pretrained cross-encoder.
    prefect
        Run as a flow, or not; by default when a Prefect API is configured.
    """
    from flows import commands

    if reranker:
        commands.retrain_reranker(session, prefect)
    else:
        commands.retrain(session, prefect)


@app.command
def lifecycle(*paths: Path, prune: bool = False, prefect: Orchestrated = None, session: Given) -> None:
    """Ingest, mine, retrain and evaluate, in this order.

    Parameters
    ----------
    paths
        Folders and files; those of [sources] in the configuration when none is given.
    prune
        Remove documents whose files are gone from the folders given.
    prefect
        Run as a flow, or not; by default when a Prefect API is configured.
    """
    from flows import commands

    commands.lifecycle(session, paths, prune, prefect)


@app.command
def reindex(*, plan: bool = False, prefect: Orchestrated = None, session: Given) -> None:
    """Cut and embed the indexed documents anew under the present configuration.

    Parameters
    ----------
    plan
        Only say what would be done and what it would cost.
    prefect
        Run as a flow, or not; by default when a Prefect API is configured.
    """
    from flows import commands

    commands.reindex(session, plan, prefect)


@app.command
def promote(version: str, *, session: Given) -> None:
    """Serve a version of a query encoder, or of the re-ranker.

    Parameters
    ----------
    version
        The version's id, as `specmine retrain` reports it.
    """
    from flows import commands

    commands.promote(session, version)


@app.command
def geometry(encoder: str, kind: str, *, session: Given) -> None:
    """Find an encoder's documents by cosine, by hyperbolic distance, or by both; nothing is embedded again.

    Parameters
    ----------
    encoder
        The encoder's name.
    kind
        cosine, hyperbolic or hybrid.
    """
    from flows import commands

    commands.geometry(session, encoder, kind)


@app.command
def rollback(*, session: Given) -> None:
    """Serve again the release that was served before."""
    from flows import commands

    commands.rollback(session)


@app.command
def monitor(*, prefect: Orchestrated = None, session: Given) -> None:
    """Compare the served release with the one before it; where it has fallen below, serve that one again.

    Parameters
    ----------
    prefect
        Run as a flow, or not; by default when a Prefect API is configured.
    """
    from flows import version_commands

    version_commands.monitor(session, prefect)


@app.command
def releases(*, session: Given) -> None:
    """List the releases; the served one is marked."""
    from flows import commands

    commands.releases(session)


@documents.default
def list_documents(*, session: Given) -> None:
    """List the indexed documents, and those in quarantine with the reason."""
    from flows import commands

    commands.documents(session)


@app.command
def inspect(file: Path, *, page: int | None = None, html: Path | None = None, session: Given) -> None:
    """Show what the reader makes of one file: pages, blocks, tables, passages, and what is left out.

    Parameters
    ----------
    file
        The document; nothing is indexed, and no home is needed.
    page
        Show the blocks of this page, counted from 1, in reading order.
    html
        Write one HTML file here that draws the blocks on the pages; with --page, of that page alone.
    """
    from flows import commands

    commands.inspect(session, file, page, html)


@documents.command(name="show")
def show_document(document: str, *, session: Given) -> None:
    """Show everything about one document: its pages, sections and warnings.

    Parameters
    ----------
    document
        Its name, as `specmine documents` lists it.
    """
    from flows import commands

    commands.document(session, document)


@compare.command(name="chunking")
def compare_chunking(
    *,
    splitters: str,
    split: str = "dev",
    encoders: Annotated[str, Parameter(show_default=False)] = "",
    keep: Annotated[bool, Parameter(negative="")] = False,
    session: Given,
) -> None:
    """Cut the indexed documents in several ways and measure each; nothing is published.

    Parameters
    ----------
    splitters
        Splitters with the size of their passages in tokens, separated by commas: section:256,fixed:256. Each is
        tested against the first.
    split
        train, dev, test or guard.
    encoders
        Names of configured encoders, separated by commas; all by default.
    keep
        Keep the indexes that were built, so that the next comparison finds them.
    """
    from flows import commands

    commands.compare_chunking(session, splitters, split, encoders, keep)


@compare.command(name="geometry")
def compare_geometry(*, split: str = "dev", session: Given) -> None:
    """Find the documents of judged queries by cosine, by hyperbolic distance and by both, and measure each.

    Parameters
    ----------
    split
        train, dev, test or guard.
    """
    from flows import commands

    commands.compare_geometry(session, split)


@models.command(name="list")
def list_models(*, session: Given) -> None:
    """List the configured models."""
    from flows import commands

    commands.models(session, "list")


@models.command(name="fetch")
def fetch_models(*, session: Given) -> None:
    """Fetch the configured models, so that nothing needs the network after."""
    from flows import commands

    commands.models(session, "fetch")


@models.command(name="verify")
def verify_models(*, session: Given) -> None:
    """Compare every file of the fetched models with its recorded SHA-256."""
    from flows import commands

    commands.models(session, "verify")


@app.command
def doctor(*, session: Given) -> None:
    """Check that everything needed is there, and say what to do where it is not."""
    from flows.doctor import doctor as check

    check(session)


@app.command
def demo(*, profile: str | None = None, session: Given) -> None:
    """Go once round on the sample documents: ingest, search, mine, retrain, measure.

    Parameters
    ----------
    profile
        "default" or "fast"; the configured one when not given.
    """
    from flows.demo import demo as run_demo

    run_demo(session, profile)


@app.command
def serve(*, session: Given) -> None:
    """Serve all flows from this process, with the schedules of the configuration. Needs a Prefect API."""
    from flows.serve import serve as serve_flows

    serve_flows(session)


@app.command
def dashboard(*, host: str = "127.0.0.1", port: int = 8765, session: Given) -> None:
    """Open the pages for search, review and operations.

    Parameters
    ----------
    host
        The address to listen on.
    port
        The port to listen on.
    """
    from flows import commands

    commands.dashboard(session, host, port)


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
    from evaluation.catalogue import CatalogueError
    from indexing.home import SpecmineError

    line = " ".join(str(error).split())
    if isinstance(error, SpecmineError | CatalogueError | UnreadableError):
        return line, None
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
