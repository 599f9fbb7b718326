"""A local sequence-to-sequence model that writes queries for passages, as doc2query does (Nogueira & Lin 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from chunking.document import sha256_file
from indexing.generations import fingerprint_of
from indexing.home import SpecmineError

_MOST_CHOICES = 10  # the likeliest tokens that a next one is drawn from, as doc2query was published
_INPUT_TOKENS = 512
_BATCH = 4


class Seq2Seq:
    """A model of a Hugging Face directory: safetensors only, nothing from the network, no code out of the directory.

    Raises SpecmineError in one line when it cannot be loaded.
    """

    def __init__(self, directory: Path) -> None:
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._directory = directory
        if not (directory / "config.json").is_file():
            raise SpecmineError(f"{directory} holds no sequence-to-sequence model: there is no config.json in it")
        given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(str(directory), **given)
            self._model: Any = AutoModelForSeq2SeqLM.from_pretrained(
                str(directory), use_safetensors=True, dtype=torch.float32, **given
            ).eval()
        except Exception as error:  # the library raises many kinds for files that are not a model
            reason = " ".join(str(error).split())[:300]
            raise SpecmineError(f"the sequence-to-sequence model in {directory} cannot be loaded: {reason}") from None

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 over all files of the directory: other weights make other queries."""
        files = sorted(path for path in self._directory.iterdir() if path.is_file())
        return fingerprint_of([[path.name, sha256_file(path)] for path in files])

    def write(self, texts: Sequence[str], count: int, longest: int, seed: int) -> list[list[str]]:
        """Return ``count`` sampled outputs of at most ``longest`` tokens for each text, the same for the same seed."""
        written: list[list[str]] = []
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for first in range(0, len(texts), _BATCH):
                batch = list(texts[first : first + _BATCH])
                features = self._tokenizer(
                    batch, return_tensors="pt", padding=True, truncation=True, max_length=_INPUT_TOKENS
                )
                sequences = self._model.generate(
                    input_ids=features["input_ids"],
                    attention_mask=features["attention_mask"],
                    do_sample=True,
                    top_k=_MOST_CHOICES,
                    num_return_sequences=count,
                    max_new_tokens=longest,
                )
                outputs = self._tokenizer.batch_decode(sequences, skip_special_tokens=True)
                written.extend(outputs[place : place + count] for place in range(0, len(outputs), count))
        return written
