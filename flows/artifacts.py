"""Artifacts: what a run does and did, for whoever looks at Prefect's pages. Keys are stable, so that versions line up.

Bodies stay below 200 kB. Text from documents is escaped: a file name must not become markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact

from flows.reports import compared_chunkings, sweep_tables
from flows.reports.tables import COMBINATIONS, combination_rows, generator_rows, group_line, slice_table

_LONGEST_LIST = 100
_LONGEST_CELL = 300
_PICTURES = 160_000  # characters of all pictures together
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~$])")


def ingest_summary(report: Mapping[str, Any]) -> None:
    """Write what an ingest did, with the documents that could not be read and why."""
    _create("ingest-summary", ingest_markdown(report), f"release {report['release'] or 'none'}")


def inbox_summary(report: Mapping[str, Any]) -> None:
    """Write what became of the files in the inbox, with those that were not read and why."""
    _create("inbox-summary", inbox_markdown(report), f"{len(report['batches'])} batches")


def mining_summary(report: Mapping[str, Any], page: str, pictures: Sequence[tuple[str, str]]) -> None:
    """Write what mining found, with pictures (caption, data URI) and where the page with all of them lies."""
    _create("mining-summary", mining_markdown(report, page, pictures), f"ledger {report['ledger']}")


def generated_queries(report: Mapping[str, Any]) -> None:
    """Write what query generation kept and dropped."""
    _create("generated-queries", generated_markdown(report), f"{report['kept']} queries kept")


def evaluation(report: Mapping[str, Any]) -> None:
    """Write the measures of a release on a split."""
    _create(f"evaluation-{report['split']}", evaluation_markdown(report), f"release {report['release']}")


def verdicts(
    report: Mapping[str, Any], pictures: Mapping[str, str], curves: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Write the verdict on each retrained encoder, one artifact each, with its pictures."""
    for version in report["versions"]:
        text = verdict_markdown(
            version,
            report["leakage"]["told"],
            pictures.get(version["version"]),
            (curves or {}).get(version["version"], ()),
        )
        _create(f"verdict-{version['encoder']}", text, version["version"])


def monitoring(report: Mapping[str, Any]) -> None:
    """Write whether the served release stands."""
    title = "# The served release fell" if report["fell"] else "# The served release stands"
    _create("monitoring", f"{title}\n\n{_escaped(report['reason'])}", f"release {report['served']}")


def reranker_verdict(report: Mapping[str, Any]) -> None:
    """Write the verdict on a retrained re-ranker, and what its use was chosen from."""
    _create("verdict-re-ranker", reranker_markdown(report), report["version"])


def sweep_summary(report: Mapping[str, Any], pictures: Sequence[str]) -> None:
    """Write what a sweep found; the pictures are data URIs."""
    _create("sweep-summary", sweep_markdown(report, pictures), f"sweep {report['sweep']}")


def ablation_summary(report: Mapping[str, Any]) -> None:
    """Write what each part of a training is worth."""
    title, columns, rows = sweep_tables.ablation_table(report)
    facts = _escaped(sweep_tables.ablation_facts(report))
    markdown = "\n\n".join(["# Ablation", facts, f"## {title}", _table(columns, rows)])
    _create("ablation-summary", markdown, f"{report['encoder']}, {len(report['parts'])} parts")


def reindex_summary(report: Mapping[str, Any]) -> None:
    """Write what a re-index did."""
    _create("reindex-summary", reindex_markdown(report), f"release {report['release']}")


def chunking_comparison(report: Mapping[str, Any]) -> None:
    """Write chunkings side by side, and which of them differ."""
    _create(f"chunking-{report['split']}", chunking_markdown(report), f"release {report['release']}")


def progress(artifact: UUID | None, share: float, line: str) -> UUID:
    """Show how far a stage is, 0 to 1, and ``line`` beside it, in its artifact; in a new one where it has none yet."""
    if artifact is None:
        shown = create_progress_artifact(100 * share, description=line)
    else:
        shown = update_progress_artifact(artifact, 100 * share, line)
    return cast(UUID, shown)  # a coroutine only where the caller is one


# The texts


