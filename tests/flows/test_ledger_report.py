"""The report on a ledger as a page: whole, escaped, in need of nothing from elsewhere."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from chunking.document import Chunk
from flows.artifacts import mining_markdown
from flows.reports.ledger_report import LedgerFacts, artifact_pictures, draw_html, facts_of, report_json, write_report
from indexing.home import Home
from mining import figures
from mining.ledger import FoundBy, Ledger, LedgerQuery, LedgerRow
from mining.similarities import Group, Similarities

HOSTILE = "<script>alert(1)</script><img src=http://x.example/a.png onerror=alert(2)> torque & \"'"
RANKS = {"bm25": 1, "minilm": 1, "ensemble": 1}


def chunk(name: str, text: str) -> Chunk:
    return Chunk(name, f"{name}<b>.pdf", "t", 0, ("1 <i>Scope", "1.2"), 3, 4, 0, 9, text, text, 1, lead="<u>lead")


def facts(sources: tuple[str, ...] = ("bm25", "encoder", "hyperbolic"), distrust: str = "") -> LedgerFacts:
    def row(name: str, verdict: str, ranks: dict[str, int], cross: float | None = None) -> LedgerRow:
        found = tuple(FoundBy(source, rank, 0.5) for source, rank in ranks.items())
        return LedgerRow("q", name, name, 0, 9, found, 0.75, cross, 1.0, verdict, f"why {HOSTILE}")

    query = LedgerQuery("q", f"torque {HOSTILE}", "ja", ("p", "p2"))
    rows = (
        row("n", "kept", {**RANKS, "hyperbolic:minilm": 2}, 0.5),
        row("o", "unselected", {"minilm": 2}),
        row("r", "false_negative", {"hyperbolic:minilm": 1}, 2.0),
    )
    settings = {"sources": sources, "depth": 20, "filters": ["cross_encoder"], "floor": 0.01, "borderline": 0.8}
    manifest: dict[str, Any] = {
        "release": "r0001",
        "created": "2026-01-01T00:00:00+00:00",
        "settings": {**settings, "rho": 0.95, "seed": 1},
        "encoders": {"minilm": {}},
        "removed": {"cross_encoder": {"false_negative": 1}},
        "verdicts": {"kept": 1, "unselected": 1, "false_negative": 1},
        "agreement": {"ja": {"auc": 0.5, "distrust": distrust}},
    }
    ledger = Ledger("20260101T000000000-abcdef", rows, (query,), manifest)
    group = Group(2, 0.5, (0.25, 0.75))
    return facts_of(
        ledger,
        [Similarities("minilm", 1, (0.0, 0.5, 1.0), {"judged": group, "kept": group}, 1.0)],
        "",
        {name: chunk(name, f"{name}: 締付けトルク {HOSTILE}") for name in ("p", "n", "o", "r")},
    )


def test_texts_are_escaped_and_words_of_the_query_marked() -> None:
    page = BeautifulSoup(draw_html(facts()), "html.parser")
    assert not page.find_all(["script", "b", "i", "u"])
    assert not page.find_all(src=True)
    assert not page.find_all(lambda tag: any(name.startswith("on") for name in tag.attrs))
    shown = page.get_text()
    assert shown.count(f"n: 締付けトルク {HOSTILE}") == 1
    assert f"why {HOSTILE}" in shown
    assert "1 <i>Scope > 1.2" in shown
    assert {mark.get_text() for mark in page.find_all("mark")} >= {"torque"}
    negative = page.select_one(".negative")
    judged = page.select_one(".judged")
    assert negative is not None
    assert judged is not None
    assert "n<b>.pdf pages 3 to 4" in negative.get_text()
    assert "judged passage, one of 2" in judged.get_text()


def test_the_page_refers_to_nothing_outside_itself() -> None:
    html = draw_html(facts())
    page = BeautifulSoup(html, "html.parser")
    references = [
        value
        for tag in page.find_all(True)
        for name, value in tag.attrs.items()
        if name in ("src", "href", "xlink:href", "srcset", "action", "data")
    ]
    assert references
    assert all(reference.startswith(("#", "data:image/png;base64,")) for reference in references)
    assert set(re.findall(r"url\(([^)]*)\)", html)) <= {f"#{tag['id']}" for tag in page.find_all(id=True)}
    assert "@import" not in html
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))
    assert {reference[1:] for reference in references if reference.startswith("#")} <= set(ids)


def test_every_picture_is_told_in_words() -> None:
    page = BeautifulSoup(draw_html(facts()), "html.parser")
    told = [str(tag["aria-label"]) for tag in page.find_all(role="img")]
    assert len(told) == len(page.find_all("svg")) == 6
    assert "Of 3 candidates, in order: cross encoder removed 1 as false negative; choice removed 1" in told[0]
    assert "share 100% of their area" in told[1]
    assert "n: 1 of" not in told[2]
    assert "minilm: 50% of the first 10 neighbours" not in told[4]  # n is in both lists: 1 of 10
    assert "minilm: 10% of the first 10 neighbours in common, over 1 queries" in told[4]
    assert "2 candidates with a score of both, 1 of them kept. Bounds: floor 0.01, borderline 0.8, rho 0.95." in told[5]
    assert {str(tag["aria-hidden"]) for tag in page.find_all("svg")} == {"true"}


def test_what_is_missing_is_said() -> None:
    without = dataclasses.replace(facts(("bm25", "encoder"), "guesses <b>"), similarities=[], chunks={})
    without = dataclasses.replace(without, without_similarities="Not measured, for it is gone")
    shown = BeautifulSoup(draw_html(without), "html.parser").get_text()
    assert 'mined without hyperbolic neighbours: add "hyperbolic" to [mine] sources' in shown
    assert "Cross-encoder not used for ja: guesses <b>." in shown
    assert "Not measured, for it is gone" in shown
    assert "Its text is no longer in the home." in shown
    assert "n, characters 0 to 9" in shown


def test_a_ledger_without_rows_can_be_drawn() -> None:
    plain = facts()
    empty = Ledger(plain.ledger.id, (), (), {**plain.ledger.manifest, "removed": {}, "verdicts": {}})
    drawn = draw_html(
        LedgerFacts(
            empty,
            figures.funnel(empty),
            figures.count_languages(empty),
            figures.source_overlap(empty),
            figures.compare_neighbours(empty),
            figures.cross_scores(empty),
            figures.hardest(empty),
            [],
            "",
            {},
        )
    )
    assert "No hard negative was kept." in drawn
    assert "The cross-encoder scored no candidate." in drawn


def test_the_report_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, shown = Home(tmp_path), facts()
    path = write_report(home, shown)
    assert path == tmp_path / "reports" / "ledger-20260101T000000000-abcdef.html"
    assert report_json(shown, path) == {
        "ledger": shown.ledger.id, "report": str(path), "bytes": path.stat().st_size, "notes": [],
    }  # fmt: skip
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(home, shown)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_artifact_has_the_pictures_that_there_is_room_for() -> None:
    report = {"ledger": "l", "candidates": 3, "queries": 1, "seconds": 0.5, "verdicts": {"kept": 1}}
    pictures = artifact_pictures(facts(distrust="it guesses"))
    assert len(pictures) == 4
    text = mining_markdown(report, "reports/l.html", pictures)
    assert text.count("![](data:image/png;base64,") == 4
    assert "it guesses" in text
    assert "`reports/l.html`" in text
    too_many = mining_markdown(report, "reports/l.html", [("<b>", "data:," + 50_000 * "x")] * 9)
    assert too_many.count("![](") == 3
    assert "<b>" not in too_many
    assert len(too_many.encode()) < 200_000
