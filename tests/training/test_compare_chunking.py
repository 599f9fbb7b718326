"""Chunkings compared on the real engine with a real (static, fast) encoder; the served release must not notice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from cli.compare import compare_chunking as compare_command
from cli.queries import import_judgements
from cli.session import Session
from evaluation.judgements import Judgement, Query
from indexing.home import Home, SpecmineError
from indexing.ingest import ingest
from indexing.models.fetching import fetch
from indexing.releases import served
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import WORDLLAMA
from training.compare_chunking import Chunking, compare_chunking, parse_chunkings

SETTINGS = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)
PARTS = ("flange", "gasket", "spindle", "bearing", "coupling", "impeller", "bellows", "strainer")


def nobody(stage: str, done: int, total: int) -> None:
    pass


def test_chunkings_are_written_as_splitter_and_size() -> None:
    assert parse_chunkings("section:256, fixed:64") == [Chunking("section", 256), Chunking("fixed", 64)]
    for wrong in ("section", "section:", ":256", "section:x,fixed:1", ""):
        with pytest.raises(SpecmineError, match="section:256,fixed:256"):
            parse_chunkings(wrong)
    for alone in ("section:256", "section:256,section:256"):
        with pytest.raises(SpecmineError, match="two splitters"):
            parse_chunkings(alone)


@pytest.fixture
def judged(home: Home, models_home: Home, tmp_path: Path) -> tuple[Home, list[Query], list[Judgement]]:
    """Eight parts' specifications, the last two long, served; a query on each, and one whose document is not there."""
    fetch(WORDLLAMA.source, models_home)
    home.root.mkdir(parents=True, exist_ok=True)
    (home.root / "models").symlink_to(models_home.models.resolve())
    folder = tmp_path / "parts"
    folder.mkdir()
    queries, judgements = [], []
    for number, part in enumerate(PARTS):
        clauses = [
            f"## {i} Test {i} of the {part}\n\nThe {part} shall withstand {100 * number + i} newtons for {i} minutes. "
            f"It is then measured and its deviation recorded in protocol {number}-{i}.\n"
            for i in range(1, 20 if number < 6 else 60)
        ]
        text = f"# Specification of the {part}\n\n" + "\n".join(clauses)
        (folder / f"{part}.md").write_text(text, encoding="utf-8")
        wanted = f"The {part} shall withstand {100 * number + 7} newtons"
        start = text.index(wanted)
        queries.append(Query(f"q{number}", f"how many newtons in test 7 of the {part}", "dev"))
        judgements.append(Judgement(f"q{number}", f"{part}.md", 1, start, start + len(wanted)))
    judgements.append(Judgement("q0", "absent.md", 1, 0, 10))
    ingest([folder], home, SETTINGS)
    return home, queries, judgements


def everything(home: Home) -> dict[str, str]:
    """The hash of every file of the home but what a comparison leaves."""
    folders = (home.releases, home.generations, home.documents, home.vectors)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def found(home: Home) -> str:
    results = Searcher.open(home, SETTINGS).search("newtons that a gasket withstands").as_json()["results"]
    return json.dumps(results)


