"""What a mining that did not end has found is read back exactly, and by the same mining alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.projection import Projection
from indexing.home import Home, LockedHomeError
from mining.candidates import Candidate, Case
from mining.gathering import key_of
from mining.settings import MineSettings
from mining.unfinished import unfinished

KEY, SCORES = "f" * 32, st.floats(allow_nan=False, allow_infinity=False)
VOTES = st.tuples(st.integers(1, 2**31 - 1), SCORES)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@st.composite
def cases(draw: st.DrawFn, world: SimpleNamespace) -> list[Case]:
    chunks = [world.chunk(name, "d", place, name) for place, name in enumerate("abcdef")]
    some = st.lists(st.sampled_from(chunks), max_size=4, unique=True)
    made = []
    for number in range(draw(st.sampled_from([0, 1, 3, 17]))):
        positives = draw(some)
        candidates = [
            Candidate(
                chunk=chunk,
                found=draw(st.dictionaries(TEXTS, VOTES, max_size=3)),
                ensemble=draw(st.none() | SCORES),
                rank=draw(st.none() | st.integers(1, 999)),
                drawn=draw(st.booleans()),
                preferred_by=tuple(draw(st.lists(TEXTS, max_size=2))),
                to_query=draw(st.none() | SCORES),
                to_judged=draw(st.none() | SCORES),
                to_each_judged=tuple(draw(st.lists(SCORES, max_size=2))),
            )
            for chunk in draw(some)
        ]
        made.append(
            Case(
                query=f"q{number}",
                text=draw(TEXTS),
                language=draw(st.sampled_from(["en", "ja"])),
                positives=tuple(positives),
                positive_votes=tuple(draw(st.none() | VOTES) for _ in positives),
                spans=tuple(draw(st.lists(st.tuples(TEXTS, st.integers(0, 2**40), st.integers(0, 2**40)), max_size=2))),
                encoders=("minilm", "wordllama"),
                candidates=candidates,
                query_to_judged=draw(st.none() | SCORES),
            )
        )
    return made


def test_a_block_is_read_as_it_was_gathered(world: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> None:
    chunks = {name: world.chunk(name, "d", place, name) for place, name in enumerate("abcdef")}

    @settings(max_examples=20)
    @given(cases(world))
    def check(block: list[Case]) -> None:
        home = Home(tmp_path_factory.mktemp("home"))
        with pytest.raises(KeyboardInterrupt), unfinished(home, KEY, chunks) as kept:
            assert kept.read(3) is None
            assert repr(kept.write(3, block)) == repr(block)  # and each number of the same type
            raise KeyboardInterrupt
        with unfinished(home, KEY, chunks) as kept:
            assert repr(kept.read(3)) == repr(block)
            assert kept.read(2) is None
        with unfinished(home, KEY, chunks) as kept:
            assert kept.read(3) is None  # the mining ended, and what was kept went

    check()


def test_damaged_blocks_are_gathered_again(
    world: SimpleNamespace, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    case = Case("q", "text " * 99, "en", (), (), (), (), [])
    with unfinished(home, KEY, {}) as kept:
        kept.write(0, [case])
        (path,) = (home.ledgers / "unfinished" / KEY).iterdir()
        whole = path.read_bytes()
        for damaged in (b"", whole[:-9], whole[: len(whole) // 2], b"\0" * len(whole), whole[:20] + b"?" + whole[21:]):
            path.write_bytes(damaged)
            assert kept.read(0) is None
            assert f"{path} is damaged" in caplog.text
            caplog.clear()
        path.write_bytes(whole)
        assert kept.read(0) == [case]


def test_only_the_newest_of_those_that_never_ended_are_kept(home: Home) -> None:
    for number in range(6):
        with pytest.raises(KeyboardInterrupt), unfinished(home, f"{number}" * 32, {}) as kept:
            kept.write(0, [])
            (home.ledgers / "unfinished" / "half.partial").write_bytes(b"")
            raise KeyboardInterrupt
    with unfinished(home, "2" * 32, {}) as kept:
        assert kept.read(0) == []
    left = sorted(path.name for path in (home.ledgers / "unfinished").iterdir() if path.is_dir())
    assert left == ["3" * 32, "4" * 32, "5" * 32]


def test_one_process_mines_at_a_time(home: Home) -> None:
    with unfinished(home, KEY, {}), pytest.raises(LockedHomeError), unfinished(home, "0" * 32, {}):
        pass


def test_whatever_shapes_a_search_is_in_the_key(world: SimpleNamespace) -> None:
    chunks = {name: world.chunk(name, "d", place, name) for place, name in enumerate("ab")}
    searcher = world.TableSearcher(chunks, {})
    texts, judged = {"q": "text"}, world.projection({"q": [chunks["a"]]})

    def key(**other: object) -> str:
        inputs = {
            "searcher": searcher,
            "texts": texts,
            "projection": judged,
            "settings": MineSettings(),
            "feedback": None,
        }
        return key_of(**(inputs | other))

    release = searcher.release
    others = [
        key(texts={"q": "another text"}),
        key(settings=MineSettings(depth=21)),
        key(projection=world.projection({"q": [chunks["b"]]})),
        key(feedback={"q": {"b": 1.0}}),
        key(projection=Projection({"q": {"d": 1}}, {"q": {"a": ("d",)}}, (), [])),
        key(searcher=replace(searcher, chunks={**chunks, "c": world.chunk("c", "d", 2, "c")})),
        *(
            key(searcher=replace(searcher, release=replace(release, **other)))
            for other in ({"content": 2}, {"encoders": {"minilm": "v1"}}, {"generation": "g2"}, {"id": "r0002"})
        ),
    ]
    assert len({key(), *others}) == 1 + len(others)
    assert key() == key()
    assert len(Path(key()).parts) == 1


def test_a_ledger_that_was_being_written_goes(home: Home) -> None:
    cut_short = home.ledgers / "20260101T000000000-abcdef.12345678.partial"
    (cut_short / "rows").mkdir(parents=True)
    with unfinished(home, KEY, {}):
        assert not cut_short.exists()
