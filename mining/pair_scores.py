"""Scores of (query, passage) pairs by a cross-encoder, kept on disk: the longest stage of mining can be resumed.

``ledgers/cache/<fingerprint>/`` holds append-only parts, each written once and whole: ``keys`` (n, 16) uint8, the start
of the SHA-256 of query and passage, and ``scores`` (n,) float32 logits. A process that is killed loses the batch it was
scoring and nothing else. The fingerprint covers the cross-encoder's weights, so other weights never share scores.
"""

from __future__ import annotations

import hashlib
import logging
import re
import uuid
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from indexing.home import Home, SpecmineError, replacing

_FINGERPRINT = re.compile(r"[0-9A-Za-z_-]{8,128}")
_KEY_BYTES = 16
# A killed process scores so many again: a few seconds' work. Sorted by length there is next to no padding in them.
_PAIRS_PER_BATCH = 128

log = logging.getLogger(__name__)


class Judge(Protocol):
    """What mining needs of ``indexing.encoders.cross.CrossEncoder``."""

    @property
    def spec(self) -> Any:
        """The configuration; its ``name`` is shown in reasons and reports."""
        ...

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the weights and of the settings that change scores."""
        ...

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return a float32 logit for each pair of query and passage."""
        ...

    def judges(self, language: str) -> bool:
        """Tell whether texts of this language (ISO 639-1) can be judged."""
        ...


class PairScores:
    """The cross-encoder's scores, from the cache or computed and put there."""

    def __init__(self, home: Home, judge: Judge) -> None:
        if not _FINGERPRINT.fullmatch(judge.fingerprint):
            raise SpecmineError(f"cross-encoder {judge.spec.name} has an unusable fingerprint {judge.fingerprint!r}")
        self._judge = judge
        self._folder = home.ledgers / "cache" / judge.fingerprint
        self._folder.mkdir(parents=True, exist_ok=True)
        self._scores = _read_parts(self._folder)
        self.computed = 0

    def score(
        self, pairs: Sequence[tuple[str, str]], tell: Callable[[int, int], None] = lambda done, total: None
    ) -> list[float]:
        """Return the logit of each pair of query and passage, in order.

        Pairs of like length are scored together, the longest first, and are on disk before the next are begun. ``tell``
        is called with how many distinct pairs are known and how many there are: at the start, and after each batch.
        """
        if not pairs:
            return []
        keys = [_key(query, passage) for query, passage in pairs]
        distinct = dict(zip(keys, pairs, strict=True))
        # Batches are cut from all pairs, known or not: a network's last bits depend on what else is in a batch, and who
        # goes on after a kill must get the same ones.
        longest_first = sorted(distinct, key=lambda key: -sum(map(len, distinct[key])))
        known = sum(key in self._scores for key in distinct)
        tell(known, len(distinct))
        for start in range(0, len(longest_first), _PAIRS_PER_BATCH):
            missing = [key for key in longest_first[start : start + _PAIRS_PER_BATCH] if key not in self._scores]
            if missing:
                scores = np.asarray(self._judge.score([distinct[key] for key in missing]), dtype=np.float32)
                _write_part(self._folder, missing, scores)
                self._scores.update(zip(missing, scores.tolist(), strict=True))
                self.computed += len(missing)
                known += len(missing)
                tell(known, len(distinct))
        return [self._scores[key] for key in keys]


def _key(query: str, passage: str) -> bytes:
    text = query.encode(errors="replace")
    return hashlib.sha256(b"%d:%b%b" % (len(text), text, passage.encode(errors="replace"))).digest()[:_KEY_BYTES]


def _write_part(folder: Path, keys: list[bytes], scores: np.ndarray) -> None:
    with replacing(folder / f"{uuid.uuid4().hex}.npz") as partial, partial.open("wb") as handle:
        np.savez(handle, keys=np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, _KEY_BYTES), scores=scores)


def _read_parts(folder: Path) -> dict[bytes, float]:
    scores: dict[bytes, float] = {}
    for part in sorted(folder.glob("*.npz")):
        try:
            with np.load(part, allow_pickle=False) as content:
                keys, values = content["keys"], content["scores"]
            if keys.dtype != np.uint8 or keys.shape != (len(values), _KEY_BYTES) or not np.isfinite(values).all():
                raise ValueError("not a table of scores")
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            # A cache: what cannot be read is computed again.
            log.warning("ignoring damaged scores in %s: %s", part, error)
            continue
        scores.update((key.tobytes(), float(value)) for key, value in zip(keys, values, strict=True))
    return scores
