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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from indexing.home import PARTIAL_SUFFIX, Home, SpecmineError, sync

_FINGERPRINT = re.compile(r"[0-9A-Za-z_-]{8,128}")
_KEY_BYTES = 16

log = logging.getLogger(__name__)


class Judge(Protocol):
    """What mining needs of ``indexing.encoders_cross.CrossEncoder``."""

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

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return the logit of each pair. What has to be computed is on disk before this returns."""
        keys = [_key(query, passage) for query, passage in pairs]
        missing = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._scores}
        if missing:
            scores = np.asarray(self._judge.score(list(missing.values())), dtype=np.float32)
            _write_part(self._folder, list(missing), scores)
            self._scores.update(zip(missing, scores.tolist(), strict=True))
            self.computed += len(missing)
        return [self._scores[key] for key in keys]


def _key(query: str, passage: str) -> bytes:
    text = query.encode(errors="replace")
    return hashlib.sha256(b"%d:%b%b" % (len(text), text, passage.encode(errors="replace"))).digest()[:_KEY_BYTES]


def _write_part(folder: Path, keys: list[bytes], scores: np.ndarray) -> None:
    part = folder / f"{uuid.uuid4().hex}.npz"
    partial = part.with_name(part.name + PARTIAL_SUFFIX)
    with partial.open("wb") as handle:
        np.savez(handle, keys=np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, _KEY_BYTES), scores=scores)
    sync(partial)
    partial.replace(part)
    sync(folder)


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
