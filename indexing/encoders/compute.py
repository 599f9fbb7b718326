"""How a processor computes fastest: which arithmetic, measured once for each model, and on how many threads."""

from __future__ import annotations

import copy
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from indexing.home import Home, read_json, write_json

ROWS, TOKENS, ROUNDS = 8, 128, 3
# bfloat16 must pay for its rounding, and must not change what a text means.
MINIMUM_SPEED_UP = 1.2
MINIMUM_COSINE = 0.999


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute what the calling thread does in the block without helpers.

    A query is too short to share: on a processor that others use as well, threads that wait for each other at every
    layer took ten times the processor time (measured: 150 ms in the place of 15), and a server has other queries for
    its other cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_dtype(transformer: Any, home: Home, name: str, fingerprint: str, max_tokens: int) -> torch.dtype:
    """Return float32 or bfloat16 for a transformer on this processor, and keep the measurement.

    It lies in ``models/compute/<name>.json`` and is repeated when the weights, the processor or torch changed.
    """
    path = home.models / "compute" / f"{name}.json"
    here = {"fingerprint": fingerprint, "processor": processor(), "torch": torch.__version__}
    record = read_json(path) if path.is_file() else {}
    if {key: record.get(key) for key in here} != here:
        record = here | measure(transformer, min(TOKENS, max_tokens))
        path.parent.mkdir(exist_ok=True)
        write_json(path, record)
    return torch.bfloat16 if record["dtype"] == "bfloat16" else torch.float32


def measure(transformer: Any, tokens: int) -> dict[str, Any]:
    """Time both arithmetics on the same random tokens; return the choice and what it rests on."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, transformer.config.vocab_size, (ROWS, tokens), generator=generator)
    rounded = copy.deepcopy(transformer).to(torch.bfloat16)
    seconds, exact = _run(transformer, ids)
    rounded_seconds, approximate = _run(rounded, ids)
    cosine = float(torch.nn.functional.cosine_similarity(exact, approximate, dim=1).min())
    pays = seconds / rounded_seconds >= MINIMUM_SPEED_UP and cosine >= MINIMUM_COSINE
    return {
        "dtype": "bfloat16" if pays else "float32",
        "tokens_per_second": {
            "float32": round(ids.numel() / seconds),
            "bfloat16": round(ids.numel() / rounded_seconds),
        },
        "cosine": round(cosine, 6),
    }


def _run(transformer: Any, ids: Tensor) -> tuple[float, Tensor]:
    """Return the best time of a few rounds, and the first output as (rows, values) float32."""
    best = float("inf")
    with torch.inference_mode():
        output = transformer(input_ids=ids, attention_mask=torch.ones_like(ids))[0]
        for _ in range(ROUNDS):
            start = time.perf_counter()
            transformer(input_ids=ids, attention_mask=torch.ones_like(ids))
            best = min(best, time.perf_counter() - start)
    return best, output.float().reshape(len(ids), -1)


def processor() -> str:
    """Return the processor's name as the kernel gives it, or its architecture, with torch's instruction set."""
    name = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
