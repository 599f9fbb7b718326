"""``specmine versions`` on versions of a small encoder that were really registered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from indexing.encoders.query import load_query_encoder
from indexing.generations import Generation, GenerationEncoder, save_generation
from indexing.home import MANIFEST, Home, read_json
from indexing.models.fingerprints import encoder_fingerprint
from indexing.releases import Fusion, Release, publish, served
from indexing.specs import DirectorySource, EncoderSpec
from training.versions import EncoderVersion, register, weights_file

Run = Callable[..., tuple[int, str, str]]

QUERIES = ["w1 w2", "w3", " ".join(f"w{number}" for number in range(30))]
"""The last is longer than the encoder reads."""
VERDICT = {
    "promoted": True,
    "before": 0.25,
    "after": 0.5,
    "reason": "nDCG@10 0.250 to 0.500\nnone of 2 slices loses\npromoted",
    "slices": [],
    "losing": [],
}


@dataclass(frozen=True)
class Place:
    """A folder with a home below it, in which an index of one encoder is served."""

    folder: Path
    home: Home
    spec: EncoderSpec
    generation: Generation

    def made(self, form: str = "full", job: str = "a" * 64, **lineage: Any) -> tuple[EncoderVersion, np.ndarray]:
        """Register the encoder with changed weights of this form; return its version and its vectors of QUERIES."""
        encoder = load_query_encoder(self.spec, self.home)
        encoder.take_form(form)
        with torch.no_grad():
            for tensor in encoder.trained_weights().values():
                tensor.add_(0.1 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))
        version = EncoderVersion(
            encoder="tiny",
            document_fingerprint=encoder.document_fingerprint,
            loss="lce",
            job=job,
            lineage={
                "release": "r0001",
                "generation": self.generation.id,
                "settings": {"form": form, "seed": 17, "learning_rate": 1e-3},
                "data": {"verdict": "v1", "train": "t1"},
                "code": {"sources": "c1"},
                **lineage,
            },
            training={},
            verdict=VERDICT,
            histograms={"before": {"positive": [1.0]}},
            measures={"before": {"verdict": {"nDCG@10": 0.25}}, "after": {"verdict": {"nDCG@10": 0.5}}},
        )
        return register(self.home, version, encoder), encoder.embed(QUERIES)


@pytest.fixture
def place(tmp_path: Path, make_encoder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    home = Home(tmp_path / "var")
    source = DirectorySource(str(make_encoder(tmp_path / "model")))
    spec = EncoderSpec("tiny", source, max_tokens=16, query_prompt="w30 ")
    generation = Generation("c", {}, (GenerationEncoder(spec, encoder_fingerprint(spec, home)[0]),))
    save_generation(home, generation)
    publish(home, Release(generation.id, 1, {"tiny": "base"}, Fusion("soft", {"tiny": 1.0})))
    return Place(tmp_path, home, spec, generation)


def told(run: Run, *arguments: str) -> dict[str, Any]:
    status, output, errors = run(*arguments, "--json")
    assert status == 0, output + errors
    found: dict[str, Any] = json.loads(output)
    return found


@pytest.mark.parametrize("form", ["full", "lora:2", "head:4"])
def test_an_export_gives_the_same_vectors_elsewhere(place: Place, run_specmine: Run, form: str) -> None:
    from sentence_transformers import SentenceTransformer

    version, vectors = place.made(form)
    result = told(run_specmine, "versions", "export", version.id, "--out", "elsewhere")
    assert result["query_prompt"] == "w30 "
    model = SentenceTransformer(str(place.folder / "elsewhere"), device="cpu", local_files_only=True)
    np.testing.assert_allclose(model.encode_query(QUERIES), vectors, atol=1e-5)
    manifest = read_json(place.folder / "elsewhere" / MANIFEST)
    assert (manifest["id"], manifest["lineage"]) == (version.id, version.lineage)
    assert run_specmine("versions", "export", version.id, "--out", "elsewhere")[2].startswith("error: elsewhere exists")


def test_an_export_of_a_damaged_version_leaves_nothing(place: Place, run_specmine: Run) -> None:
    version, _ = place.made()
    weights_file(place.home, version).write_bytes(b"damaged")
    status, _, errors = run_specmine("versions", "export", version.id, "--out", "elsewhere")
    assert status == 1
    assert "missing or damaged" in errors
    assert not (place.folder / "elsewhere").exists()
    assert not list(place.folder.glob("*.partial"))


def test_versions_are_listed_with_what_is_served(place: Place, run_specmine: Run) -> None:
    assert "no query encoder was retrained yet" in run_specmine("versions")[1]
    first, _ = place.made(job="1" * 64)
    publish(place.home, replace(served(place.home), encoders={"tiny": first.id}))
    second, _ = place.made("head:4", job="2" * 64)
    listed = told(run_specmine, "versions")
    assert [(entry["version"], entry["served"], entry["form"]) for entry in listed["versions"]] == [
        (second.id, False, "head:4"),
        (first.id, True, "full"),
    ]
    assert listed["versions"][0]["verdict"] == "promoted"
    shown = told(run_specmine, "versions", "show", first.id)
    assert shown["releases"] == ["r0002"]
    assert shown["lineage"]["settings"]["seed"] == 17
    assert shown["bytes"] > 0 and "histograms" not in shown
    page = run_specmine("versions", "show", first.id)[1]
    for line in (*VERDICT["reason"].splitlines(), "c1", "0.2500"):
        assert line in page


def test_a_difference_names_what_took_part(place: Place, run_specmine: Run) -> None:
    first, _ = place.made(job="1" * 64)
    settings = {"form": "full", "seed": 18, "learning_rate": 1e-3}
    second, _ = place.made(job="2" * 64, settings=settings, data={"verdict": "v1", "train": "t2"})
    result = told(run_specmine, "versions", "diff", first.id, second.id)
    assert result["differs"] == {
        "[train] seed": {"before": 17, "after": 18},
        "data train": {"before": "t1", "after": "t2"},
    }
    assert result["comparable"]
    assert result["measures"][second.id]["verdict"]["nDCG@10"] == 0.5
    third, _ = place.made(job="3" * 64, data={"verdict": "v2", "train": "t1"})
    assert not told(run_specmine, "versions", "diff", first.id, third.id)["comparable"]
    assert "do not compare" in run_specmine("versions", "diff", first.id, third.id)[1]
    status, _, errors = run_specmine("versions", "show", "none")
    assert status == 1 and "there is no query-encoder version 'none'" in errors
