"""What a sweep and an ablation found, as tables and sentences: for a terminal, Markdown and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flows.reports.tables import Table


def trials_table(result: Mapping[str, Any]) -> Table:
    """Return the trials, the best first, with the configured settings among them."""
    configured = result["configured"]
    rows = [(configured["score"], ["configured", f"{configured['score']:.4f}", "", "", "", ""])]
    for trial in result["trials"]:
        score = trial["score"] if trial["score"] is not None else trial["reached"]
        cells = [
            str(trial["number"]),
            "" if score is None else f"{score:.4f}",
            trial["state"],
            f"{trial['seconds']:.0f}",
            written(trial["changes"]),
            trial["reason"],
        ]
        rows.append((-1.0 if trial["score"] is None else trial["score"], cells))
    rows.sort(key=lambda row: -row[0])
    columns = ["trial", result["measure"], "state", "seconds", "differs from the configuration in", "why not complete"]
    return "Trials", columns, [cells for _, cells in rows]


def fresh_table(result: Mapping[str, Any]) -> Table | None:
    """Return the winner and the configured settings by fresh seed; None where there is no winner."""
    fresh = result["fresh"]
    if fresh is None:
        return None
    rows = [
        [str(seed), f"{before:.4f}", f"{after:.4f}", f"{after - before:+.4f}"]
        for seed, before, after in zip(fresh["seeds"], fresh["configured"], fresh["winner"], strict=True)
    ]
    return "The winner with fresh seeds", ["seed", "configured", "winner", "difference"], rows


def ablation_table(result: Mapping[str, Any]) -> Table:
    """Return what each part is worth, the most helpful first."""
    rows = [
        [
            part["part"],
            f"{_mean(part['scores']):.4f}",
            f"{part['difference']:+.4f}",
            f"{part['interval'][0]:+.4f} to {part['interval'][1]:+.4f}",
            f"{part['p_value']:.2g}",
            f"{part['p_holm']:.2g}",
            f"{part['seconds']:.0f}",
        ]
        for part in sorted(result["parts"], key=lambda part: part["difference"])
    ]
    rows.insert(0, ["nothing", f"{_mean(result['whole']):.4f}", "", "", "", "", ""])
    return "Without", ["part", result["measure"], "difference", "95 % interval", "p", "p (Holm)", "seconds"], rows


def ablation_facts(result: Mapping[str, Any]) -> str:
    """Return in a few sentences what an ablation rests on."""
    return (
        f"{_ground(result)} Means of {len(result['seeds'])} seeds; below 0 the part helps. Untrained "
        f"{result['untrained']:.4f}."
    )


def facts(result: Mapping[str, Any]) -> str:
    """Return in a few sentences what the sweep rests on and what came of it."""
    lines = [f"{_ground(result)} Untrained {result['untrained']:.4f}."]
    fresh = result["fresh"]
    if fresh is not None:
        low, high = fresh["interval"]
        lines.append(
            f"Winner against configured settings, {len(fresh['seeds'])} fresh seeds: {fresh['difference']:+.4f} "
            f"({low:+.4f} to {high:+.4f}), p {fresh['p_value']:.2g}."
        )
    return " ".join(lines)


def winner_toml(result: Mapping[str, Any]) -> str:
    """Return the winner's settings as they are written into specmine.toml; "" where there is none."""
    if result["winner"] is None:
        return ""
    return "\n".join(["[train]", *(f"{key} = {_toml(value)}" for key, value in result["winner"]["changes"].items())])


def written(changes: Mapping[str, Any]) -> str:
    """Return changed keys in one line; numbers with three digits."""
    return ", ".join(f"{key} {_short(value)}" for key, value in changes.items())


def _ground(result: Mapping[str, Any]) -> str:
    part = result["development"]
    kind = "set aside from the training queries" if part["split"] == "train" else "which stop a training too"
    return (
        f"{result['encoder']}: trained on {part['train']} queries, compared by {result['measure']} on "
        f"{part['queries']} others of {part['split']}, {kind}; no query that decides took part."
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return " + ".join(f"{_short(weight)} {name}" for name, weight in value.items())
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
