"""Transformers as ONNX graphs: run by onnxruntime, frozen; in the place of one that torch holds, or of none.

An encoder that is published as a graph alone can be searched, and of its query side a head on top can be trained
(``indexing.encoders.forms``). The graph must read ``input_ids``, and may read ``attention_mask`` and
``token_type_ids``; it must give ``last_hidden_state``, a vector for each token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from indexing.encoders.forms import parse
from indexing.home import SpecmineError, read_json

_OUTPUTS = ("last_hidden_state", "token_embeddings")
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


class OnnxTransformer(nn.Module):
    """A graph in the place of a sentence-transformers ``Transformer``; it has no weights that torch knows."""

    def __init__(self, graph: Path) -> None:
        import onnxruntime  # half a second that no other encoder needs

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises errors of many kinds; all mean that it cannot run the graph
            reason = " ".join(str(error).split())[:300]
            raise SpecmineError(f"{graph} cannot be run by onnxruntime: {reason}") from None
        self._inputs = {argument.name for argument in self._session.get_inputs()}
        outputs = {argument.name: argument for argument in self._session.get_outputs()}
        output = next((name for name in _OUTPUTS if name in outputs), None)
        if unknown := self._inputs - _INPUTS:
            raise SpecmineError(f"{graph} reads {', '.join(sorted(unknown))}, which is not known here: choose another")
        if output is None:
            raise SpecmineError(f"{graph} gives {', '.join(sorted(outputs))} and no last_hidden_state: choose another")
        self._output = output

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add (B, T, d) ``token_embeddings`` to (B, T) ``input_ids`` and ``attention_mask``."""
        given = {**features, "token_type_ids": torch.zeros_like(features["input_ids"])}
        fed = {name: given[name].cpu().numpy() for name in self._inputs}
        found: Any = self._session.run([self._output], fed)[0]
        return {**features, "token_embeddings": torch.from_numpy(found).to(features["input_ids"].device)}


def graph_in(directory: Path) -> Path | None:
    """Return the ONNX graph of a model directory, None where it has none."""
    found = (directory / name for name in ("onnx/model.onnx", "model.onnx"))
    return next((path for path in found if path.is_file()), None)


def graph_alone(directory: Path) -> Path | None:
    """Return the graph of a model that has no weights that torch could hold, None for any other."""
    return None if any(directory.rglob("*.safetensors")) else graph_in(directory)


def check_head(name: str, form: str) -> None:
    """Raise SpecmineError unless a form trains what can be trained of an encoder that is a graph alone."""
    if parse(form)[0] != "head":
        raise SpecmineError(
            f"encoder {name} is there as an ONNX graph alone, of which only a head can be trained, not {form!r}: "
            'set form = "head:64" and learning_rate = 1e-3 in [train]'
        )


def lengths_of(directory: Path) -> tuple[int, int, int]:
    """Return the length of the vectors, the most tokens that are read, and the token that fills short rows.

    They are those of the model's ``config.json``.
    """
    config = read_json(directory / "config.json")
    return (
        int(config["hidden_size"]),
        int(config.get("max_position_embeddings", 2**31)),
        int(config.get("pad_token_id") or 0),
    )
