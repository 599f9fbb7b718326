from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flows.schedules import Schedules
from flows.settings import Settings, load_settings
from indexing.home import SpecmineError
from indexing.specs import MS_MARCO_L12, PROFILES


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings of whoever runs the tests must not matter."""
    for name in os.environ:
        if name.startswith("SPECMINE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(text: str, folder: Path | None = None) -> Settings:
    file = (folder or Path.cwd()) / "specmine.toml"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_settings(file)


def refusal(text: str) -> str:
    with pytest.raises(SpecmineError) as caught:
        load(text)
    message = str(caught.value)
    assert "\n" not in message
    assert "specmine.toml" in message
    return message


def test_defaults_without_a_file() -> None:
    settings = load_settings()
    assert settings.file is None
    assert settings.index().encoders == PROFILES["default"]
    assert settings.index().cross_encoder == MS_MARCO_L12
    assert settings.open_home().root == Path.cwd() / "var"
    assert settings.catalogue_url() == f"sqlite:///{Path.cwd()}/var/catalogue.sqlite"
    assert settings.schedules.by_flow() == {}


def test_the_file_in_the_working_directory_is_read() -> None:
    Path("specmine.toml").write_text('profile = "fast"\n', encoding="utf-8")
    assert load_settings().index().encoders == PROFILES["fast"]


def test_every_table_is_read() -> None:
    settings = load(
        """
        cross_encoder = false
        [[encoders]]
        name = "mine"
        source = { directory = "models/mine" }
        query_prompt = "query: "
        max_tokens = 128
        [[encoders]]
        name = "bge"
        source = { hub = "BAAI/bge-small-en-v1.5", revision = "abc" }
        [chunking]
        max_tokens = 100
        [limits]
        seconds = 10
        [qdrant]
        url = "http://qdrant:6333"
        api_key = "secret"
        [catalogue]
        url = "postgresql://somewhere/specmine"
        [mine]
        depth = 50
        [promotion]
        measure = "RR@10"
        [search]
        depth = 100
        """
    )
    index = settings.index()
    assert [spec.name for spec in index.encoders] == ["mine", "bge"]
    assert index.encoders[0].source.directory == str(Path.cwd() / "models" / "mine")  # type: ignore[union-attr]
    assert index.encoders[1].source.revision == "abc"  # type: ignore[union-attr]
    assert index.cross_encoder is None
    assert (index.chunking.max_tokens, index.limits.seconds, index.search.depth) == (100, 10.0, 100)
    assert (index.qdrant.url, index.qdrant.api_key) == ("http://qdrant:6333", "secret")
    assert settings.catalogue_url() == "postgresql://somewhere/specmine"
    assert (settings.mine.depth, settings.promotion.measure) == (50, "RR@10")


def test_paths_count_from_the_folder_of_the_file(tmp_path: Path) -> None:
    elsewhere = tmp_path / "etc"
    elsewhere.mkdir()
    settings = load('home = "state"\n[sources]\npaths = ["specs", "/srv/specs"]\n', elsewhere)
    assert settings.open_home().root == elsewhere / "state"
    assert settings.sources.paths == (elsewhere / "specs", Path("/srv/specs"))


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECMINE_HOME", "/srv/specmine")
    monkeypatch.setenv("SPECMINE_QDRANT__API_KEY", "from the environment")
    monkeypatch.setenv("SPECMINE_CHUNKING__MAX_TOKENS", "64")
    settings = load('home = "other"\n[qdrant]\nurl = "http://q"\napi_key = "x"\n[chunking]\noverlap = 4\n')
    assert settings.open_home().root == Path("/srv/specmine")
    assert settings.index().qdrant.api_key == "from the environment"
    assert settings.index().qdrant.url == "http://q"
    assert (settings.chunking.max_tokens, settings.chunking.overlap) == (64, 4)


def test_doclings_folder_and_python_count_from_the_file(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    text = '[reading]\npdf = "docling"\ndocling_artifacts = "models"\ndocling_python = "venv/bin/python"\n'
    reading = load(text, elsewhere).index().reading
    assert reading.pdf == "docling"
    assert reading.artifacts == elsewhere / "models"
    assert reading.docling_python == str(elsewhere / "venv/bin/python")
    assert load('[reading]\ndocling_python = ""\n', elsewhere).reading.docling_python == ""
    with pytest.raises(SpecmineError, match=r"reading.pdf: input should be 'specmine' or 'docling'"):
        load('[reading]\npdf = "acrobat"\n', elsewhere)


def test_the_api_key_is_never_printed() -> None:
    settings = load('[qdrant]\nurl = "http://q"\napi_key = "hunter2"\n')
    assert "hunter2" not in repr(settings) + str(settings) + repr(settings.index()) + str(settings.model_dump())


def test_an_error_beside_a_secret_does_not_repeat_it() -> None:
    assert "hunter2" not in refusal('[qdrant]\nurl = 3\napi_key = ["hunter2"]\n')


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hom = 'x'", ["'hom'", "did you mean 'home'", "chunking"]),
        ("[chunkin]\nmax_tokens = 3", ["'chunkin'", "did you mean 'chunking'"]),
        (
            "[chunking]\nmax_token = 3",
            ["'chunking.max_token'", "did you mean 'max_tokens'", "splitter, max_tokens, overlap"],
        ),
        ("[mine]\nrhoo = 1", ["'mine.rhoo'", "did you mean 'rho'"]),
        ("[qdrant]\nkey = 'x'", ["'qdrant.key'", "api_key"]),
        ("[schedules]\nevaluat = '0 0 * * *'", ["'schedules.evaluat'", "did you mean 'evaluate'"]),
        ("[schedules]\nmine = {crom = '0 0 * * *'}", ["'schedules.mine.crom'", "did you mean 'cron'"]),
        ("[[encoders]]\nname='x'\nsource={directory='d'}\nprompt=''", ["'encoders[0].prompt'", "query_prompt"]),
        ("[[encoders]]\nname='x'\nsource={directory='d', sha='1'}", ["'encoders[0].source.sha'", "allowed: directory"]),
        ("[[encoders]]\nname='x'\nsource={hub='d', revison='1'}", ["'encoders[0].source.revison'", "'revision'"]),
        ("[train]\nlos = 'x'", ["'train.los'", "did you mean 'loss'"]),
        ("[composition]\nmethod = 1", ["'composition.method'", "did you mean 'methods'"]),
    ],
)
def test_unknown_keys_name_file_key_and_what_is_allowed(text: str, parts: list[str]) -> None:
    message = refusal(text)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("profile = 'slow'", ["profile: ", "'default' or 'fast'"]),
        ("[chunking]\nmax_tokens = 'many'", ["chunking.max_tokens: ", "integer"]),
        ("[chunking]\nsplitter = 'magic'", ["chunking: ", "unknown splitter 'magic'", "section"]),
        ("chunking = 3", ["chunking: "]),
        ("encoders = 'minilm'", ["encoders: "]),
        ("[[encoders]]\nname='x'", ["encoders[0].source: ", "required"]),
        ("[[encoders]]\nname='x'\nsource={wheel='w'}", ["encoders[0].source.version: ", "required"]),
        ("[[encoders]]\nname='x'\nsource={hub=1}", ["encoders[0].source.hub: ", "string"]),
        ("[[encoders]]\nname='bm25'\nsource={hub='x'}", ["encoders[0]: ", "taken by specmine"]),
        ("[[encoders]]\nname='a'\nsource={hub='x'}\n[[encoders]]\nname='a'\nsource={hub='x'}", ["same name"]),
        ("[schedules]\nmine = 'at night'", ["schedules.mine: ", "no cron line"]),
        ("[schedules]\nmine = {cron='0 0 * * *', interval=3}", ["schedules.mine: ", "exactly one"]),
        ("[promotion]\nmeasure = 'MAP'", ["promotion.measure: ", "nDCG@10"]),
        ("[train]\nloss = 'nosuch'", ["train: ", "nosuch", "full_softmax"]),
        ("home = \n", ["is no TOML file", "line 1"]),
    ],
)
def test_wrong_values_name_file_and_key(text: str, parts: list[str]) -> None:
    message = refusal(text)
    for part in parts:
        assert part in message


def test_a_wrong_variable_is_named_instead_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECMINE_CHUNKING__MAX_TOKENS", "many")
    with pytest.raises(SpecmineError, match=r"^environment variable SPECMINE_CHUNKING__MAX_TOKENS: "):
        load_settings()


def test_a_missing_file_is_an_error_only_when_it_was_asked_for() -> None:
    with pytest.raises(SpecmineError, match=r"no configuration file nowhere\.toml"):
        load_settings(Path("nowhere.toml"))


@given(key=st.from_regex(r"[a-z][a-z_]{0,15}", fullmatch=True), table=st.sampled_from(["", "limits", "mine", "search"]))
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_misspelt_key_is_ever_ignored(key: str, table: str) -> None:
    kind = Settings.model_fields[table].annotation if table else Settings
    known = set(Settings.model_fields) if not table else set(kind.__dataclass_fields__)  # type: ignore[union-attr]
    text = f"[{table}]\n{key} = 1\n" if table else f"{key} = 1\n"
    if key not in known:
        assert repr(f"{table}.{key}" if table else key) in refusal(text)


def uncommented(text: str) -> str:
    return re.sub("^# ", "", text, flags=re.MULTILINE)


def test_the_example_shows_the_defaults() -> None:
    """Whoever changes a default changes specmine.toml.example too."""
    text = (Path(__file__).parents[2] / "specmine.toml.example").read_text(encoding="utf-8")
    training, promotion = text.index("[train]"), text.index("[promotion]")
    text = text[:training] + uncommented(text[training:promotion]) + text[promotion:]
    example = load(text)
    Path("specmine.toml").unlink()
    plain = load_settings()
    assert example.index() == plain.index()
    assert example.open_home() == plain.open_home()
    for table in ("sources", "catalogue", "mine", "generate", "promotion", "schedules"):
        assert getattr(example, table) == getattr(plain, table), table
    assert (example.training(), example.compositions()) == (plain.training(), plain.compositions())
    every = set(tomllib.loads(text)) | {"encoders", "cross_encoder"}
    assert every == set(Settings.model_fields)
    schedules = uncommented(text[text.index("[schedules]") :])
    assert set(load(schedules).schedules.by_flow()) == set(Schedules.__dataclass_fields__)


def test_neither_prefect_nor_torch_is_imported() -> None:
    code = (
        "import sys; from flows.settings import *; load_settings(); print(*({'prefect', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("workers = 0", "workers must be 1 to 1000, not 0"),
        ('address = "tcp://scheduler:8786"', 'set task_runner = "dask" or "ray", not threads'),
        ("batch_seconds = 1", "batch_seconds must be 10 to 86400, not 1"),
        ('task_runner = "celery"', "task_runner: input should be 'threads', 'processes', 'dask' or 'ray'"),
    ],
)
def test_a_task_runner_that_cannot_be_is_refused(table: str, reason: str) -> None:
    assert reason in refusal(f"[runs]\n{table}\n")
