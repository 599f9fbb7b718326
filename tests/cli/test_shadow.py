"""A version beside the served release, then served, then monitored: from the command line, on real documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluation.catalogue import Catalogue
from flows.settings import load_settings
from indexing.encoders.query import load_query_encoder
from indexing.releases import served
from training.versions import EncoderVersion, register

pytestmark = pytest.mark.models

Run = Callable[..., tuple[int, str, str]]


def test_a_version_is_shadowed_promoted_and_monitored(
    run_specmine: Run, workplace: Path, write_config: Callable[[str], Path]
) -> None:
    config = write_config('[monitor]\non = "searches"\n')

    def told(*arguments: str) -> dict[str, Any]:
        status, output, errors = run_specmine(*arguments, "--json", "--config", str(config))
        assert status == 0, output + errors
        value = json.loads(output)
        assert isinstance(value, dict)
        return value

    told("ingest", "--no-prefect")
    settings = load_settings(config)
    home, spec = settings.open_home(), settings.encoders[0]
    encoder = load_query_encoder(spec, home)
    with torch.no_grad():
        for tensor in encoder.trained_weights().values():
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))
    lineage = {"generation": served(home).generation}
    scrambled = EncoderVersion(spec.name, encoder.document_fingerprint, "none", "f" * 64, lineage, {}, {}, {})
    version = register(home, scrambled, encoder).id

    refused = run_specmine("versions", "shadow", version, "--config", str(config))
    assert refused[0] == 1 and "no search is logged" in refused[2]
    asked = ["how tight are the flange bolts", "which colour has a coupling for steam"]
    for query in asked:
        told("search", query)
    unjudged = told("versions", "shadow", version)
    assert (unjudged["served"], unjudged["queries"], unjudged["wanted"]) == ("r0001", 2, None)
    assert 0 < unjudged["overlap"] <= 1
    book = Catalogue(f"sqlite:///{workplace}/home/catalogue.sqlite")
    for search in book.searches():
        assert book.record_event(search.id, 1, "opened")  # people saw the served order: it is perfect for them
    shadowed = told("versions", "shadow", version, "--limit", "1")
    assert (shadowed["queries"], shadowed["wanted"]["queries"], shadowed["wanted"]["before"]) == (1, 1, 1.0)
    assert "favours the served release" in run_specmine("versions", "shadow", version, "--config", str(config))[1]
    assert told("releases")["served"] == "r0001"

    assert told("promote", version)["release"] == "r0002"
    watched = told("monitor", "--no-prefect")
    assert (watched["served"], watched["against"], watched["on"]) == ("r0002", "r0001", "searches")
    assert watched["test"]["before"] == 1.0
    assert not watched["fell"]  # two queries prove nothing
    assert [run.stage for run in book.last_runs(3)] == ["monitor", "promote", "shadow"]
    book.close()
