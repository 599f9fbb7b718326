"""What tests of several rooms share: a home with the real models, and models small enough to build in a test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from indexing.home import Home

# A busy machine is no failure: the deadline per example counts wall-clock time.
hypothesis_settings.register_profile("specmine", deadline=None)
hypothesis_settings.load_profile("specmine")

# Environment variables win over configuration files: what the developer has set must not reach a test's own home.
for _name in [name for name in os.environ if name.startswith("SPECMINE_") and not name.startswith("SPECMINE_TEST_")]:
    del os.environ[_name]

WORDS = [f"w{number}" for number in range(36)]
NOBODY = 65534
TINY_HIDDEN, TINY_POSITIONS = 32, 32
TORQUE = """# Torque specification

## 1 Scope

This specification covers the fastening of flange couplings on pumps.

## 2 Torque

### 2.1 Flange bolts

Flange bolts M8 shall be tightened to 25 Nm with a calibrated wrench.

### 2.2 Cover screws

Cover screws M4 shall be tightened to 2.8 Nm by hand.
"""
MARKING = """# Marking specification

## 1 Plates

Every coupling carries its serial number on a riveted plate of brass.

## 2 Colours

Couplings for steam are painted red, couplings for water are painted blue.
"""


@pytest.fixture(scope="session")
def models_home() -> Home:
    """A home that outlives the tests, so that the real models are fetched once (marker ``models``)."""
    root = os.environ.get("SPECMINE_TEST_HOME") or Path(__file__).parents[1] / "var" / "tests"
    return Home(Path(root))


@pytest.fixture(scope="session")
def data_folder() -> Callable[[str], Path]:
    """Return a function that gives a folder of real documents by name (marker ``data``), or skips the test."""
    root = Path(os.environ.get("SPECMINE_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")

    def folder(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"the documents are not there: set SPECMINE_TEST_DATA to the folder that has {name}/")
        return root / name

    return folder


@pytest.fixture
def bound() -> Iterator[tuple[list[str], dict[str, Any]]]:
    """How to start Python so that permissions bind it: the words before the command, and options of subprocess.run.

    As another user where root runs the tests; where that user cannot reach this Python, as root without the right to
    pass permissions.
    """
    if os.getuid():
        yield [], {}
        return
    as_nobody: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    try:
        subprocess.run([sys.executable, "-c", "import tokenizers"], check=True, capture_output=True, **as_nobody)
        yield [], as_nobody
    except (PermissionError, subprocess.CalledProcessError):
        if not shutil.which("setpriv"):
            pytest.skip("neither can another user run this Python nor is setpriv here to give up root's rights")
        yield ["setpriv", "--bounding-set=-dac_override,-dac_read_search"], {}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def make_tokenizer() -> Callable[[Path], None]:
    """Write a tokenizer of whole words (w0 … w35) in BERT's frame: [CLS] text [SEP]."""
    return _write_tokenizer


@pytest.fixture
def make_encoder() -> Callable[..., Path]:
    """Write a sentence-transformers directory with a random BERT of two layers, 32 dimensions and dropout."""
    return write_encoder


def _write_tokenizer(directory: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    # As published files sometimes have it; encoders must set their own limits.
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=5)
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": TINY_POSITIONS}
    settings |= {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def write_encoder(directory: Path, seed: int = 0, labels: int = 0, modules: bool = True, pooling: str = "mean") -> Path:
    """Write a model directory with a random BERT of two layers, 32 dimensions and dropout."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=40,
        hidden_size=TINY_HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=TINY_POSITIONS,
        # The default, .02, makes texts nearly equal in so small a network.
        initializer_range=0.5,
        **({"num_labels": labels} if labels else {}),
    )
    model = BertForSequenceClassification(config) if labels else BertModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:  # biases start at zero: equal, so that the exporter would merge them
                parameter.add_(torch.randn_like(parameter) * 0.1)
            assert torch.isfinite(parameter).all(), name
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    _write_tokenizer(directory)
    if modules and not labels:
        (directory / "1_Pooling").mkdir()
        stages = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
        entries = [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (path, kind) in enumerate(stages)
        ]
        (directory / "modules.json").write_text(json.dumps(entries), encoding="utf-8")
        pooled = {"word_embedding_dimension": TINY_HIDDEN, f"pooling_mode_{pooling}_tokens": True}
        (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooled), encoding="utf-8")
    return directory


@pytest.fixture
def run_specmine(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command; return its exit code and what it wrote to standard output and to standard error."""
    from cli.main import main

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def workplace(tmp_path: Path, models_home: Home) -> Path:
    """A folder with two documents and a configuration; its home shares the fetched models."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "torque.md").write_text(TORQUE, encoding="utf-8")
    (tmp_path / "specs" / "marking.md").write_text(MARKING, encoding="utf-8")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(models_home.models.resolve())
    return tmp_path


@pytest.fixture
def write_config(workplace: Path) -> Callable[[str], Path]:
    """Write the workplace's specmine.toml: the static encoder, no cross-encoder, and what the test adds."""

    def write(more: str = "") -> Path:
        file = workplace / "specmine.toml"
        text = (
            'home = "home"\ncross_encoder = false\n[[encoders]]\nname = "wordllama"\nsource = '
            '{ wheel = "wordllama", version = "0.4.0.post1", path = "wordllama", format = "static-table", '
            'python_version = "3.11", sha256 = "42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97" }\n'
            '[sources]\npaths = ["specs"]\n' + more
        )
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def judged(workplace: Path) -> Path:
    """Write judged queries on the workplace's documents, two files for each split."""
    asked = [
        ("how tight are the M8 flange bolts", "torque.md", "2.1"),
        ("torque of the M4 cover screws", "torque.md", "2.2"),
        ("where is the serial number", "marking.md", "1"),
        ("which colour has a coupling for steam", "marking.md", "2"),
    ]
    for split in ("train", "dev", "test", "guard"):
        queries = [f'{{"id": "{split}{i}", "text": "{split}: {text}?"}}' for i, (text, _, _) in enumerate(asked)]
        judgements = [
            f'{{"query": "{split}{i}", "document": "{document}", "section": "{section}", "grade": 1}}'
            for i, (_, document, section) in enumerate(asked)
        ]
        (workplace / f"{split}.queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
        (workplace / f"{split}.judgements.jsonl").write_text("\n".join(judgements), encoding="utf-8")
    return workplace
