"""The report on a sweep: one HTML file that needs no network, and its pictures for an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from flows.reports import sweep_pictures as pictures
from flows.reports import sweep_tables as tables
from flows.reports.canvas import inline_svg, png_data_uri
from indexing.home import Home, replacing


def write_report(home: Home, result: dict[str, Any]) -> Path:
    """Write the page to ``reports/sweep-<id>.html``, whole or not at all; put its path into the result, return it."""
    path = home.reports / f"sweep-{result['sweep']}.html"
    with replacing(path) as partial:
        partial.write_text(draw_html(result), encoding="utf-8", errors="replace")
    result["report"] = str(path)
    return path


def artifact_pictures(result: Mapping[str, Any]) -> list[str]:
    """Return the pictures as PNG data URIs, for an artifact."""
    figures = [pictures.draw_history(result)]
    figures += [pictures.draw_parameters(result)] if pictures.drawn_parameters(result) else []
    return [png_data_uri(figure) for figure in figures]


def draw_html(result: Mapping[str, Any]) -> str:
    """Return the report as one HTML document."""
    folder = Path(__file__).parent / "templates"
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    fresh = tables.fresh_table(result)
    return environment.get_template("sweep.html").render(
        style=Markup((folder / "ledger.css").read_text(encoding="utf-8")),  # noqa: S704  our own file
        result=result,
        facts=tables.facts(result),
        toml=tables.winner_toml(result),
        tables=[table for table in (fresh, tables.trials_table(result)) if table],
        history=Markup(inline_svg(pictures.draw_history(result), "history")),  # noqa: S704  drawn here
        parameters=Markup(inline_svg(pictures.draw_parameters(result), "parameters"))  # noqa: S704  drawn here
        if pictures.drawn_parameters(result)
        else None,
    )
