"""The stage as a whole, on hand-written runs."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluation.catalogue_decisions import Decision
from indexing.home import Home, SpecmineError, read_json
from mining.examples import examples
from mining.filters import FILTERS
from mining.ledger import Ledger, read_ledger
from mining.mine import mine
from mining.selection import DIFFICULTIES, DIVERSITIES
from mining.settings import MineSettings, settings_of

# No random ones, and one query is sample enough: what happens to each candidate can be followed.
PLAIN = MineSettings(sources=("bm25", "encoder", "ensemble"), random_share=0.0)


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def verdicts(ledger: Ledger, query: str = "q") -> dict[str, str]:
    return {row.chunk: row.verdict for row in ledger.rows if row.query == query}


def reasons(ledger: Ledger, query: str = "q") -> dict[str, str]:
    return {row.chunk: row.reason for row in ledger.rows if row.query == query}


class Town:
    """One query, one judged passage, and one candidate for each thing that can happen."""

    def __init__(self, world: SimpleNamespace) -> None:
        self.world = world
        judged = world.chunk("judged", "d0", 3, world.words("judged"))
        made = [
            judged,
            world.chunk("sibling", "d0", 9, world.words("sibling"), section=judged.section),
            world.chunk("copy", "d9", 0, judged.text),
            world.chunk("better", "d1", 0, world.words("better")),
            world.chunk("close", "d1", 1, world.words("close")),
            world.chunk("hard1", "d2", 0, world.words("hard1")),
            world.chunk("hard2", "d2", 1, world.words("hard2")),
            world.chunk("hard3", "d2", 2, world.words("hard3")),
            world.chunk("hard4", "d3", 0, world.words("hard4")),
            world.chunk("easy", "d4", 0, world.words("easy")),
        ]
        self.chunks = {chunk.id: chunk for chunk in made}
        order = ["better", "judged", "copy", "close", "hard1", "hard2", "hard3", "hard4", "sibling", "easy"]
        scores = {chunk: 1.0 - place / 10 for place, chunk in enumerate(order)}
        self.searcher = world.TableSearcher(
            self.chunks, {source: {"q": scores} for source in ("bm25", "minilm", "wordllama")}
        )
        self.projection = world.projection({"q": [judged]})
        self.judge = world.TableJudge(
            {
                "judgedw0": logit(0.8),
                "betterw0": logit(0.79),
                "closew0": logit(0.7),
                "easyw0": logit(0.001),
            },
            default=logit(0.3),
        )
        self.queries = [world.query("q")]

    def mine(self, home: Home, judge: Any = None, settings: MineSettings = PLAIN, **more: Any) -> Ledger:
        self.report = mine(self.searcher, self.queries, self.projection, judge, settings, home, **more)
        return read_ledger(home, self.report.ledger)


@pytest.fixture
def town(world: SimpleNamespace) -> Town:
    return Town(world)


def test_every_fate(town: Town, home: Home) -> None:
    ledger = town.mine(home, town.judge, replace(PLAIN, per_query=3))
    assert verdicts(ledger) == {
        "judged": "duplicate",
        "sibling": "duplicate",
        "copy": "duplicate",
        "better": "false_negative",  # .79 / .8 = .99 > .95
        "close": "borderline",  # .7 / .8 = .875
        "hard1": "kept",
        "hard2": "kept",
        "hard3": "unselected",  # the third of its document
        "hard4": "kept",
        "easy": "too_easy",  # .001 / .8 < .01
    }
    said = reasons(ledger)
    assert said["better"] == "cross-encoder gives it 0.988 of the judged passage's probability, above 0.95"
    assert said["hard1"] == "passed: cross-encoder gives it 0.375 of the judged passage's probability"
    assert said["hard3"] == "2 others of this document are kept"
    row = next(row for row in ledger.rows if row.chunk == "hard1")
    assert [(source.name, source.rank) for source in row.sources] == [
        ("bm25", 5), ("minilm", 5), ("wordllama", 5), ("ensemble", 5),
    ]  # fmt: skip
    assert row.ensemble_score == pytest.approx((0.6 - 0.1) / (1.0 - 0.1))
    assert row.cross_score == pytest.approx(logit(0.3))
    assert row.positive_cross_score == pytest.approx(logit(0.8))


def test_at_most_so_many_of_a_query(town: Town, home: Home) -> None:
    ledger = town.mine(home, town.judge, replace(PLAIN, per_query=2))
    assert verdicts(ledger)["hard4"] == "unselected"
    assert reasons(ledger)["hard4"] == "2 others are kept for this query"


def test_unfiltered_for_ablation(town: Town, home: Home) -> None:
    ledger = town.mine(home, town.judge, replace(PLAIN, filters=(), per_document=9))
    assert Counter(verdicts(ledger).values()) == {"duplicate": 2, "kept": 7, "unselected": 1}
    assert town.judge.asked == []
    assert verdicts(ledger)["copy"] == "kept"
    assert {verdicts(ledger)[chunk] for chunk in ("judged", "sibling")} == {"duplicate"}
    assert ledger.manifest["agreement"] is None


def test_budget(town: Town, home: Home) -> None:
    ledger = town.mine(home, town.judge, replace(PLAIN, cross_budget=3))
    # better, close and hard1 are the three best that are neither judged nor copies; the positive is scored besides.
    assert {passage.split()[1] for _, passage in town.judge.asked} == {"judgedw0", "betterw0", "closew0", "hard1w0"}
    assert verdicts(ledger)["hard2"] == "unselected"
    assert "reads only the 3" in reasons(ledger)["hard2"]


def test_agreement_is_measured_and_written_down(town: Town, home: Home) -> None:
    ledger = town.mine(home, town.judge)
    # Seven candidates were scored against the judged passage, and all lie below it.
    # One query: none of another to compare with at equal rank, none to calibrate by, and nobody decided anything.
    assert ledger.manifest["agreement"] == {
        "en": {
            "auc": 1.0,
            "queries": 1,
            "pairs": 7,
            "distrust": "",
            "at_equal_rank": None,
            "calibration": None,
            "reviewed": None,
        }
    }
    assert town.report.agreement is not None
    assert town.report.agreement["en"].auc == 1.0


def test_each_language_is_believed_by_itself(town: Town, home: Home) -> None:
    """A cross-encoder that claims Japanese and ranks it backwards filters the English queries all the same."""
    judge = town.world.TableJudge({**town.judge.logits, "規": 9.0}, town.judge.default, languages=("en", "ja"))
    town.queries.append(town.world.query("j", "締付トルクはいくつですか"))
    texts = {"right": "締 付 ト ル ク は 五", "wrong": "規 格 の 名 前", "other": "規 定 の 温 度"}
    made = {name: town.world.chunk(name, name, 0, text) for name, text in texts.items()}
    town.chunks.update(made)
    for table in town.searcher.scores.values():
        table["j"] = {"wrong": 0.9, "right": 0.8, "other": 0.7}
    town.projection = town.world.projection({"q": [town.chunks["judged"]], "j": [made["right"]]})
    ledger = town.mine(home, judge)
    agreement = ledger.manifest["agreement"]
    assert (agreement["en"]["auc"], agreement["en"]["distrust"]) == (1.0, "")
    assert (agreement["ja"]["auc"], agreement["ja"]["distrust"]) == (
        0.0,
        "its agreement with the judgements is 0.00, below 0.75",
    )
    assert verdicts(ledger)["better"] == "false_negative"
    assert verdicts(ledger, "j") == {"right": "duplicate", "wrong": "borderline", "other": "kept"}
    why = "cross-encoder not used: its agreement with the judgements is 0.00, below 0.75"
    assert reasons(ledger, "j")["wrong"] == f"2 of 2 encoders rank it above the judged passage; {why}"


def test_what_people_decided_is_compared(town: Town, home: Home) -> None:
    decided = [decision(town, "better", "false_negative"), decision(town, "easy", "kept")]
    ledger = town.mine(home, town.judge, decisions=decided)
    assert ledger.manifest["agreement"]["en"]["reviewed"] == {"relevant": 1, "irrelevant": 1, "auc": 1.0}


def test_a_cross_encoder_that_disagrees_is_not_used(town: Town, home: Home) -> None:
    against = town.world.TableJudge({"judgedw0": -9.0}, default=5.0)
    ledger = town.mine(home, against)
    why = "cross-encoder not used: its agreement with the judgements is 0.00, below 0.75"
    assert verdicts(ledger)["better"] == "borderline"
    assert reasons(ledger)["better"] == f"2 of 2 encoders rank it above the judged passage; {why}"
    assert verdicts(ledger)["copy"] == "duplicate"
    kept = [row for row in ledger.rows if row.verdict == "kept"]
    assert [row.chunk for row in kept] == ["close", "easy", "hard1", "hard2", "hard4"]
    assert {row.reason for row in kept} == {f"passed; {why}"}
    # What was measured is still told.
    assert {row.cross_score for row in kept} == {5.0}


def test_only_one_that_is_believed_is_asked_beyond_the_sample(town: Town, home: Home) -> None:
    town.queries = [town.world.query(f"q{i}") for i in range(9)]
    for table in town.searcher.scores.values():
        table.update({query.id: table["q"] for query in town.queries})
    town.projection = town.world.projection({query.id: [town.chunks["judged"]] for query in town.queries})
    against = town.world.TableJudge({"judgedw0": -9.0}, default=5.0)
    town.mine(home, against, replace(PLAIN, agreement_sample=2))
    assert len({text for text, _ in against.asked}) == 2
    ledger = town.mine(home, town.judge, replace(PLAIN, agreement_sample=2))
    assert len({text for text, _ in town.judge.asked}) == 9
    assert all(verdicts(ledger, query.id)["better"] == "false_negative" for query in town.queries)


def test_japanese_is_not_asked(town: Town, home: Home) -> None:
    town.queries = [town.world.query("q", "締付トルクはいくつですか")]
    ledger = town.mine(home, town.judge)
    assert town.judge.asked == []
    assert verdicts(ledger)["better"] == "borderline"
    assert "cannot judge the language of this query" in reasons(ledger)["hard1"]
    assert verdicts(ledger)["hard1"] == "kept"
    assert town.report.languages == {"ja": 1}
    assert ledger.queries[0].language == "ja"


def test_a_japanese_passage_is_not_asked_about(town: Town, home: Home) -> None:
    town.chunks["hard1"] = replace(town.chunks["hard1"], text="締付トルクの値を次の表に示す")
    ledger = town.mine(home, town.judge)
    assert not any("hard1w0" in passage for _, passage in town.judge.asked)
    assert reasons(ledger)["hard1"] == "passed; cross-encoder not used: it cannot judge the language of this passage"


def test_without_a_cross_encoder(town: Town, home: Home) -> None:
    ledger = town.mine(home, None)
    assert reasons(ledger)["hard1"] == "passed; cross-encoder not used: none is configured"
    assert verdicts(ledger)["better"] == "borderline"
    assert ledger.manifest["cross_encoder"] is None


def decision(town: Town, chunk: str, verdict: str, day: int = 1, **more: Any) -> Decision:
    about = town.chunks[chunk]
    made = Decision(f"2026-11-{day:02}T10:00:00.000Z", "q", about.document, about.start, about.end, verdict, "mk")
    return replace(made, **more)


def test_people_win(town: Town, home: Home) -> None:
    decided = [
        decision(town, "better", "kept"),
        decision(town, "hard1", "kept", day=1),
        decision(town, "hard1", "false_negative", day=2),
        decision(town, "sibling", "kept"),
        decision(town, "hard4", "kept", query="another query"),
        decision(town, "close", "nonsense"),
    ]
    ledger = town.mine(home, town.judge, decisions=decided)
    found = verdicts(ledger)
    assert (found["better"], found["hard1"], found["sibling"]) == ("kept", "false_negative", "kept")
    assert found["close"] == "borderline"
    row = next(row for row in ledger.rows if row.chunk == "hard1")
    assert (row.reason, row.reviewer) == ("decided by mk on 2026-11-02", "mk")
    assert [row.chunk for row in ledger.rows if row.reviewer] == ["better", "hard1", "sibling"]
    assert town.report.decided == 3
    # The machine's opinion of what a person decided is asked to be compared, and changes nothing.
    assert row.cross_score == pytest.approx(logit(0.3))


@pytest.mark.parametrize("verdict", ["kept", "borderline", "too_easy"])
def test_a_judgement_wins_over_a_decision(town: Town, home: Home, verdict: str) -> None:
    ledger = town.mine(home, town.judge, decisions=[decision(town, "judged", verdict)])
    assert verdicts(ledger)["judged"] == "duplicate"


def test_what_a_person_found_relevant_says_so_also_once_it_is_judged(town: Town, home: Home) -> None:
    decided = [decision(town, "hard1", "relevant")]
    ledger = town.mine(home, town.judge, decisions=decided)
    assert verdicts(ledger)["hard1"] == "relevant"
    confirmed = [town.chunks["judged"], town.chunks["hard1"]]
    town.projection = town.world.projection({"q": confirmed})
    ledger = town.mine(home, town.judge, decisions=decided)
    (row,) = (row for row in ledger.rows if row.chunk == "hard1")
    assert (row.verdict, row.reviewer, row.reason) == ("relevant", "mk", "decided by mk on 2026-11-01")
    assert verdicts(ledger)["judged"] == "duplicate"
    assert ledger.queries[0].positives == ("judged", "hard1")


def test_confirmed_negatives_count_towards_the_bounds(town: Town, home: Home) -> None:
    decided = [decision(town, "better", "kept"), decision(town, "hard3", "kept")]
    found = verdicts(town.mine(home, town.judge, replace(PLAIN, per_query=3, per_document=1), decisions=decided))
    assert {chunk for chunk, verdict in found.items() if verdict == "kept"} == {"better", "hard3", "hard4"}
    found = verdicts(town.mine(home, town.judge, replace(PLAIN, per_query=2, per_document=1), decisions=decided))
    assert {chunk for chunk, verdict in found.items() if verdict == "kept"} == {"better", "hard3"}


@pytest.mark.parametrize(("start", "end", "meets"), [(0, 50, True), (50, 150, True), (51, 151, False), (0, 900, True)])
def test_decisions_outlive_rechunking(town: Town, home: Home, start: int, end: int, meets: bool) -> None:
    decided = [decision(town, "hard4", "false_negative", start=start, end=end)]  # hard4 is 0 to 100
    found = verdicts(town.mine(home, town.judge, decisions=decided))
    assert found["hard4"] == ("false_negative" if meets else "kept")


def test_queries_without_a_judged_passage_are_counted(town: Town, home: Home) -> None:
    town.queries.append(town.world.query("unjudged"))
    ledger = town.mine(home, town.judge)
    assert (town.report.queries, town.report.skipped_queries) == (1, 1)
    assert [query.id for query in ledger.queries] == ["q"]
    town.queries = town.queries[1:]
    with pytest.raises(SpecmineError, match="none of the 1 queries has a judged passage") as caught:
        town.mine(home, town.judge)
    assert "\n" not in str(caught.value)


def test_a_section_judged_without_a_span(town: Town, home: Home) -> None:
    # The projection's units of sections carry no span: the chunks that answer stand for it.
    town.projection = replace(
        town.projection,
        units={"q": {"d2#section:4.2": 1}},
        hits={"q": {"hard1": ("d2#section:4.2",), "hard2": ("d2#section:4.2",)}},
    )
    town.chunks["hard3"] = replace(town.chunks["hard3"], start=town.chunks["hard2"].end - 10)
    ledger = town.mine(home, town.judge, replace(PLAIN, filters=()))
    duplicates = {chunk for chunk, verdict in verdicts(ledger).items() if verdict == "duplicate"}
    assert duplicates == {"hard1", "hard2", "hard3"}
    assert ledger.queries[0].positives == ("hard1", "hard2")  # the ensemble's order


def test_manifest_says_what_took_part(town: Town, home: Home) -> None:
    ledger = town.mine(home, town.judge, replace(PLAIN, seed=99))
    manifest = ledger.manifest
    assert manifest["release"] == "r0001"
    assert manifest["encoders"]["minilm"] == {"version": "base", "document_fingerprint": "a" * 64}
    assert manifest["cross_encoder"] == {"name": "table", "fingerprint": town.judge.fingerprint}
    assert manifest["settings"]["seed"] == 99
    assert manifest["queries"] == 1
    assert manifest["removed"]["cross_encoder"] == {"borderline": 1, "false_negative": 1, "too_easy": 1}
    assert manifest["removed"]["near_duplicates"] == {"duplicate": 1}
    assert sum(manifest["verdicts"].values()) == manifest["rows"] == len(ledger.rows)
    assert read_json(home.ledgers / ledger.id / "manifest.json") == manifest


def test_report_has_the_keys_of_the_contract(town: Town, home: Home) -> None:
    ledger = town.mine(home, town.judge)
    report = town.report.as_json()
    assert report["ledger"] == ledger.id
    assert (report["queries"], report["candidates"]) == (1, 10)
    assert sum(report["verdicts"].values()) == 10
    assert report["seconds"] >= 0


def test_progress(town: Town, home: Home) -> None:
    told: list[tuple[str, int, int]] = []
    town.mine(home, town.judge, progress=lambda stage, done, total: told.append((stage, done, total)))
    # Of ten passages the judged one, its sibling and its copy are no candidates; the judged one is scored too.
    pairs = 10 - 3 + 1
    sample = "cross-encoder on a sample"
    assert told == [("searching", 0, 1), ("searching", 1, 1), (sample, 0, pairs), (sample, pairs, pairs)]


def test_the_second_run_asks_nothing_again(town: Town, home: Home) -> None:
    first = town.mine(home, town.judge)
    town.judge.asked.clear()
    second = town.mine(home, town.judge)
    assert town.judge.asked == []
    assert first.rows == second.rows


def test_a_manifest_makes_the_ledger_again_byte_for_byte(town: Town, home: Home, tmp_path: Path) -> None:
    unlike_defaults = MineSettings(per_query=3, random_share=0.4, seed=7, difficulty="sampled", rank_range=(1, 9))
    first = town.mine(home, town.judge, unlike_defaults)
    kept = json.loads((home.ledgers / first.id / "manifest.json").read_text(encoding="utf-8"))
    assert settings_of(kept) == unlike_defaults
    again = town.mine(Home(tmp_path / "another home"), town.judge, settings_of(kept))
    assert again.manifest["sha256"] == first.manifest["sha256"]
    named_by_time = {"id", "created"}
    assert {k: v for k, v in again.manifest.items() if k not in named_by_time | {"seconds"}} == {
        k: v for k, v in first.manifest.items() if k not in named_by_time | {"seconds"}
    }
    other = town.mine(home, town.judge, replace(unlike_defaults, seed=8))
    assert other.manifest["sha256"] != first.manifest["sha256"]


def test_settings_of_a_later_version_are_refused() -> None:
    with pytest.raises(ValueError, match="settings that this specmine does not know: cleverness"):
        settings_of({"settings": {"seed": 1, "cleverness": 3}})


def test_examples(town: Town, home: Home) -> None:
    ledger = town.mine(home, town.judge)
    (shown,) = examples(ledger, town.searcher, 3)
    assert shown["query"] == "what does q say"
    assert shown["positive"]["text"] == town.chunks["judged"].text
    assert shown["positive"]["section"] == "3 Clause"
    assert shown["negative"]["document"] == "d2"  # hard1 is the kept one that the ensemble scores highest
    assert shown["negative"]["text"] == town.chunks["hard1"].text
    assert shown["negative"]["score"] == pytest.approx(5 / 9)
    assert shown["negative"]["sources"]["bm25"]["rank"] == 5
    assert examples(ledger, town.searcher, 0) == []
    assert examples(ledger, town.world.TableSearcher({}, {}), 3) == []


CHUNKS = [f"c{i:02}" for i in range(24)]
scores = st.dictionaries(st.sampled_from(CHUNKS), st.integers(0, 9).map(float), max_size=len(CHUNKS))


@st.composite
def towns(draw: st.DrawFn) -> dict[str, Any]:
    queries = [f"q{i}" for i in range(draw(st.integers(1, 4)))]
    return {
        "scores": {s: {q: draw(scores) for q in queries} for s in ("bm25", "minilm", "wordllama")},
        "positives": {q: draw(st.lists(st.sampled_from(CHUNKS), min_size=1, max_size=3, unique=True)) for q in queries},
        "logits": draw(st.dictionaries(st.sampled_from([f"{c}w0" for c in CHUNKS]), st.integers(-12, 5).map(float))),
        "decided": draw(
            st.lists(
                st.tuples(
                    st.sampled_from(queries),
                    st.sampled_from(CHUNKS),
                    st.sampled_from(["kept", "relevant", "false_negative", "too_easy", "borderline"]),
                ),
                max_size=4,
            )
        ),
        "settings": MineSettings(
            depth=draw(st.integers(1, 10)),
            filters=tuple(draw(st.permutations(list(FILTERS))))[: draw(st.integers(0, 3))],
            cross_budget=draw(st.integers(1, 8)),
            minimum_agreement=draw(st.sampled_from([0.0, 0.6])),
            agreement_sample=draw(st.integers(1, 3)),
            per_query=draw(st.integers(1, 5)),
            per_document=draw(st.integers(1, 3)),
            difficulty=draw(st.sampled_from(list(DIFFICULTIES))),
            rank_range=(draw(st.integers(1, 3)), draw(st.integers(3, 9))),
            diversity=draw(st.sampled_from(list(DIVERSITIES))),
            random_share=draw(st.sampled_from([0.0, 0.2, 0.5])),
            seed=draw(st.integers(0, 5)),
        ),
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(towns())
def test_invariants(world: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory, drawn: dict[str, Any]) -> None:
    chunks = {c: world.chunk(c, f"d{i // 6}", i % 6, world.words(c)) for i, c in enumerate(CHUNKS)}
    searcher = world.TableSearcher(chunks, drawn["scores"])
    positives = {q: [chunks[c] for c in judged] for q, judged in drawn["positives"].items()}
    decisions = [
        Decision("2026-11-22T10:00:00.000Z", q, chunks[c].document, chunks[c].start, chunks[c].end, verdict, "mk")
        for q, c, verdict in drawn["decided"]
    ]
    home = Home(Path(tmp_path_factory.mktemp("home")))
    setting: MineSettings = drawn["settings"]

    def run(reverse: bool) -> tuple[Any, Ledger]:
        queries = [world.query(q) for q in positives][:: -1 if reverse else 1]
        judge = world.TableJudge(drawn["logits"])
        report = mine(searcher, queries, world.projection(positives), judge, setting, home, decisions)
        return report, read_ledger(home, report.ledger)

    report, ledger = run(reverse=False)
    negatives = [row for row in ledger.rows if row.verdict in ("kept", "random")]
    # No judged passage is ever a negative, whatever filters, scores and people say.
    assert not [row for row in negatives if row.chunk in drawn["positives"][row.query]]
    # What a person called relevant is none either.
    last_words = {(q, c): verdict for q, c, verdict in drawn["decided"]}
    assert not [row for row in negatives if last_words.get((row.query, row.chunk), "kept") != "kept"]
    # Every candidate stands in the ledger once, and the counts add up.
    assert len({(row.query, row.chunk) for row in ledger.rows}) == len(ledger.rows) == report.candidates
    assert sum(report.verdicts.values()) == report.candidates
    assert all(row.reason for row in ledger.rows)
    # The bounds hold for what the machine keeps.
    machine = [row for row in negatives if row.verdict == "kept" and row.reviewer is None]
    assert all(n <= setting.per_query for n in Counter(row.query for row in machine).values())
    assert all(n <= setting.per_document for n in Counter((row.query, row.document) for row in machine).values())
    # The random share is exact, or every chunk that was free to draw was taken and the report says how many lack.
    hard = sum(row.verdict == "kept" for row in negatives)
    wanted = round(hard * setting.random_share / (1 - setting.random_share))
    assert len(negatives) - hard == wanted - report.random_missing
    if report.random_missing == 0 and hard:
        assert abs((len(negatives) - hard) - setting.random_share * len(negatives)) <= 0.5
    # The same seed gives the same ledger, in whatever order the queries come.
    assert run(reverse=True)[1].rows == ledger.rows


def test_random_share_over_many_queries(world: SimpleNamespace, home: Home) -> None:
    names = [f"c{i:03}" for i in range(400)]
    chunks = {c: world.chunk(c, f"d{i}", 0, world.words(c)) for i, c in enumerate(names)}
    queries = [f"q{i:02}" for i in range(30)]
    # Query i finds i of the chunks behind its positive: hard negatives are spread unevenly.
    table = {q: {c: 1.0 / (place + 1) for place, c in enumerate(names[: i + 1])} for i, q in enumerate(queries)}
    searcher = world.TableSearcher(chunks, {"bm25": table})
    report = mine(
        searcher,
        [world.query(q) for q in queries],
        world.projection({q: [chunks["c000"]] for q in queries}),
        None,
        MineSettings(per_query=6, random_share=0.25),
        home,
    )
    hard = sum(min(i, 6) for i in range(30))
    assert report.verdicts["kept"] == hard
    assert report.verdicts["random"] == round(hard / 3)
    assert report.random_missing == 0
