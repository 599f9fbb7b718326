"""The query side of a bi-encoder: trained, in float32, and read back from the weights of a version."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from torch import Tensor

from indexing.encoders.forms import FULL, head_place, merge, prepare
from indexing.encoders.graph import OnnxTransformer, check_head
from indexing.encoders.loading import load_network
from indexing.encoders.network import Embedded, Vectors, checked, embed_batches, named_weights
from indexing.home import Home, SpecmineError
from indexing.models.fetching import fetch
from indexing.models.fingerprints import encoder_fingerprint
from indexing.specs import EncoderSpec
from indexing.weights_file import write_weights


class QueryEncoder:
    """The trained side: its own copy of the weights, float32, deterministic.

    ``version`` is "base" for the weights as published, else the id of a retrained version. ``document_fingerprint``
    names the document vectors these queries are compared with. ``form`` says what of the weights is trained and kept
    with a version (``indexing.encoders.forms``).
    """

    def __init__(self, spec: EncoderSpec, home: Home, weights: Path | None = None, version: str = "base") -> None:
        directory = fetch(spec.source, home, spec.pooling)
        self.spec = spec
        self.version = "base"
        self.document_fingerprint, self.dim = encoder_fingerprint(spec, home)
        self._network = load_network(spec, directory)
        self.form = FULL
        self._below_head: dict[str, Tensor] = {}
        if weights is not None:
            self.take_form(_form_of(weights))
            self.load_weights(weights)
        self.version = version

    @property
    def module(self) -> torch.nn.Module:
        """The network to train; in evaluation mode (no dropout) until the trainer calls ``train()``."""
        return self._network.model

    def take_form(self, form: str) -> None:
        """Train this of the weights from now on. Raises SpecmineError when the encoder has no such part.

        An encoder that holds a trained version keeps its form.
        """
        if isinstance(self._network.model[0], OnnxTransformer):
            check_head(self.spec.name, form)
        if form == self.form:
            return
        if self.version != "base":  # a version of the new form would be read back on top of the published weights
            raise SpecmineError(f"encoder {self.spec.name} was trained as {self.form}: it cannot go on as {form}")
        try:
            model = prepare(self._network.model, form)
        except ValueError as error:
            raise SpecmineError(f"encoder {self.spec.name} cannot be trained as {form}: {error}") from None
        self._network = replace(self._network, model=model.eval())
        self.form = form

    def forward_tokens(self, texts: Sequence[str]) -> Embedded:
        """Embed the queries as one batch, with gradient to ``module``'s weights.

        What lies below a head is frozen: each text is computed once, without dropout.
        """
        first = head_place(self._network.model)
        if first is None:
            return self._network.embed(self._network.tokenize([self.spec.query_prompt + text for text in texts]))
        missing = [text for text in dict.fromkeys(texts) if text not in self._below_head]
        if missing:
            with evaluating(self._network.model), torch.no_grad():
                features = self._network.features([self.spec.query_prompt + text for text in missing])
                for module in list(self._network.model)[1:first]:
                    features = module(features)
            self._below_head.update(zip(missing, features["sentence_embedding"].float(), strict=True))
        below = torch.stack([self._below_head[text] for text in texts])
        return self._network.finish({"sentence_embedding": below}, first)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dim) float32 unit rows of queries, in order, without gradient and without dropout."""
        return self.embed_with_norms(texts)[0]

    def embed_with_norms(self, texts: Sequence[str]) -> tuple[Vectors, Vectors]:
        """Return what ``embed`` does, and the rows' norms before they were normalised, (n,) float32."""
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        norms = np.empty(len(texts), dtype=np.float32)
        distinct = list(dict.fromkeys(texts))
        places = {text: place for place, text in enumerate(distinct)}
        with evaluating(self._network.model):
            for batch, vectors, lengths in embed_batches(distinct, self.spec.query_prompt, self._network):
                found = [places[text] for text in batch]
                rows[found], norms[found] = vectors, lengths
        wanted = [places[text] for text in texts]
        return checked(rows[wanted], self.spec.name), norms[wanted]

    def save_weights(self, path: Path) -> None:
        """Write what is trained as safetensors; the metadata bind it to the document vectors and the query prompt."""
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.trained_weights().items()}
        write_weights(path, tensors, {"format": "pt", **self._binding()})

    def load_weights(self, path: Path) -> None:
        """Replace the weights by those of ``save_weights``.

        Raises SpecmineError in one line when the file is damaged, belongs to another encoder or to document vectors
        of another fingerprint, was trained with another query prompt, or holds another form.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise SpecmineError(
                f"query-encoder weights {path} cannot be read: {' '.join(str(error).split())}"
            ) from None
        for key, wanted in self._binding().items():
            if metadata.get(key) != wanted:
                raise SpecmineError(
                    f"query-encoder weights {path} belong to {key} {metadata.get(key)!r}, encoder {self.spec.name} has "
                    f"{wanted!r}: retrain it for this index, or serve the release it was made for"
                )
        weights = self.trained_weights()
        if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in stored.items()}:
            raise SpecmineError(f"query-encoder weights {path} have other tensors than encoder {self.spec.name}")
        with torch.no_grad():
            for name, tensor in weights.items():
                tensor.copy_(stored[name])

    def export(self, directory: Path) -> None:
        """Write a sentence-transformers directory: these weights, this encoder's prompts and limit of tokens."""
        if isinstance(self._network.model[0], OnnxTransformer):
            raise SpecmineError(
                f"encoder {self.spec.name} is there as an ONNX graph alone, which sentence-transformers cannot hold "
                "without more libraries: take the head's weights along, model.safetensors of the version"
            )
        model = merge(copy.deepcopy(self._network.model))
        first = model[0]
        if isinstance(first, StaticEmbedding):
            first.tokenizer.enable_truncation(self.spec.max_tokens)
        else:
            model.max_seq_length = self.spec.max_tokens
        model.prompts = {"query": self.spec.query_prompt, "document": self.spec.document_prompt}
        model.save_pretrained(str(directory), create_model_card=False)

    def trained_weights(self) -> dict[str, Tensor]:
        """Return the tensors that a version of this form holds: all of ``full``, else those that are trained."""
        weights = named_weights(self._network.model)
        if self.form == FULL:
            return weights
        trained = {parameter.data_ptr() for parameter in self._network.model.parameters() if parameter.requires_grad}
        return {name: tensor for name, tensor in weights.items() if tensor.data_ptr() in trained}

    def _binding(self) -> dict[str, str]:
        bound = {"document_fingerprint": self.document_fingerprint, "query_prompt": self.spec.query_prompt}
        return bound if self.form == FULL else bound | {"form": self.form}


def load_query_encoder(
    spec: EncoderSpec, home: Home, weights: Path | None = None, version: str = "base"
) -> QueryEncoder:
    """Return the query side of ``spec``, with retrained ``weights`` where given. Raises as ``load_weights``."""
    return QueryEncoder(spec, home, weights, version)


def _form_of(weights: Path) -> str:
    """Return the form that a file of weights holds; ``full`` where the file cannot tell, for its reader to refuse."""
    try:
        with safe_open(weights, framework="pt") as file:
            return str((file.metadata() or {}).get("form", FULL))
    except (SafetensorError, OSError):
        return FULL


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Switch dropout off for a block."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
