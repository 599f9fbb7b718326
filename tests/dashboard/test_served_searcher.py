"""The searcher that follows what is served: many ask it at once while releases come, go and are rolled back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch

from dashboard.served_searcher import ServedSearcher
from indexing.encoders.query import QueryEncoder
from indexing.home import Home, SpecmineError
from indexing.ingest import ingest
from indexing.models.fetching import fetch
from indexing.opened_release import OpenedRelease
from indexing.releases import Reranker, publish, rollback, served
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import WORDLLAMA

pytestmark = pytest.mark.models

SETTINGS = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)
CLIENTS = 8


@pytest.fixture
def filled(home: Home, models_home: Home, tmp_path: Path) -> Home:
    fetch(WORDLLAMA.source, models_home)
    home.root.mkdir(parents=True, exist_ok=True)
    (home.root / "models").symlink_to(models_home.models.resolve())
    (tmp_path / "pump.md").write_text("# Pump\n\nThe relief valve shall open at 18 bar.\n", encoding="utf-8")
    ingest([tmp_path / "pump.md"], home, SETTINGS)
    return home


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions of query encoders that were loaded."""
    loaded: list[str] = []
    load = Searcher.load_encoder

    def counted(searcher: Searcher, name: str, version: str) -> QueryEncoder:
        loaded.append(version)
        return load(searcher, name, version)

    monkeypatch.setattr(Searcher, "load_encoder", counted)
    return loaded


class Unlocked(cached_property[Any]):
    """As in Python 3.12 and later: threads that ask together all make the value."""

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        values = vars(instance)
        if self.attrname not in values:
            values[self.attrname] = self.func(instance)
        return values[self.attrname]


def test_all_who_wait_for_a_release_load_its_models_once(
    filled: Home, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_reranker(release: OpenedRelease) -> None:
        loads.append("re-ranker")
        time.sleep(0.1)  # the others ask meanwhile

    for name, load in (("encoders", OpenedRelease.encoders.func), ("reranker", load_reranker)):
        unlocked = Unlocked(load)
        unlocked.__set_name__(OpenedRelease, name)
        monkeypatch.setattr(OpenedRelease, name, unlocked)
    publish(filled, replace(served(filled), reranker=Reranker("cross")))
    searcher, found = ServedSearcher(filled, SETTINGS), Counter[str]()
    barrier = threading.Barrier(CLIENTS)

    def ask() -> None:
        barrier.wait()
        found[searcher.search("relief valve", 5).release] += 1

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert found == {"r0002": CLIENTS}
    assert loads == ["base", "re-ranker"]


def test_a_release_with_the_same_encoders_loads_none_and_is_searched_at_once(filled: Home, loads: list[str]) -> None:
    searcher = ServedSearcher(filled, SETTINGS)
    releases = [searcher.search("valve", 5).release]
    publish(filled, replace(served(filled), note="the same again"))
    releases.append(searcher.search("valve", 5).release)
    rollback(filled)
    releases.append(searcher.search("valve", 5).release)
    assert releases == ["r0001", "r0002", "r0001"]
    assert loads == ["base"]


def test_another_version_is_loaded_and_the_others_are_not(filled: Home, loads: list[str]) -> None:
    encoder = Searcher.open(filled, SETTINGS).encoders["wordllama"]
    folder = filled.encoders / "wordllama" / "trained"
    folder.mkdir(parents=True)
    with torch.no_grad():
        next(iter(encoder.trained_weights().values())).mul_(2.0)
    encoder.save_weights(folder / "model.safetensors")
    loads.clear()
    before = Searcher.open(filled, SETTINGS)
    old = before.encoders["wordllama"]
    release = publish(filled, replace(served(filled), encoders={"wordllama": "trained"}))
    after = Searcher.open(filled, SETTINGS, release, before.encoders.values())
    assert after.encoders["wordllama"] is not old
    assert Searcher.open(filled, SETTINGS, served(filled), after.encoders.values()).encoders == after.encoders
    assert loads == ["base", "trained"]


def test_a_release_that_went_while_it_was_opened_is_not_the_answer(
    filled: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher, opened = ServedSearcher(filled, SETTINGS), Searcher.open
    first = served(filled)

    def vanishing(*arguments: object) -> Searcher:
        if arguments[2] == first:
            publish(filled, replace(first, note="the next"))
            raise SpecmineError("was removed just now: try again")
        return opened(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Searcher, "open", vanishing)
    assert searcher.search("relief valve", 5).release == "r0002"


def test_a_release_that_cannot_be_opened_is_an_error_and_not_a_loop(
    filled: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Searcher:
        raise SpecmineError("content 1 of the index is gone")

    monkeypatch.setattr(Searcher, "open", broken)
    with pytest.raises(SpecmineError, match="is gone"):
        ServedSearcher(filled, SETTINGS).search("valve", 5)


def test_a_search_computes_on_one_thread_and_leaves_the_others_their_threads(
    filled: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    embed = QueryEncoder.embed_with_norms

    def noted(encoder: QueryEncoder, texts: list[str]) -> object:
        threads.append(torch.get_num_threads())
        return embed(encoder, texts)

    monkeypatch.setattr(QueryEncoder, "embed_with_norms", noted)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        Searcher.open(filled, SETTINGS).search("relief valve")
        assert threads == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
