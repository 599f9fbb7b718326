"""The family of generators: each makes drafts of queries from one document.

A generator may be asked for the same document again and then makes the same, as far as its model allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from mining.drafts import Draft, Material
from mining.generate_cloze import inverse_cloze
from mining.generate_definitions import definitions
from mining.generate_headings import headings
from mining.generate_models import endpoint, instruction, load_seq2seq, seq2seq
from mining.generate_settings import GenerateSettings

Generator = Callable[[Material, GenerateSettings], list[Draft]]

# Bump when the generators make other queries of the same documents and settings.
_VERSION = 1


def description(generator: str, settings: GenerateSettings) -> dict[str, Any]:
    """Return all that makes a generator's queries besides the document: settings, model, prompt, version."""
    made_by: dict[str, Any] = {
        "version": _VERSION,
        "per_document": settings.per_document,
        "depth": settings.depth,
        "seed": settings.seed,
    }
    if generator == "seq2seq" and settings.seq2seq:
        fingerprint = load_seq2seq(settings.seq2seq.directory).fingerprint
        made_by |= {**asdict(settings.seq2seq), "fingerprint": fingerprint}
    if generator == "endpoint" and settings.endpoint:
        wanted = settings.endpoint
        made_by |= {
            "url": wanted.url,
            "model": wanted.model,
            "per_passage": wanted.per_passage,
            "temperature": wanted.temperature,
            "instruction": instruction(wanted, "en"),
        }
    return made_by


GENERATORS: dict[str, Generator] = {
    "headings": headings,
    "definitions": definitions,
    "inverse_cloze": inverse_cloze,
    "seq2seq": seq2seq,
    "endpoint": endpoint,
}
