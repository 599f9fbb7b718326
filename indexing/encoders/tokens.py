"""Texts as networks read them: token ids, cut at a limit, in batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from indexing.models.fetching import tokenizer_in

# Padded tokens in one batch: larger ones leave the processor's caches (measured; memory is not the limit).
BATCH_TOKENS = 4096
# Texts tokenised ahead of the network: enough to sort by length, little enough to hold in memory.
WINDOW_TEXTS = 8192

Progress = Callable[[int], None]


def well_formed(text: str) -> str:
    """Return text with lone surrogates (bytes of a command line that are not UTF-8) as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def limited_tokenizer(directory: Path, max_tokens: int) -> Tokenizer:
    """Return a model's tokenizer, cutting at ``max_tokens``, special tokens included, without padding.

    It is read from the file itself, which the fingerprint covers, not from what a library makes of it.
    """
    tokenizer = Tokenizer.from_file(str(tokenizer_in(directory)))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def padded_features(rows: list[list[int]], pad_id: int) -> dict[str, Tensor]:
    """Return ``input_ids`` and ``attention_mask``, both (B, longest) int64."""
    longest = max(len(row) for row in rows)
    ids = np.full((len(rows), longest), pad_id, dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def flat_features(rows: list[list[int]]) -> dict[str, Tensor]:
    """Return what an embedding bag reads: all ids in one (T,) tensor, and where each text begins, (B,)."""
    lengths = [len(row) for row in rows]
    return {
        "input_ids": torch.tensor([token for row in rows for token in row], dtype=torch.long),
        "offsets": torch.tensor(np.cumsum([0, *lengths[:-1]]), dtype=torch.long),
    }


def batches_by_length(lengths: Sequence[int], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Yield the places of all rows, longest first, no padded batch above ``batch_tokens``; one row always fits.

    Longest first, so that a machine with too little memory fails at the start and estimates of the time left hold.
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // lengths[order[start]])
        yield order[start : start + size]
        start += size
