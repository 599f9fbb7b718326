"""A bi-encoder's network, loaded from a model directory (``indexing.models.fetching.fetch``).

Weights are read from safetensors only, or from an ONNX graph.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, StaticEmbedding, Transformer
from transformers.utils import logging as transformers_logging

from indexing.encoders.graph import OnnxTransformer, graph_alone, graph_in, lengths_of
from indexing.encoders.network import Network
from indexing.encoders.tokens import limited_tokenizer
from indexing.home import SpecmineError
from indexing.specs import EncoderSpec


def load_network(spec: EncoderSpec, directory: Path) -> Network:
    """Load a model directory in float32 and evaluation mode, without network, pickle, foreign code or noise."""
    if graph := graph_alone(directory):
        return _graph_network(spec, directory, graph)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = SentenceTransformer(
            str(directory) if (directory / "modules.json").is_file() else None,
            modules=None if (directory / "modules.json").is_file() else bare_transformer(directory, spec),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SpecmineError(f"encoder {spec.name}: {directory} cannot be loaded: {reason}") from None
    model.float().eval()
    first = model[0]
    tokenizer = limited_tokenizer(directory, spec.max_tokens)
    if isinstance(first, StaticEmbedding):
        return Network(model, tokenizer, pad_id=0, is_static=True)
    if not isinstance(first, Transformer):
        raise SpecmineError(f"encoder {spec.name}: {directory} is not a text transformer; choose another model")
    positions = getattr(first.auto_model.config, "max_position_embeddings", math.inf)
    if spec.max_tokens > min(positions, first.tokenizer.model_max_length):
        raise SpecmineError(f"encoder {spec.name} reads at most {positions} tokens: lower its max_tokens")
    return Network(model, tokenizer, pad_id=first.tokenizer.pad_token_id or 0, is_static=False)


def _graph_network(spec: EncoderSpec, directory: Path, graph: Path) -> Network:
    """Return a network whose transformer is the graph; the spec says how it pools."""
    if spec.backend != "onnx":
        raise SpecmineError(
            f'encoder {spec.name}: {directory} holds an ONNX graph and no weights (*.safetensors): set backend = "onnx"'
        )
    dimension, positions, pad_id = lengths_of(directory)
    if spec.max_tokens > positions:
        raise SpecmineError(f"encoder {spec.name} reads at most {positions} tokens: lower its max_tokens")
    modules = [OnnxTransformer(graph), Pooling(dimension, pooling_mode=spec.pooling), Normalize()]
    model = SentenceTransformer(modules=modules, device="cpu").eval()
    return Network(model, limited_tokenizer(directory, spec.max_tokens), pad_id, is_static=False)


def with_graph(network: Network, directory: Path, spec: EncoderSpec) -> Network:
    """Return the network with the original graph, mostly int8, in the place of the transformer."""
    if isinstance(network.model[0], OnnxTransformer):
        return network
    graph = graph_in(directory)
    if graph is None:
        raise SpecmineError(f'encoder {spec.name}: {directory} has no onnx/model.onnx; set backend = "torch"')
    modules = [OnnxTransformer(graph), *list(network.model)[1:]]
    return replace(network, model=SentenceTransformer(modules=modules, device="cpu").eval())


def bare_transformer(directory: Path, spec: EncoderSpec) -> list[torch.nn.Module]:
    """Return the modules of a transformer that comes without ``modules.json``: the spec says how it pools."""
    transformer = Transformer(str(directory), model_kwargs={"use_safetensors": True, "local_files_only": True})
    return [transformer, Pooling(transformer.get_embedding_dimension(), pooling_mode=spec.pooling), Normalize()]
