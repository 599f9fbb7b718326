"""The re-ranker's whole story on a real index: trained, published, searched with, rolled back; harmful, killed, blind.

Of every topic there are three documents that hold its two words, and nothing in the search tells them apart; the one
with the word of an answer answers. A cross-encoder can learn that, and queries in Japanese ask for the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from cli.main import main
from cli.show.rerankers import listed as listing
from cli.show.rerankers import retrained
from evaluation.catalogue import Catalogue
from evaluation.judgements import Judgement, Query
from evaluation.measures import measure
from evaluation.verdict import PromotionRule
from flows import artifacts
from indexing.home import Home, SpecmineError, read_json
from indexing.ingest import ingest
from indexing.releases import Reranker, list_releases, publish, rollback, served
from indexing.search import FUSION, RERANKED, Searcher
from indexing.settings import IndexSettings, SearchSettings
from indexing.specs import CrossEncoderSpec, DirectorySource, EncoderSpec
from mining.ledger import KEPT, RANDOM, Ledger, LedgerRow, write_ledger
from tests.conftest import write_encoder
from tests.training.conftest import DOCUMENT_WORDS, write_static_encoder
from training.reranker_settings import RerankerSettings
from training.reranker_versions import as_judged, export, list_rerankers, read_outcome, read_reranker
from training.retrain_reranker import RerankerReport, retrain_reranker
from training.splits import split_queries

ANSWER, OTHERS, WORDS = DOCUMENT_WORDS[0], DOCUMENT_WORDS[1:3], DOCUMENT_WORDS[3:]
TOPICS = 110
TRAIN, DEV = range(70), range(70, 110)
SETTINGS = RerankerSettings(
    group_size=3, held_out=16, batch_size=4, learning_rate=1e-2, epochs=3, checkpoint_steps=4, precision="float32"
)
RULE = PromotionRule()


@dataclass
class Topics:
    home: Home
    settings: IndexSettings
    catalogue: Catalogue
    ledger: Ledger

    def searcher(self) -> Searcher:
        return Searcher.open(self.home, self.settings)

    def retrain(self, **changes: Any) -> RerankerReport:
        given = {"ledger": self.ledger, "settings": SETTINGS, "progress": None, **changes}
        return retrain_reranker(self.searcher(), self.catalogue, rule=RULE, **given)


def topic(number: int) -> tuple[str, str]:
    pairs = [(one, other) for place, one in enumerate(WORDS) for other in WORDS[place + 1 :]]
    return pairs[np.random.default_rng(7).permutation(len(pairs))[number]]


@dataclass(frozen=True)
class Template:
    """An index that tests copy, and what it was made of."""

    home: Home
    settings: IndexSettings
    ledger: Ledger

    def copy(self, home: Home, root: Path) -> Topics:
        shutil.copytree(home.root, root)
        return Topics(Home(root), self.settings, Catalogue(Home(root).catalogue_url), self.ledger)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(*index_topics(tmp_path_factory.mktemp("reranker")))


@pytest.fixture(scope="session")
def retrained_once(template: Template) -> tuple[Home, RerankerReport]:
    """A copy that was retrained, once for all tests, and the report."""
    copied = template.copy(template.home, template.home.root.parent / "retrained")
    report = copied.retrain()
    copied.catalogue.close()
    return copied.home, report


@pytest.fixture
def topics(tmp_path: Path, template: Template) -> Iterator[Topics]:
    """A copy before any training."""
    copied = template.copy(template.home, tmp_path / "home")
    yield copied
    copied.catalogue.close()


@pytest.fixture
def trained(
    tmp_path: Path, template: Template, retrained_once: tuple[Home, RerankerReport]
) -> Iterator[tuple[Topics, RerankerReport]]:
    """A copy after a training that was published, and its report."""
    home, report = retrained_once
    copied = template.copy(home, tmp_path / "home")
    yield copied, report
    copied.catalogue.close()


def index_topics(root: Path) -> tuple[Home, IndexSettings, Ledger]:
    """Write and ingest the documents, judge the queries, and return a ledger of what does not answer."""
    cross = write_encoder(root / "cross", labels=1)
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *DOCUMENT_WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(cross / "tokenizer.json"))
    encoder = EncoderSpec("one", DirectorySource(str(write_static_encoder(root / "one"))), max_tokens=64)
    settings = IndexSettings(
        encoders=(encoder,),
        cross_encoder=CrossEncoderSpec("tiny", DirectorySource(str(cross)), max_tokens=32),
        search=SearchSettings(rerank_depth=10),
    )
    home = Home(root / "home")
    folder = root / "documents"
    folder.mkdir()
    for number in range(TOPICS):
        for copy, mark in enumerate(np.random.default_rng(number).permutation([ANSWER, *OTHERS])):
            text = f"{' '.join(topic(number))} {mark}"
            (folder / f"t{number:03}-{copy}.txt").write_text(f"{text}\n", encoding="utf-8")
    ingest([folder], home, settings)
    searcher = Searcher.open(home, settings)
    right = {c.document[:4]: c for c in searcher.chunks.values() if ANSWER in c.text}
    wrong = [chunk for chunk in searcher.chunks.values() if ANSWER not in chunk.text]
    catalogue = Catalogue(home.catalogue_url)
    for split, numbers in (("train", TRAIN), ("dev", DEV)):
        queries = [Query(f"t{number:03}", " ".join(topic(number)), split) for number in numbers]
        judgements = [Judgement(f"t{number:03}", right[f"t{number:03}"].document) for number in numbers]
        if split == "dev":
            queries += [Query(f"ja{n:03}", f"締付トルクの値は {' '.join(topic(n))}", split) for n in numbers[:5]]
            judgements += [Judgement(f"ja{n:03}", right[f"t{n:03}"].document) for n in numbers[:5]]
        catalogue.import_split(split, queries, judgements)
    rows = []
    for number in TRAIN:
        query = f"t{number:03}"
        hard = [chunk for chunk in wrong if chunk.document.startswith(query)]
        for chunk, verdict in [*((chunk, KEPT) for chunk in hard), (wrong[(7 * number) % len(wrong)], RANDOM)]:
            rows.append(
                LedgerRow(query, chunk.id, chunk.document, chunk.start, chunk.end, (), None, None, None, verdict, "it")
            )
    catalogue.close()
    return home, settings, Ledger("ledger-1", tuple(rows), (), {})


def test_a_better_reranker_is_published_searched_with_and_rolled_back(
    template: Template, trained: tuple[Topics, RerankerReport]
) -> None:
    topics, report = trained
    before = Searcher.open(template.home, template.settings)
    filtering = before.cross_encoder
    assert filtering is not None
    told = report.as_json()
    json.dumps(told)
    assert report.trained
    assert told["verdicts"]["en"]["promoted"]
    assert told["verdicts"]["ja"] is None  # five queries, and the cross-encoder does not read it
    assert told["queries"]["train"] + told["queries"]["held_out"] == len(TRAIN)
    assert told["queries"]["held_out"] == 16
    assert told["held_out"]["reranked"] > told["held_out"]["fused"] + 0.2
    release = served(topics.home)
    assert release.id == report.published
    assert release.reranker is not None
    assert (release.reranker.version, release.reranker.languages) == (report.version.id, ("en",))
    assert release.encoders == before.release.encoders

    searcher = topics.searcher()
    found = searcher.search(" ".join(topic(100)))
    assert ANSWER in found.results[0].chunk.text
    runs = searcher.runs({"en": " ".join(topic(100)), "ja": f"締付トルクの値は {' '.join(topic(100))}"})
    assert runs[RERANKED]["ja"] == runs[FUSION]["ja"]
    assert runs[RERANKED]["en"] != runs[FUSION]["en"]
    # What is measured is what is served.
    best = sorted(runs[RERANKED]["en"], key=lambda chunk: (-runs[RERANKED]["en"][chunk], chunk))[:10]
    assert [result.chunk.id for result in found.results] == best

    # Mining's judge is the pretrained one, now as before.
    again = searcher.cross_encoder
    assert again is not None
    assert searcher.reranker is not None
    assert again.fingerprint == filtering.fingerprint != searcher.reranker.fingerprint
    assert again.trained_on is None
    assert searcher.reranker.trained_on == "ledger-1"

    assert rollback(topics.home).reranker is None
    assert topics.searcher().reranker is None


def test_the_same_training_is_not_repeated(trained: tuple[Topics, RerankerReport]) -> None:
    topics, first = trained
    second = topics.retrain()
    assert not second.trained
    assert second.version.id == first.version.id
    assert second.published is None
    assert len(list_rerankers(topics.home)) == 1
    assert len(list_releases(topics.home)) == 2


def test_what_is_served_is_judged_as_it_is_served(trained: tuple[Topics, RerankerReport]) -> None:
    topics, first = trained
    stages: list[str] = []
    worse = replace(SETTINGS, learning_rate=1e-6, epochs=1)
    second = topics.retrain(settings=worse, progress=lambda stage, done, total: stages.append(stage))
    assert "verdict as it is served, pairs" in stages
    (earlier, later) = (report.verdicts["en"] for report in (first, second))
    assert earlier is not None
    assert later is not None
    assert later.before == pytest.approx(earlier.after)
    searcher = topics.searcher()
    verdict = split_queries(searcher, topics.catalogue, False).verdict
    english = verdict.only({query for query in verdict.texts if query.startswith("t")})
    shown = measure(searcher.runs(english.texts)[RERANKED], english.projection).mean[RULE.measure]
    assert later.before == pytest.approx(shown)


def test_a_killed_retraining_goes_on(topics: Topics) -> None:
    def kill(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        if stage.startswith(wanted) and 0 < done < total:
            raise KeyboardInterrupt

    for wanted in ("training tiny", "scoring the held-out", "verdict, pairs"):
        stages: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            topics.retrain(progress=kill)
        assert stages[-1].startswith(wanted)
        assert len(list_releases(topics.home)) == 1
    version = list_rerankers(topics.home)[0]
    assert read_outcome(topics.home, version.id) is None
    with pytest.raises(SpecmineError, match="was not judged yet"):
        as_judged(topics.home, version)
    report = topics.retrain()
    assert report.published
    assert report.version.id == version.id
    assert not list(topics.home.rerankers.glob("unfinished-*"))


def test_a_harmful_training_is_registered_and_not_published(topics: Topics) -> None:
    """What the ledger calls a negative is what answers: it learns to put answers last."""
    wrong = {row.query: row for row in topics.ledger.rows if row.verdict == KEPT}
    judgements = [Judgement(query, row.document) for query, row in wrong.items()]
    topics.catalogue.import_split("train", topics.catalogue.queries("train"), judgements)
    report = topics.retrain()
    assert report.published is None
    assert report.verdicts["en"] is not None
    assert not report.verdicts["en"].promoted
    assert served(topics.home).reranker is None
    assert [version.id for version in list_rerankers(topics.home)] == [report.version.id]
    assert "not promoted" in report.reason
    # Whoever promotes it nevertheless gets it in the language it was judged in, and in no other.
    assert as_judged(topics.home, report.version).languages == ("en",)


def test_a_trained_reranker_can_be_no_judge_of_ledgers(trained: tuple[Topics, RerankerReport], tmp_path: Path) -> None:
    topics, report = trained
    written = export(topics.home, report.version.id, tmp_path / "exported")
    assert read_json(tmp_path / "exported" / "specmine.json")["lineage"]["ledger"] == "ledger-1"
    with pytest.raises(SpecmineError, match="exported exists"):
        export(topics.home, report.version.id, tmp_path / "exported")
    spec = CrossEncoderSpec("mine", DirectorySource(written["directory"]), max_tokens=32)
    topics.settings = replace(topics.settings, cross_encoder=spec)
    with pytest.raises(SpecmineError, match="mine was trained on ledger ledger-1, so that it cannot judge"):
        _ = topics.searcher().cross_encoder
    with pytest.raises(SpecmineError, match="was trained by specmine: configure the pretrained one"):
        topics.retrain()


def test_damaged_and_unknown_versions_are_told_in_one_line(trained: tuple[Topics, RerankerReport]) -> None:
    topics, report = trained
    with pytest.raises(SpecmineError, match=f"no re-ranker version '../x'; the latest are: {report.version.id}"):
        read_reranker(topics.home, "../x")
    weights = topics.home.rerankers / report.version.id / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(SpecmineError, match="missing or damaged"):
        read_reranker(topics.home, report.version.id)


def test_without_a_cross_encoder_or_queries_it_says_so(topics: Topics) -> None:
    with pytest.raises(SpecmineError, match="has 2 layers, fewer than the 9"):
        topics.retrain(settings=replace(SETTINGS, layers=9))
    bare = Ledger("bare", (), (), {})
    with pytest.raises(SpecmineError, match="0 training queries have a judged passage, a mined negative"):
        topics.retrain(ledger=bare, settings=replace(SETTINGS, groups="ledger"))
    assert topics.retrain(ledger=bare).trained  # nothing was mined, and the lists have others
    topics.settings = replace(topics.settings, search=SearchSettings(rerank_depth=1))
    with pytest.raises(SpecmineError, match=r"too few of 70 .* among the first 1 of their lists"):
        topics.retrain()
    topics.settings = replace(topics.settings, cross_encoder=None)
    with pytest.raises(SpecmineError, match="no cross-encoder is configured to train from"):
        topics.retrain()


def test_the_commands_train_list_serve_and_export(
    topics: Topics, template: Template, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def specmine(*arguments: str) -> dict[str, Any]:
        with pytest.raises(SystemExit) as left:
            main([*arguments, "--config", str(config), "--json"])
        assert not left.value.code, arguments
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    config = tmp_path / "specmine.toml"
    table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in asdict(SETTINGS).items())
    config.write_text(
        f"""home = "{topics.home.root}"
        [[encoders]]
        name = "one"
        source = {{ directory = "{template.home.root.parent / "one"}" }}
        max_tokens = 64
        [cross_encoder]
        name = "tiny"
        source = {{ directory = "{template.home.root.parent / "cross"}" }}
        max_tokens = 32
        [search]
        rerank_depth = 10
        [reranker]
        {table}
        """,
        encoding="utf-8",
    )
    ledger = write_ledger(topics.home, topics.ledger.rows, {})
    assert specmine("reranker")["versions"] == []
    report = specmine("retrain", "--reranker", "--no-prefect")
    assert report["release"] == "r0002"
    (listed,) = specmine("reranker")["versions"]
    assert listed["lineage"]["ledger"] == ledger
    assert listed["outcome"]["verdicts"]["en"]["promoted"]
    assert specmine("rollback")["release"] == "r0001"
    assert specmine("reranker")["served"] is None
    assert specmine("promote", report["version"])["release"] == "r0003"
    served_now = specmine("reranker")["served"]
    assert served_now["languages"] == ["en"]
    assert report["use"] == served_now | {"milliseconds": report["use"]["milliseconds"]}
    exported = specmine("reranker", "export", report["version"], str(tmp_path / "exported"))
    assert (Path(exported["directory"]) / "model.safetensors").is_file()
    # For people, too.
    told = Console(width=300, record=True, file=StringIO())
    retrained(told, report)
    listing(told, specmine("reranker"))
    text = told.export_text()
    assert report["version"] in text
    assert "proven" in text
    assert "learned from 54 training queries, 16 held out" in text
    markdown = artifacts.reranker_markdown(report)
    assert "| en |" in markdown
    assert "| ja |  |  |  | not judged |" in markdown
    assert f"| {report['use']['depth']} ← |" in markdown


def test_a_release_whose_reranker_is_the_pretrained_one_uses_it(topics: Topics) -> None:
    publish(topics.home, replace(served(topics.home), reranker=Reranker("tiny")))
    searcher = topics.searcher()
    assert searcher.reranker is searcher.cross_encoder is not None
    assert RERANKED in searcher.runs({"q": " ".join(topic(1))})