def ingest_markdown(report: Mapping[str, Any]) -> str:
    """Return the text of an ingest's artifact."""
    counts = report["documents"]
    rows = [*counts.items(), ("pages", report["pages"]), ("pages without text", report["pages_without_text"])]
    rows += [("passages in the index", report["chunks"]), ("seconds", report["seconds"])]
    parts = [
        "# Ingest",
        f"Generation `{report['generation']}`, release `{report['release'] or 'none'}`.",
        _table(["", "count"], rows),
    ]
    quarantine = report["quarantine"]
    if quarantine:
        entries = [(entry["document"], entry["page"] or "", entry["reason"]) for entry in quarantine[:_LONGEST_LIST]]
        parts += ["## In quarantine", _table(["document", "page", "reason"], entries)]
        parts += _more(quarantine)
    warned = [(name, line) for name, lines in report.get("warnings", {}).items() for line in lines]
    if warned:
        parts += ["## Warnings", _table(["document", "warning"], warned[:_LONGEST_LIST]), *_more(warned)]
    return "\n\n".join(parts)


def inbox_markdown(report: Mapping[str, Any]) -> str:
    """Return the text of the artifact about the inbox."""
    batches = [(entry["batch"], entry["done"], len(entry["failed"])) for entry in report["batches"]]
    failed = [(entry["batch"], *pair) for entry in report["batches"] for pair in entry["failed"].items()]
    parts = [
        "# Inbox",
        f"Release `{report['release'] or 'as before'}`; {report['left']} files are not settled yet.",
        _table(["batch", "files done", "files failed"], batches) if batches else "Nothing was there to take.",
    ]
    if failed:
        parts += ["## Failed", _table(["batch", "file", "reason"], failed[:_LONGEST_LIST]), *_more(failed)]
    return "\n\n".join(parts)


def mining_markdown(report: Mapping[str, Any], page: str, pictures: Sequence[tuple[str, str]]) -> str:
    """Return the text of mining's artifact; pictures that there is no room for are in the page alone."""
    facts = f"{report['candidates']} candidates for {report['queries']} queries in {report['seconds']:.1f} s."
    parts = [f"# Ledger `{report['ledger']}`", facts, _table(["verdict", "candidates"], report["verdicts"].items())]
    room = _PICTURES
    for caption, picture in pictures:
        if len(picture) <= room:
            room -= len(picture)
            parts += [f"![]({picture})", _escaped(caption)]
    return "\n\n".join([*parts, f"All pictures, and the hardest negatives: `{page}`"])


def evaluation_markdown(report: Mapping[str, Any]) -> str:
    """Return the text of an evaluation's artifact."""
    measures = list(next(iter(report["runs"].values()), {}))
    rows = [(run, *(f"{values[name]:.4f}" for name in measures)) for run, values in report["runs"].items()]
    parts = [
        f"# Release `{report['release']}` on `{report['split']}`",
        f"{report['queries']} queries; {report['unmapped_judgements']} judgements map to no passage.",
        _table(["run", *measures], rows),
    ]
    reasons = report.get("unmapped_reasons") or {}
    if reasons:
        parts.append(_table(["why judgements do not map", "count"], reasons.items()))
    return "\n\n".join(parts)


def verdict_markdown(version: Mapping[str, Any], leakage: str, picture: str | None, curves: Sequence[str] = ()) -> str:
    """Return the text of a verdict's artifact. The pictures are data URIs; what there is no room for is left out."""
    low, high = version["interval"]
    rows = [
        ("loss", version["loss"]),
        ("before", f"{version['before']:.4f}"),
        ("after", f"{version['after']:.4f}"),
        ("difference", f"{version['difference']:+.4f}"),
        ("interval", f"{low:+.4f} to {high:+.4f}"),
        ("p", f"{version['p_value']:.3g}"),
        (f"p by Holm among {version['systems']}", f"{version['p_holm']:.3g}"),
    ]
    title = f"# {_escaped(version['encoder'])} `{version['version']}`: {_escaped(version['verdict'])}"
    parts = [title, *(_escaped(line) for line in version["reason"].splitlines()), _table(["", "value"], rows)]
    if version["slices"]:
        parts += ["## Slices", _table(*slice_table(version))]
    parts.append(f"Leakage: {_escaped(leakage)}.")
    if picture:
        parts += [
            "## Similarity of queries to their passages and to others",
            f"![similarity before and after]({picture})",
        ]
    room = _PICTURES - len(picture or "")
    for curve in curves:
        if len(curve) <= room:
            room -= len(curve)
            parts.append(f"![how the training went]({curve})")
    parts += [f"**Warning**: {_escaped(line)}" for line in version.get("warnings", ())]
    parts += [f"The whole report: `{version['report']}`"] if version.get("report") else []
    return "\n\n".join(parts)