@pytest.mark.models
def test_every_run_is_measured_and_the_served_release_is_left_alone(
    judged: tuple[Home, list[Query], list[Judgement]],
) -> None:
    home, queries, judgements = judged
    before = found(home), everything(home)  # in this order: the engine touches its files when it opens them
    chunkings = parse_chunkings("section:240,section:40,fixed:240")
    result = compare_chunking(home, SETTINGS, chunkings, [], queries, judgements, False, nobody)
    assert everything(home) == before[1]
    assert found(home) == before[0]
    assert not (home.comparisons / "scratch").exists()

    release = served(home)
    assert result["release"] == release.id
    assert (result["queries"], result["queries_long"], result["queries_short"]) == (8, 2 + 2, 4)
    whole, small, fixed = result["splitters"]
    searcher = Searcher.open(home, SETTINGS)
    assert (whole["chunks"], whole["embedded"]) == (len(searcher.chunk_ids), 0)  # the served vectors serve again
    assert small["passage_tokens"] == 40 and small["chunks"] > whole["chunks"] and small["embedded"] > 0
    assert fixed["passage_tokens"] == 240 and fixed["chunks"] < whole["chunks"]
    assert [entry["unmapped_judgements"] for entry in result["splitters"]] == [1, 1, 1]
    assert whole["unmapped_reasons"] == {"document not indexed": 1}

    names = ["wordllama", "bm25", "fusion"]
    assert [row["run"] for row in result["runs"]] == [name for name in names for _ in range(3)]
    for row in result["runs"]:
        assert 0 <= row["nDCG@10"] <= 1 and 0 <= row["coverage@10"] <= 1
        apart = row["nDCG@10 long"] * 4 + row["nDCG@10 short"] * 4
        assert row["nDCG@10"] * 8 == pytest.approx(apart)
    assert len(result["tests"]) == 3 * 2
    for test in result["tests"]:
        rows = {row["splitter"]: row["nDCG@10"] for row in result["runs"] if row["run"] == test["run"]}
        assert test["difference"] == pytest.approx(rows[test["splitter"]] - rows["section:240"])
        assert test["p_value"] <= test["p_holm"] <= 1


@pytest.mark.models
def test_a_kept_or_interrupted_comparison_is_continued(judged: tuple[Home, list[Query], list[Judgement]]) -> None:
    home, queries, judgements = judged
    chunkings = parse_chunkings("section:40,fixed:60")

    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("fixed:60: searching"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_chunking(home, SETTINGS, chunkings, [], queries, judgements, False, stop)
    again = compare_chunking(home, SETTINGS, chunkings, ["wordllama"], queries, judgements, True, nobody)
    assert [entry["embedded"] for entry in again["splitters"]] == [0, 0]
    assert (home.comparisons / "scratch").exists()
    with pytest.raises(SpecmineError, match="no encoder 'minilm'; configured are: wordllama"):
        compare_chunking(home, SETTINGS, chunkings, ["minilm"], queries, judgements, False, nobody)
    with pytest.raises(SpecmineError, match="windows:256: unknown splitter"):
        unknown = [Chunking("windows", 256), *chunkings]
        compare_chunking(home, SETTINGS, unknown, [], queries, judgements, False, nobody)


@pytest.mark.models
def test_the_command_saves_what_it_shows(
    judged: tuple[Home, list[Query], list[Judgement]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, queries, judgements = judged
    lines = [{"id": query.id, "text": query.text} for query in queries]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, lines)))
    places = [
        {"query": j.query, "document": j.document, "start": j.start, "end": j.end, "grade": 1} for j in judgements
    ]
    (tmp_path / "judgements.jsonl").write_text("\n".join(map(json.dumps, places)))
    config = tmp_path / "specmine.toml"
    encoder = f"[[encoders]]\nname = 'wordllama'\nsource = {WHEEL}\n"
    config.write_text(f"home = {str(home.root)!r}\ncross_encoder = false\n{encoder}")
    session = Session(config, json=True)
    import_judgements(
        queries=tmp_path / "queries.jsonl", judgements=tmp_path / "judgements.jsonl", split="dev", session=session
    )
    capsys.readouterr()
    compare_command(splitters="section:240,fixed:60", session=session)
    result = json.loads(capsys.readouterr().out)
    report = Path(result["report"])
    assert json.loads(report.with_suffix(".json").read_text()) == result
    text = report.read_text()
    for row in result["runs"]:
        assert f"| {row['run']} | {row['splitter']} | {row['nDCG@10']:.4f} |" in text
    assert "1 (1 × document not indexed)" in text
    compare_command(splitters="section:240,fixed:60", session=Session(config))
    assert "section:240" in capsys.readouterr().out


WHEEL = json.dumps(
    {key: getattr(WORDLLAMA.source, key) for key in ("wheel", "version", "sha256", "path", "format", "python_version")}
).replace('":', '" =')
