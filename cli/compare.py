"""``specmine compare``: configurations measured on the same judged queries; nothing is published."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from cli.parameters import Given, Split

compare = App(name="compare", help="Configurations measured on the same judged queries, beside the served release.")


@compare.command(name="chunking")
def compare_chunking(
    *,
    splitters: str,
    split: Split = "dev",
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
    encoders
        Names of configured encoders, separated by commas; all by default.
    keep
        Keep the indexes that were built, so that the next comparison finds them.
    """
    from cli.show import compare as show
    from flows import comparisons
    from flows.judgements import check_split

    settings = session.settings()
    check_split(split)
    names = [name.strip() for name in encoders.split(",") if name.strip()]
    with session.progress() as tell:
        result = comparisons.compare_chunking(settings, splitters, split, names, keep, tell)
    session.emit(result, lambda console: show.chunkings(console, result))


@compare.command(name="geometry")
def compare_geometry(*, split: Split = "dev", session: Given) -> None:
    """Find the documents of judged queries by cosine, by hyperbolic distance and by both, and measure each."""
    from cli.show import compare as show
    from flows import comparisons

    settings = session.settings()
    with session.progress() as tell:
        result = comparisons.compare_geometry(settings, split, tell)
    session.emit(result, lambda console: show.geometries(console, result))
