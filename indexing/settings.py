"""What building and searching an index needs to know, as configured."""

from __future__ import annotations

from dataclasses import dataclass, field

from chunking.ocr import OcrSettings
from chunking.readers import ReadLimits
from chunking.reading_settings import ReadingSettings
from chunking.splitters import SMALLEST_CHUNK, ChunkSettings
from indexing.specs import MS_MARCO_L12, PROFILES, CrossEncoderSpec, EncoderSpec

# What an encoder reads beside the passage: its special tokens, and a prompt as short as "passage: ".
RESERVED_TOKENS = 16
_SPECIAL_TOKENS = 5


@dataclass(frozen=True)
class Placement:
    """How a Qdrant server keeps an index that is made from now on; the words are Qdrant's.

    ``shard_number`` pieces lie on the nodes of a cluster, ``replication_factor`` copies of each; a write counts when
    ``write_consistency_factor`` copies have it. ``on_disk``: vectors and graphs are read from disk. ``quantization``
    "scalar" searches a byte for each number, "binary" a bit, both held in memory, and puts what it found in order by
    the whole vectors.
    """

    shard_number: int = 1
    replication_factor: int = 1
    write_consistency_factor: int = 1
    on_disk: bool = False
    quantization: str = "none"

    def __post_init__(self) -> None:
        for name in ("shard_number", "replication_factor", "write_consistency_factor"):
            if not 1 <= getattr(self, name) <= 1000:
                raise ValueError(f"{name} must be 1 to 1000, not {getattr(self, name)}")
        if self.write_consistency_factor > self.replication_factor:
            raise ValueError(
                f"write_consistency_factor {self.write_consistency_factor} is more than the {self.replication_factor} "
                "copies that replication_factor makes: no write would ever count"
            )
        if self.quantization not in ("none", "scalar", "binary"):
            raise ValueError(f"quantization must be none, scalar or binary, not {self.quantization!r}")


@dataclass(frozen=True)
class QdrantSettings:
    """A Qdrant server. Without ``url`` the embedded engine is used. ``api_key`` is a secret: it is never printed."""

    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    placement: Placement = field(default_factory=Placement)


@dataclass(frozen=True)
class SearchSettings:
    """``depth`` chunks are taken from each source before fusion.

    A re-ranker scores ``rerank_depth`` of them at most, and begins no new ones after ``rerank_seconds``.

    The catalogue keeps a log of searches for ``log_days``, none with 0.
    """

    depth: int = 200
    rerank_seconds: float = 0.5
    rerank_depth: int = 50
    log_days: int = 90

    def __post_init__(self) -> None:
        if not 10 <= self.depth <= 10_000:
            raise ValueError(f"depth must be 10 to 10000, not {self.depth}")
        if self.rerank_seconds <= 0 or not 1 <= self.rerank_depth <= 1000:
            raise ValueError("rerank_seconds must be above 0 and rerank_depth 1 to 1000")
        if not 0 <= self.log_days <= 36_500:
            raise ValueError(f"log_days must be 0 (no log) to 36500, not {self.log_days}")


@dataclass(frozen=True)
class IndexSettings:
    """How documents are read, cut, embedded and stored, and how they are searched."""

    encoders: tuple[EncoderSpec, ...] = PROFILES["default"]
    cross_encoder: CrossEncoderSpec | None = MS_MARCO_L12
    chunking: ChunkSettings = field(default_factory=ChunkSettings)
    limits: ReadLimits = field(default_factory=ReadLimits)
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    ocr: OcrSettings = field(default_factory=OcrSettings)
    qdrant: QdrantSettings = field(default_factory=QdrantSettings)
    search: SearchSettings = field(default_factory=SearchSettings)

    def __post_init__(self) -> None:
        names = [spec.name for spec in self.encoders]
        if not names:
            raise ValueError("at least one encoder must be configured")
        if len(set(names)) < len(names):
            raise ValueError(f"two encoders have the same name: {', '.join(sorted(names))}")
        for spec in self.encoders:
            if spec.max_tokens - reserved_tokens(spec) < SMALLEST_CHUNK:
                raise ValueError(
                    f"encoder {spec.name!r} reads {spec.max_tokens} tokens, of which {reserved_tokens(spec)} are kept "
                    f"for its prompt and special tokens: fewer than {SMALLEST_CHUNK} are left for a passage"
                )

    @property
    def tokens_per_chunk(self) -> int:
        """The budget of a chunk: that of ``chunking``, or of the encoder that reads least beside its prompt."""
        return min(self.chunking.max_tokens, *(spec.max_tokens - reserved_tokens(spec) for spec in self.encoders))


def reserved_tokens(spec: EncoderSpec) -> int:
    """Return the most tokens that an encoder may need beside a passage: a prompt has no more tokens than bytes."""
    return max(RESERVED_TOKENS, _SPECIAL_TOKENS + len(spec.document_prompt.encode()))
