"""Versions of query encoders as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.show.learning import verdict
from cli.show.tables import shortened, table, values
from flows.reports.tables import slice_table

_RIGHT = ["before", "after"]


def listing(console: Console, result: Mapping[str, Any]) -> None:
    """Show which versions there are, the newest first; those that are served are marked."""
    if not result["versions"]:
        console.print("no query encoder was retrained yet: `specmine retrain` does")
        return
    columns = ["", "version", "encoder", "trained by", "from", *_RIGHT, "verdict"]
    rows = [
        [
            "→" if entry["served"] else "",
            entry["version"],
            entry["encoder"],
            f"{entry['loss']}, {entry['form']}",
            entry["started_from"],
            *(_number(entry[name]) for name in _RIGHT),
            entry["verdict"],
        ]
        for entry in result["versions"]
    ]
    console.print(table("", columns, rows, right=_RIGHT))


def one(console: Console, result: Mapping[str, Any]) -> None:
    """Show what made a version, what was measured of it, and the verdict."""
    console.print(f"[bold]{escape(result['encoder'])} {escape(result['version'])}[/bold]: {result['outcome']}")
    verdict(console, result["verdict"].get("reason", "not judged: its retraining ended before"))
    if result["withdrawn"]:
        console.print(f"   [yellow]withdrawn:[/yellow] {escape(result['withdrawn'])}", soft_wrap=True)
    if slices := result["verdict"].get("slices"):
        losing = result["verdict"]["losing"]
        columns, rows = slice_table({"slices": slices, "losing": losing})
        console.print(table("", columns, rows, right=columns[1:-1]))
    measures = _measure_rows(result["measures"])
    if measures:
        names = list(next(iter(result["measures"]["after"].values())))
        console.print(table("", ["queries", "", *names], measures, right=names))
    lineage = result["lineage"]
    facts = {name: value for name, value in lineage.items() if not isinstance(value, Mapping)}
    facts |= {"served by": ", ".join(result["releases"]) or "no release", "weights": result["weights"]}
    values(console, "", {"created": result["created"], "loss": result["loss"], **facts})
    for name, value in lineage.items():
        if isinstance(value, Mapping):
            values(console, name, value)


def diff(console: Console, result: Mapping[str, Any]) -> None:
    """Show what differs in the making of two versions, and their measures side by side."""
    console.print(f"[bold]{result['before']}[/bold] → [bold]{result['after']}[/bold]")
    rows = [
        [name, shortened(str(pair["before"])), shortened(str(pair["after"]))]
        for name, pair in result["differs"].items()
    ]
    console.print(table("", ["", "before", "after"], rows) if rows else "nothing that took part differs")
    measured = [[version, part, *map(_number, means.values())] for version, part, means in _by_part(result["measures"])]
    if measured:
        names = list(next(means for _, _, means in _by_part(result["measures"])))
        console.print(table("", ["version", "queries", *names], measured, right=names))
    if not result["comparable"]:
        told = "not known to be measured on the same queries and document vectors: do not compare"
        console.print(f"[yellow]{told}[/yellow]", soft_wrap=True)


def exported(console: Console, result: Mapping[str, Any]) -> None:
    """Show where an export lies and how it is loaded."""
    console.print(
        f"{escape(result['directory'])}: {result['encoder']} {result['version']}, {result['bytes'] / 1e6:.1f} MB; "
        "SentenceTransformer(directory).encode_query(text) gives the vectors that specmine searches with",
        soft_wrap=True,
    )


def shadowed(console: Console, result: Mapping[str, Any]) -> None:
    """Show what a version would have answered beside the served release."""
    console.print(
        f"{result['encoder']} {result['version']} beside release {result['served']} on {result['queries']} queries of "
        f"the log: {result['overlap']:.0%} of the first ten results are the same, and the first one for "
        f"{result['same_first']:.0%} of the queries",
        soft_wrap=True,
    )
    wanted = result["wanted"]
    if wanted:
        low, high = wanted["interval"]
        console.print(
            f"passages that were opened or confirmed: {wanted['before']:.3f} to {wanted['after']:.3f} "
            f"({wanted['difference']:+.3f}, {low:+.3f} to {high:+.3f}, p {wanted['p_value']:.2g}, {wanted['queries']} "
            "queries); they were seen in the served order, which favours the served release",
            soft_wrap=True,
        )
    else:
        console.print("nobody opened or confirmed a result of these searches: which answers are better is not known")
    if result["changed"]:
        rows = [[shortened(entry["query"], 80), f"{entry['overlap']:.0%}"] for entry in result["changed"]]
        console.print(table("", ["queries whose answers differ most", "same"], rows, right=["same"]))


def _measure_rows(measures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[list[str]]:
    return [
        [part, when, *map(_number, means[part].values())]
        for part in measures.get("after", {})
        for when, means in measures.items()
    ]


def _by_part(measures: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, float]]]:
    return [(version, part, means) for version, parts in measures.items() for part, means in parts.items()]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
