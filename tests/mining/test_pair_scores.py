"""The cross-encoder's scores are asked for once, and survive a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from indexing.home import Home, SpecmineError
from mining.pair_scores import PairScores

KILLED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from indexing.home import Home
from mining.pair_scores import PairScores

class Judge:
    spec = SimpleNamespace(name="killer")
    fingerprint = "f" * 64
    batches = 0
    def judges(self, language):
        return True
    def score(self, pairs):
        self.batches += 1
        if self.batches == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.array([float(len(passage)) for _, passage in pairs])

scores = PairScores(Home(Path(sys.argv[1])), Judge())
for batch in range(9):
    scores.score([("q", "x" * (10 * batch + i)) for i in range(10)])
"""


@dataclass
class LengthJudge:
    """A cross-encoder that likes long passages, and remembers what it was asked."""

    fingerprint: str = "f" * 64
    spec: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(name="length"))
    asked: list[tuple[str, str]] = field(default_factory=list)

    def judges(self, language: str) -> bool:
        return True

    def score(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        self.asked.extend(pairs)
        return np.array([len(passage) / 7 for _, passage in pairs])


@dataclass
class CompanyJudge(LengthJudge):
    """One whose scores tell in which company a pair was scored, as a network's last bits do, and that may be killed."""

    killed_at: int = 0
    batches: list[list[tuple[str, str]]] = field(default_factory=list)

    def score(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        self.batches.append(pairs)
        if len(self.batches) == self.killed_at:
            raise KeyboardInterrupt
        company = zlib.crc32(repr(pairs).encode()) % 1000
        return np.array([len(passage) + (company + place) / 1e4 for place, (_, passage) in enumerate(pairs)])


@pytest.fixture
def few_in_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mining.pair_scores._PAIRS_PER_BATCH", 4)


@pytest.mark.usefixtures("few_in_a_batch")
def test_the_longest_are_scored_first_and_progress_counts_what_is_known(home: Home) -> None:
    PairScores(home, CompanyJudge()).score([("q", "x" * 5)])
    judge, told = CompanyJudge(), []
    pairs = [("q", "x" * length) for length in (3, 9, 1, 5, 7, 8, 2, 6, 4, 9)]
    PairScores(home, judge).score(pairs, lambda done, total: told.append((done, total)))
    assert [[len(passage) for _, passage in batch] for batch in judge.batches] == [[9, 8, 7, 6], [4, 3, 2], [1]]
    assert told == [(1, 9), (5, 9), (8, 9), (9, 9)]


@pytest.mark.usefixtures("few_in_a_batch")
def test_killed_at_any_batch_the_scores_are_those_of_an_undisturbed_run(tmp_path: Path) -> None:
    pairs = [(f"query {number % 5}", "x" * (number * 7 % 31)) for number in range(30)]
    earlier = pairs[3:20:4]  # another mining asked for these before
    homes = [Home(tmp_path / str(number)) for number in range(9)]
    for one in homes:
        PairScores(one, CompanyJudge()).score(earlier)
    undisturbed = PairScores(homes[0], CompanyJudge()).score(pairs)
    for number in range(1, 9):
        with pytest.raises(KeyboardInterrupt):
            PairScores(homes[number], CompanyJudge(killed_at=number)).score(pairs)
        judge = CompanyJudge()
        assert PairScores(homes[number], judge).score(pairs) == undisturbed
        assert len(judge.batches) == 8 - number + 1


def test_each_pair_is_asked_once(home: Home) -> None:
    judge = LengthJudge()
    scores = PairScores(home, judge)
    assert scores.score([("q", "ab"), ("q", "abcd"), ("q", "ab")]) == [
        np.float32(2 / 7),
        np.float32(4 / 7),
        np.float32(2 / 7),
    ]
    assert judge.asked == [("q", "abcd"), ("q", "ab")]
    assert scores.score([("q", "abcd"), ("r", "ab")]) == [np.float32(4 / 7), np.float32(2 / 7)]
    assert judge.asked[2:] == [("r", "ab")]
    assert scores.score([]) == []


def test_the_next_run_asks_only_for_what_is_new_and_gets_the_same(home: Home) -> None:
    pairs = [("q", "x" * i) for i in range(5)]
    first = PairScores(home, LengthJudge()).score(pairs)
    judge = LengthJudge()
    assert PairScores(home, judge).score([*pairs, ("q", "new")])[:5] == first
    assert judge.asked == [("q", "new")]


def test_query_and_passage_are_told_apart(home: Home) -> None:
    judge = LengthJudge()
    PairScores(home, judge).score([("ab", "c"), ("a", "bc"), ("", "abc"), ("1:a", "b"), ("ト", "ルク")])
    assert len(judge.asked) == 5


def test_other_weights_share_no_scores(home: Home) -> None:
    PairScores(home, LengthJudge()).score([("q", "x")])
    other = LengthJudge(fingerprint="0" * 64)
    PairScores(home, other).score([("q", "x")])
    assert other.asked == [("q", "x")]


def test_kill_loses_at_most_the_batch_being_scored(home: Home) -> None:
    root = Path(__file__).parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(home.root)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    judge = LengthJudge()
    PairScores(home, judge).score([("q", "x" * i) for i in range(30)])
    assert sorted(judge.asked) == [("q", "x" * i) for i in range(20, 30)]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short", b"nonsense"])
def test_damaged_parts_are_scored_again(home: Home, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    PairScores(home, LengthJudge()).score([("q", "x")])
    (part,) = (home.ledgers / "cache" / ("f" * 64)).glob("*.npz")
    part.write_bytes(damage)
    judge = LengthJudge()
    assert PairScores(home, judge).score([("q", "x")]) == [np.float32(1 / 7)]
    assert judge.asked == [("q", "x")]
    assert "damaged scores" in caplog.text


def test_parts_with_foreign_content_are_ignored(home: Home) -> None:
    PairScores(home, LengthJudge()).score([("q", "x")])
    (part,) = (home.ledgers / "cache" / ("f" * 64)).glob("*.npz")
    np.savez(part, keys=np.array([{"a": 1}], dtype=object), scores=np.zeros(1))  # a pickle
    judge = LengthJudge()
    PairScores(home, judge).score([("q", "x")])
    assert judge.asked == [("q", "x")]


def test_a_fingerprint_is_no_path(home: Home) -> None:
    with pytest.raises(SpecmineError, match="unusable fingerprint"):
        PairScores(home, LengthJudge(fingerprint="../../elsewhere"))
