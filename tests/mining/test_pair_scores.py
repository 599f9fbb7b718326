"""The cross-encoder's scores are asked for once, and survive a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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


def test_each_pair_is_asked_once(home: Home) -> None:
    judge = LengthJudge()
    scores = PairScores(home, judge)
    assert scores.score([("q", "ab"), ("q", "abcd"), ("q", "ab")]) == [
        np.float32(2 / 7),
        np.float32(4 / 7),
        np.float32(2 / 7),
    ]
    assert judge.asked == [("q", "ab"), ("q", "abcd")]
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
    assert judge.asked == [("q", "x" * i) for i in range(20, 30)]


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
