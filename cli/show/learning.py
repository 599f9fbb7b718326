"""What was measured, mined and learned, as people read it on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.show.tables import measures_table, table


def measures(console: Console, result: Mapping[str, Any]) -> None:
    """Show the measures of a release."""
    title = f"release {result['release']} on {result['queries']} queries of {result['split']}"
    console.print(measures_table(title, result["runs"]))
    if result["unmapped_judgements"]:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in result.get("unmapped_reasons", {}).items())
        console.print(
            f"[yellow]{result['unmapped_judgements']} judgements map to no passage[/yellow]: {escape(reasons)}"
        )


def mine(console: Console, result: Mapping[str, Any]) -> None:
    """Show what mining found."""
    console.print(
        f"ledger {result['ledger']}: {result['candidates']} candidates for {result['queries']} queries, "
        f"{result['seconds']:.1f} s"
    )
    console.print(table("", ["verdict", "candidates"], list(result["verdicts"].items()), right=["candidates"]))
    if "like" in result:
        like = result["like"]
        words = "the same rows" if like["same"] else "other rows"
        differs = escape(", ".join(like["differs"]) or "nothing")
        console.print(f"{words} as ledger {like['ledger']}; what differs: {differs}", soft_wrap=True)
    for language, agreement in (result["agreement"] or {}).items():
        console.print(_agreement(language, agreement), soft_wrap=True, highlight=False)
    if "report" in result:
        console.print(f"report: {escape(result['report'])}", soft_wrap=True)


def retrain(console: Console, result: Mapping[str, Any]) -> None:
    """Show the verdict on each new version."""
    for version in result["versions"]:
        colour = "green" if version["verdict"] == "promoted" else "yellow"
        console.print(
            f"[bold]{escape(version['encoder'])}[/bold] {escape(version['version'])} ({escape(version['loss'])}): "
            f"{version['before']:.4f} → {version['after']:.4f}: [{colour}]{escape(version['verdict'])}[/{colour}]",
            soft_wrap=True,
        )
        verdict(console, version["reason"])
        for warning in version.get("warnings", ()):
            console.print(f"   [yellow]warning:[/yellow] {escape(warning)}", soft_wrap=True)
        if version.get("report"):
            console.print(f"   [dim]{escape(version['report'])}[/dim]", soft_wrap=True)
    console.print(f"leakage: {escape(result['leakage']['told'])}", soft_wrap=True)
    whole = " · ".join(result["composition"]["reason"].splitlines())
    console.print(escape(_fusion(result["composition"])), soft_wrap=True)
    console.print(f"published: {result['release'] or 'nothing'}; {escape(whole)}", soft_wrap=True)
    if result["versions"]:
        console.print("[dim]`specmine versions show VERSION` has all measures and slices of one[/dim]")
    console.print(f"[dim]{result['seconds']:.1f} s[/dim]")


def verdict(console: Console, reason: str) -> None:
    """Show the lines in which a verdict explains itself; a warning is marked."""
    for line in reason.splitlines():
        told = escape(line).replace("warning:", "[yellow]warning:[/yellow]")
        console.print(f"   {told}", soft_wrap=True)


def _agreement(language: str, agreement: Mapping[str, Any]) -> str:
    """Return how the cross-encoder was found to judge a language, as one line of markup."""
    facts = []
    if agreement["auc"] is not None:
        facts.append(f"judged above unjudged with an area of {agreement['auc']:.3f} ({agreement['queries']} queries)")
    if agreement["at_equal_rank"] is not None:
        facts.append(f"{agreement['at_equal_rank']:.3f} at equal rank")
    if agreement["calibration"]:
        facts.append(f"calibrated to within {agreement['calibration']['error']:.3f}")
    if agreement["reviewed"]:
        facts.append(f"{agreement['reviewed']['auc']:.3f} on what people decided")
    told = f"[yellow]not used: {escape(agreement['distrust'])}[/yellow]" if agreement["distrust"] else "used"
    return f"cross-encoder, {escape(language)}: {'; '.join([told, *facts])}"


def _fusion(composition: Mapping[str, Any]) -> str:
    """Say in a line what was learned of the fusion, and what became of it."""
    learned, verdict = composition["learned"], composition["fusion"]
    if learned is None:
        return f"fusion by {_weighed(composition)}: no query was set aside to learn another with"
    unseen = "" if learned["held_out"] is None else f", {learned['held_out']:.4f} on folds that took no part"
    line = (
        f"fusion learned on {learned['queries']} queries of {learned['split']}: {_weighed(learned)}, "
        f"{learned['before']:.4f} → {learned['after']:.4f}{unseen}"
    )
    if verdict is None:
        return f"{line}: no better than what is served"
    return f"{line}: {'better' if verdict['promoted'] else 'kept out'} ({' · '.join(verdict['reason'].splitlines())})"


def _weighed(fusion: Mapping[str, Any]) -> str:
    return f"{fusion['method']} ({', '.join(f'{name} {weight:g}' for name, weight in fusion['weights'].items())})"
