"""The configured pretrained models as one object: which are fetched, and whether their files are as recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flows.settings import Settings
from indexing.models.fetching import tokenizer_file
from indexing.models.status import status
from indexing.specs import CrossEncoderSpec, EncoderSpec


def states(settings: Settings, verify: bool = False) -> dict[str, Any]:
    """Return the state of every configured model; ``verify`` reads each file and compares its SHA-256."""
    return {"models": [asdict(state) for state in status(_configured(settings), settings.open_home(), verify=verify)]}


def fetch(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """Fetch what is not there, calling ``say`` with each model's name, and return the states."""
    home = settings.open_home()
    for spec in _configured(settings):
        say(spec.name)
        tokenizer_file(spec, home)
    return states(settings)


def _configured(settings: Settings) -> list[EncoderSpec | CrossEncoderSpec]:
    index = settings.index()
    return [*index.encoders, *([index.cross_encoder] if index.cross_encoder else [])]