def reranker_markdown(report: Mapping[str, Any]) -> str:
    """Return the text of the artifact about a re-ranker."""
    rows = []
    for name, verdict in report["verdicts"].items():
        if verdict is None:
            rows.append((name, "", "", "", "not judged"))
            continue
        low, high = verdict["interval"]
        told = "promoted" if verdict["promoted"] else "kept"
        rows.append((name, f"{verdict['before']:.4f}", f"{verdict['after']:.4f}", f"{low:+.4f} to {high:+.4f}", told))
    evaluations = [
        (entry["step"], f"{entry['held_out']:.4f}", f"{entry['first']:.3f}") for entry in report["training"]["history"]
    ]
    parts = [
        f"# Re-ranker `{report['version']}`: {'published' if report['release'] else 'kept as it was'}",
        _table(["language", "before", "after", "interval", "verdict"], rows),
        *(_escaped(line) for line in report["reason"].splitlines()),
        "## Passages read, and how the scores are put together, on held-out training queries",
        f"fused: {report['held_out']['fused']:.4f}",
        _table(COMBINATIONS, combination_rows(report)),
        "## Training",
        group_line(report),
        _table(["step", "held-out loss", "judged passage first"], evaluations),
    ]
    return "\n\n".join(parts)


def reindex_markdown(report: Mapping[str, Any]) -> str:
    """Return the text of a re-index's artifact."""
    rows = [
        ("documents", report["documents"]),
        ("documents read again", report["documents_to_read"] - len(report["unread"])),
        ("documents cut from what was stored", report["documents_to_cut"] + len(report["unread"])),
        ("passages embedded", report["embedded"]),
        ("passages in the index", report["chunks"]),
        ("seconds", report["seconds"]),
    ]
    rows += [
        (f"store finds of the nearest ten by {name}", f"{r:.1%}") for name, r in report["checked"]["recall"].items()
    ]
    judged = report["judged"] or {}
    rows += [
        (f"{name} of {judged['measure']} on {judged['split']}", f"{judged[name]:.4f}")
        for name in ("before", "after")
        if name in judged
    ]
    rows += [("documents that changed meanwhile, brought after", report["brought_after"])]
    changes = [f"- {_escaped(change)}" for change in report["changes"]] or ["- nothing"]
    title = "" if report["published"] else ": not published"
    return "\n\n".join(
        [
            f"# Re-index{title}: `{report['served']}` → `{report['generation']}`, release `{report['release']}`",
            *(_escaped(reason) for reason in report["reasons"]),
            "What changed:",
            "\n".join(changes),
            _table(["", "count"], rows),
        ]
    )


def sweep_markdown(report: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """Return the text of a sweep's artifact."""
    parts = [f"# Sweep `{report['sweep']}`", _escaped(sweep_tables.facts(report)), _escaped(report["reason"])]
    toml = sweep_tables.winner_toml(report)
    parts += [f"```toml\n{toml}\n```"] if toml else []
    for made in (sweep_tables.fresh_table(report), sweep_tables.trials_table(report)):
        if made is not None:
            title, columns, rows = made
            parts += [f"## {title}", _table(columns, rows[:_LONGEST_LIST]), *_more(rows)]
    room = _PICTURES
    for picture in pictures:
        if len(picture) <= room:
            room -= len(picture)
            parts.append(f"![]({picture})")
    return "\n\n".join([*parts, f"The whole report: `{report['report']}`"])


def generated_markdown(report: Mapping[str, Any]) -> str:
    """Return the text of a generation's artifact."""
    dropped = [
        [name, reason, str(count)]
        for name, done in report["generators"].items()
        for reason, count in done["dropped"].items()
    ]
    return "\n\n".join(
        [
            f"# Queries generated: {report['kept']} kept" + (" (a dry run: none stored)" if report["dry_run"] else ""),
            _table(["generator", "documents", "made", "kept", "at rank 1", "seconds"], generator_rows(report)),
            "Dropped:",
            _table(["generator", "reason", "queries"], dropped),
        ]
    )


def chunking_markdown(report: Mapping[str, Any]) -> str:
    """Return the text of a comparison's artifact."""
    parts = ["# Chunkings compared", _escaped(compared_chunkings.facts(report))]
    for title, columns, rows in compared_chunkings.tables(report):
        parts += [f"## {_escaped(title)}", _table(columns, rows)]
    return "\n\n".join([*parts, f"The whole report: `{report['report']}`"])


def _more(entries: Sequence[Any]) -> list[str]:
    return [f"and {len(entries) - _LONGEST_LIST} more."] if len(entries) > _LONGEST_LIST else []


def _create(key: str, markdown: str, description: str) -> None:
    create_markdown_artifact(markdown, key=key, description=description)


def _table(columns: Sequence[str], rows: Any) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_escaped(str(cell)[:_LONGEST_CELL]) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
