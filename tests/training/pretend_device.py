"""A second device for machines without one: tensors that say they are elsewhere, and compute on the processor.

torch lets a tensor of any device stand for another tensor. Those here say "meta", hold their values in the processor's
memory, and compute there what torch asks of them; whatever mixes them with the processor's own tensors is an error, as
it is on an accelerator. Results are those of the processor, bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("meta")
_ACROSS = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}


class Elsewhere(torch.Tensor):
    """A tensor on the pretended device; ``held`` are its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Elsewhere:
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=ELSEWHERE,
        )  # fmt: skip
        made.held = held
        return made

    def tolist(self) -> Any:
        """Return the values; torch gives those of its own devices alone."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(op, args, kwargs or {})


class PretendedDevice(TorchDispatchMode):
    """Within it, what is made on ``ELSEWHERE`` or moved there is an ``Elsewhere``."""

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(op, args, kwargs or {})


def _compute(op: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    elsewhere = any(isinstance(tensor, Elsewhere) for tensor in tensors)
    # A single number may come from the processor, as on every device.
    here = any(not isinstance(tensor, Elsewhere) and tensor.dim() > 0 for tensor in tensors)
    if elsewhere and here and op not in _ACROSS:
        raise RuntimeError(f"{op} mixes tensors of two devices")
    device = kwargs.get("device")
    if device is not None:
        elsewhere = torch.device(device) == ELSEWHERE
        kwargs = {**kwargs, "device": torch.device("cpu")}
    found = op(*_mapped(_values, args), **_mapped(_values, kwargs))
    if op._schema.name.endswith("_"):  # it changed its first argument
        return args[0]
    return _mapped(_wrapped, found) if elsewhere else found


def _mapped(change: Callable[[Any], Any], tree: Any) -> Any:
    return tree_map(change, tree)


def _values(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, Elsewhere) else leaf


def _wrapped(leaf: Any) -> Any:
    return Elsewhere(leaf) if isinstance(leaf, torch.Tensor) and not isinstance(leaf, Elsewhere) else leaf
