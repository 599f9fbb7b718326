"""Reports as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from flows import reports
from flows.output import measures_table, printable, table

_LONGEST_TEXT = 280
_LONGEST_QUARANTINE = 20


def ingest(console: Console, result: Mapping[str, Any]) -> None:
    """Show what an ingest did."""
    counts = result["documents"]
    console.print(
        f"[bold]{counts['indexed']}[/bold] documents indexed, {counts['renamed']} renamed, "
        f"{counts['unchanged']} unchanged, {counts['removed']} removed, {counts['quarantined']} in quarantine"
    )
    console.print(
        f"{result['pages']} pages ({result['pages_without_text']} without text), {result['chunks']} passages in "
        f"generation {result['generation']}, release {result['release'] or 'none'}, {result['seconds']:.1f} s"
    )
    console.print(
        f"read: {result['characters']:,} characters, {result['tables']} tables with {result['table_rows']} rows; "
        f"{result['dropped_lines']} running lines left out; pages {result['pages_scanned']} scanned, "
        f"{result['pages_blank']} blank, {result['pages_ocr']} recognised, {result['pages_rotated']} turned; "
        f"{result['chunks_shortened']} passages with a shortened title"
    )
    for document, warnings in result.get("warnings", {}).items():
        for warning in warnings:
            console.print(f"[yellow]warning[/yellow] {escape(document)}: {escape(warning)}")
    quarantine(console, result["quarantine"])


def quarantine(console: Console, entries: Sequence[Mapping[str, Any]]) -> None:
    """Show the documents that could not be read, and why."""
    if not entries:
        return
    rows = [[entry["document"], entry["page"], entry["reason"]] for entry in entries[:_LONGEST_QUARANTINE]]
    console.print(table("in quarantine", ["document", "page", "reason"], rows, right=["page"]))
    if len(entries) > _LONGEST_QUARANTINE:
        console.print(f"and {len(entries) - _LONGEST_QUARANTINE} more: --json lists them all")


def search(console: Console, result: Mapping[str, Any]) -> None:
    """Show the passages found."""
    for number, entry in enumerate(result["results"], start=1):
        where = place(entry["document"], entry["section"], entry["pages"])
        console.print(f"[bold]{number}. {escape(where)}[/bold]", soft_wrap=True)
        found = ", ".join(f"{name} {source['rank']}" for name, source in entry["sources"].items())
        console.print(f"   [dim]score {entry['score']:.3f}; ranks: {found}[/dim]", soft_wrap=True)
        header = entry["lead"].partition("\n")[0]  # of a table that begins in an earlier passage
        begin = entry["passage"][0] - entry["span"][0]  # what was found of a clause that is shown whole
        console.print(f"   {escape(shortened(header + ' ' + entry['text'][begin:]))}", soft_wrap=True)
    if not result["results"]:
        console.print("nothing was found")
    console.print(f"[dim]release {result['release']}, {result['milliseconds']:.0f} ms[/dim]")


def place(document: str, section: str, pages: Sequence[int]) -> str:
    """Return where a passage stands, in words."""
    first, last = pages
    page = f"page {first}" if first == last else f"pages {first}–{last}"
    return ", ".join(part for part in (document, section, page) if part)


def shortened(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return a text in one line, cut where it is too long."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


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
        if version["slices"]:
            console.print(table("", *reports.slice_table(version), right=["queries", "before", "after", "difference"]))
        for warning in version.get("warnings", ()):
            console.print(f"   [yellow]warning:[/yellow] {escape(warning)}", soft_wrap=True)
        if version.get("report"):
            console.print(f"   [dim]{escape(version['report'])}[/dim]", soft_wrap=True)
    console.print(f"leakage: {escape(result['leakage']['told'])}", soft_wrap=True)
    whole = " · ".join(result["composition"]["reason"].splitlines())
    console.print(escape(_fusion(result["composition"])), soft_wrap=True)
    console.print(f"published: {result['release'] or 'nothing'}; {escape(whole)}", soft_wrap=True)
    console.print(f"[dim]{result['seconds']:.1f} s[/dim]")


def verdict(console: Console, reason: str) -> None:
    """Show the lines in which a verdict explains itself; a warning is marked."""
    for line in reason.splitlines():
        told = escape(line).replace("warning:", "[yellow]warning:[/yellow]")
        console.print(f"   {told}", soft_wrap=True)


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


def compared_chunkings(console: Console, result: Mapping[str, Any]) -> None:
    """Show chunkings side by side, and which differ."""
    for title, columns, rows in reports.chunking_tables(result):
        console.print(table(title, columns, rows, right=columns[2:]))
    console.print(f"[dim]{escape(reports.chunking_facts(result))}[/dim]", soft_wrap=True)
    console.print(f"saved as {escape(result['report'])}", soft_wrap=True)


def values(console: Console, title: str, result: Mapping[str, Any]) -> None:
    """Show a flat report as two columns."""
    rows = [[key.replace("_", " "), _words(value)] for key, value in result.items()]
    console.print(table(title, ["", "value"], rows))


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {entry}" for key, entry in value.items()) or "none"
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value)) or "none"
    return str(value)
