from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from indexing.encoders.query import load_query_encoder
from indexing.home import MANIFEST, Home, SpecmineError, read_json, write_json
from indexing.models.fingerprints import encoder_fingerprint
from indexing.specs import DirectorySource, EncoderSpec
from training.versions import EncoderVersion, list_versions, load_version, read_version, register, weights_file

TEXTS = ["w1 w2", "w3"]


@pytest.fixture
def spec(tmp_path: Path, make_encoder: Callable[..., Path]) -> EncoderSpec:
    return EncoderSpec("tiny", DirectorySource(str(make_encoder(tmp_path / "model"))), max_tokens=16)


def made(
    home: Home, spec: EncoderSpec, job: str = "abcd" * 16, shift: float = 0.1
) -> tuple[EncoderVersion, np.ndarray]:
    """Register an encoder whose weights were changed; return its version and its vectors of TEXTS."""
    encoder = load_query_encoder(spec, home)
    with torch.no_grad():
        for parameter in encoder.module.parameters():
            parameter.add_(shift * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    described = EncoderVersion(
        encoder=spec.name,
        document_fingerprint=encoder_fingerprint(spec, home)[0],
        loss="full_softmax",
        job=job,
        lineage={"ledger": None},
        training={},
        verdict={"promoted": True},
        histograms={},
    )
    return register(home, described, encoder), encoder.embed(TEXTS)


def test_a_version_comes_back_as_it_was(home: Home, spec: EncoderSpec) -> None:
    version, vectors = made(home, spec)
    assert version.id[8] == "T"
    assert version.id.endswith("-abcd")
    assert read_version(home, version.id) == version
    assert list_versions(home) == [version]
    loaded = load_version(home, spec, version.id)
    assert loaded.version == version.id
    np.testing.assert_array_equal(loaded.embed(TEXTS), vectors)
    assert not np.allclose(load_query_encoder(spec, home).embed(TEXTS), vectors)


def test_versions_are_listed_by_age_and_encoder(home: Home, spec: EncoderSpec) -> None:
    first, _ = made(home, spec, job="1" * 64)
    other, _ = made(home, replace(spec, name="other"), job="2" * 64)
    third, _ = made(home, spec, job="3" * 64)
    assert [version.job[0] for version in list_versions(home)] == ["1", "2", "3"]
    assert list_versions(home, "tiny") == [first, third]
    assert list_versions(home, "other") == [other]
    assert list_versions(home, "none") == []


def test_what_was_not_written_to_its_end_is_no_version(home: Home, spec: EncoderSpec) -> None:
    version, _ = made(home, spec)
    weights_file(home, version).with_name(MANIFEST).unlink()
    assert list_versions(home) == []
    with pytest.raises(SpecmineError, match=f"there is no query-encoder version '{version.id}'; the latest are: none"):
        read_version(home, version.id)


@pytest.mark.parametrize("name", ["../../etc", "*", "20260101T000000-abcd/../..", "", "base", "20260101T000000-ABCD"])
def test_only_the_form_of_an_id_becomes_a_path(home: Home, spec: EncoderSpec, name: str) -> None:
    version, _ = made(home, spec)
    with pytest.raises(SpecmineError, match=f"the latest are: {version.id}"):
        read_version(home, name)


def test_a_version_of_other_document_vectors_does_not_load(home: Home, spec: EncoderSpec) -> None:
    version, _ = made(home, spec)
    with pytest.raises(SpecmineError, match=r"belongs to document vectors .*: retrain it for this index") as caught:
        load_version(home, replace(spec, max_tokens=20), version.id)
    assert "\n" not in str(caught.value)
    with pytest.raises(SpecmineError, match="is one of encoder 'tiny', not of 'other'"):
        load_version(home, replace(spec, name="other"), version.id)


def test_damaged_weights_and_manifests_are_refused(home: Home, spec: EncoderSpec) -> None:
    version, _ = made(home, spec)
    path = weights_file(home, version)
    whole = path.read_bytes()
    path.write_bytes(whole[:-4] + b"\0\0\0\1")
    with pytest.raises(SpecmineError, match="missing or damaged: roll back"):
        load_version(home, spec, version.id)
    path.unlink()
    with pytest.raises(SpecmineError, match="missing or damaged: roll back"):
        load_version(home, spec, version.id)
    manifest = path.with_name(MANIFEST)
    write_json(manifest, {"strange": 1, **read_json(manifest)})
    with pytest.raises(SpecmineError, match="is not that of a query-encoder version"):
        read_version(home, version.id)
    assert list_versions(home) == []
