"""The settings of query generation, validated; they are stored with what they made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from chunking.checks import check_range

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")


@dataclass(frozen=True)
class Seq2SeqSettings:
    """``[generate.seq2seq]``: a Hugging Face directory of a sequence-to-sequence model that makes queries of passages.

    ``prompt`` stands before the passage, as the model was trained (``doc2query`` models want none). ``per_passage``
    queries of ``longest`` tokens at most are sampled for each of a document's drawn passages.
    """

    directory: str
    prompt: str = ""
    per_passage: int = 1
    longest: int = 48

    def __post_init__(self) -> None:
        check_range(self, "per_passage", 1, 20)
        check_range(self, "longest", 4, 512)
        if not self.directory:
            raise ValueError("directory is empty: name the folder that holds the model's config.json")


@dataclass(frozen=True)
class EndpointSettings:
    """``[generate.endpoint]``: a server that speaks OpenAI's chat completions.

    ``url`` ends before ``/chat/completions`` (``http://localhost:8000/v1``). The key is read from the environment
    variable named ``key_variable``; without that variable none is sent. ``seconds`` is how long one answer may take,
    ``concurrency`` how many are asked for at a time.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    per_passage: int = 1
    concurrency: int = 4
    seconds: float = 60.0
    temperature: float = 0.7

    def __post_init__(self) -> None:
        check_range(self, "per_passage", 1, 20)
        check_range(self, "concurrency", 1, 32)
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or port == 0 or parts.scheme not in ("http", "https"):
            raise ValueError("url must be the server's address, such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("url must hold no user, password or query: the key belongs into the environment")
        if not self.model:
            raise ValueError("model is empty: name the model that the server knows")
        if not _VARIABLE.fullmatch(self.key_variable):
            raise ValueError("key_variable must be the name of an environment variable, never the key itself")
        if not 1 <= self.seconds <= 3600:
            raise ValueError(f"seconds must be 1 to 3600, not {self.seconds:g}")
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature must be 0 to 2, not {self.temperature:g}")


@dataclass(frozen=True)
class GenerateSettings:
    """How queries are made where nobody judged any, and which are kept.

    ``generators`` are names of GENERATORS. Each tries at most ``per_document`` queries of a document, drawn with
    ``seed``. A query is kept when the passage it was made from, or a near-duplicate of it, is among the first ``depth``
    that the served release finds.
    """

    generators: tuple[str, ...] = ("headings", "definitions", "inverse_cloze")
    per_document: int = 50
    depth: int = 10
    seed: int = 13
    seq2seq: Seq2SeqSettings | None = None
    endpoint: EndpointSettings | None = None

    def __post_init__(self) -> None:
        check_range(self, "per_document", 1, 100_000)
        check_range(self, "depth", 1, 100)
        check_range(self, "seed", 0, 2**63 - 1)
        if not self.generators:
            raise ValueError("generators is empty: name one")
        if len(set(self.generators)) < len(self.generators):
            raise ValueError(f"a name stands twice in generators: {', '.join(self.generators)}")
        from mining.generators import GENERATORS

        for name in self.generators:
            if name not in GENERATORS:
                raise ValueError(f"unknown generator {name!r}; known: {', '.join(GENERATORS)}")
            if name in ("seq2seq", "endpoint") and getattr(self, name) is None:
                raise ValueError(f"generator {name!r} needs the table [generate.{name}]")
