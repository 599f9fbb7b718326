"""Where a training computes: the processor, or an accelerator that torch knows.

Only what is computed moves. Vectors, checkpoints and versions are written from the processor's memory, so that a
training which began on one kind of machine goes on, and is served, on another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from indexing.home import SpecmineError

AUTO = "auto"
CPU = torch.device("cpu")


def check_device(name: str) -> None:
    """Raise ValueError unless ``name`` is "auto" or one of torch's names, such as "cpu", "cuda", "cuda:1", "mps"."""
    if name == AUTO:
        return
    try:
        torch.device(name)
    except RuntimeError:
        raise ValueError(f"device must be auto, cpu, cuda, cuda:1, mps, xpu, ..., not {name!r}") from None


def device_of(name: str) -> torch.device:
    """Return the device of that name; "auto" is the accelerator that torch finds, else the processor.

    Raises SpecmineError when it is not there.
    """
    if name == AUTO:
        return torch.accelerator.current_accelerator(check_available=True) or CPU
    device = torch.device(name)
    try:
        torch.zeros(1, device=device).item()
    # torch raises one of these where it was built without the device, or does not find it
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:200]
        raise SpecmineError(f'device "{name}" cannot be used: {reason}: set device = "auto" or "cpu"') from None
    return device


@contextmanager
def moved(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Have a module on a device for a block; afterwards it is on the processor, where it serves."""
    module.to(device)
    try:
        yield
    finally:
        module.to(CPU)
