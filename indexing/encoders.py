"""Bi-encoders: the frozen document side, computed fast, and the query side, which is trained.

Both load a sentence-transformers directory (``indexing.models.fetch``), cut text at the encoder's ``max_tokens``
and give unit rows in float32, so that a dot product is the cosine. How long the rows were before is their norm, which
cosine forgets and hyperbolic distance does not. Weights are read from safetensors only.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, StaticEmbedding, Transformer
from tokenizers import Tokenizer
from torch import Tensor
from transformers.utils import logging as transformers_logging

from indexing.convert import ONNX_GRAPH
from indexing.encoders_compute import choose_dtype
from indexing.encoders_forms import FULL, head_place, merge, prepare
from indexing.home import Home, SpecmineError
from indexing.models import encoder_fingerprint, fetch, tokenizer_file, tokenizer_in
from indexing.specs import EncoderSpec
from indexing.weights_file import write_weights

__all__ = [
    "DocumentEncoder",
    "QueryEncoder",
    "encoder_fingerprint",
    "load_document_encoder",
    "load_query_encoder",
    "tokenizer_file",
]

# Padded tokens in one batch: larger ones leave the processor's caches (measured; memory is not the limit).
BATCH_TOKENS = 4096
# Texts tokenised ahead of the network: enough to sort by length, little enough to hold in memory.
WINDOW_TEXTS = 8192

Vectors = NDArray[np.float32]
Progress = Callable[[int], None]


class Embedded(NamedTuple):
    """A batch of texts embedded: ``unit`` (B, d) float32 unit rows, ``norms`` (B,) float32 their lengths before."""

    unit: Tensor
    norms: Tensor


Forward = Callable[[list[list[int]]], Embedded]


@dataclass(frozen=True)
class Network:
    """A loaded model and its tokenizer. ``pad_id`` fills short rows; static models use no special tokens."""

    model: SentenceTransformer
    tokenizer: Tokenizer
    pad_id: int
    is_static: bool

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, cut at the token limit; never an empty row."""
        encodings = self.tokenizer.encode_batch(
            [well_formed(text) for text in texts], add_special_tokens=not self.is_static
        )
        return [encoding.ids or [self.pad_id] for encoding in encodings]

    def forward(self, rows: list[list[int]]) -> Tensor:
        """Return (B, d) float32 unit rows, with gradient where the caller has it on."""
        return self.embed(rows).unit

    def embed(self, rows: list[list[int]]) -> Embedded:
        """Return unit rows and norms, with gradient where the caller has it on."""
        features = flat_features(rows) if self.is_static else padded_features(rows, self.pad_id)
        return self.finish(self.model[0](features))

    def features(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return what the first module makes of the texts."""
        rows = self.tokenize(texts)
        features = flat_features(rows) if self.is_static else padded_features(rows, self.pad_id)
        return dict(self.model[0](features))

    def finish(self, features: dict[str, Tensor], first: int = 1) -> Embedded:
        """Take what the modules below ``first`` gave through the others, in float32 whatever they computed in.

        The norm is that of what goes into the model's own normalisation, where it has one.
        """
        if "token_embeddings" in features:
            features["token_embeddings"] = features["token_embeddings"].float()
        norms: Tensor | None = None
        for module in list(self.model)[first:]:
            if norms is None and isinstance(module, Normalize):
                norms = features["sentence_embedding"].float().norm(dim=1)
            features = module(features)
        sentences = features["sentence_embedding"].float()
        unit = torch.nn.functional.normalize(sentences, dim=1)
        return Embedded(unit, sentences.norm(dim=1) if norms is None else norms)


class DocumentEncoder:
    """The frozen side. ``dtype`` is what it computes in ("float32", "bfloat16" or "int8"), measured at first use."""

    def __init__(self, spec: EncoderSpec, home: Home) -> None:
        directory = fetch(spec.source, home, spec.pooling)
        self.spec = spec
        self.fingerprint, self.dim = encoder_fingerprint(spec, home)
        self._network = load_network(spec, directory)
        self._forward: Forward = self._network.embed
        self.dtype = "float32"
        if spec.backend == "onnx":
            self._forward = onnx_forward(self._network, directory, spec)
            self.dtype = "int8"
        elif not self._network.is_static:
            first = self._network.model[0]
            dtype = choose_dtype(first.auto_model, home, spec.name, self.fingerprint, spec.max_tokens)
            first.auto_model.to(dtype)
            self.dtype = str(dtype).removeprefix("torch.")

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Return (n, dim) float32 unit rows, one for each text in order; (0, dim) for none.

        Identical texts are computed once. ``progress`` is called after every batch with the number of texts that are
        done so far, at the end n. Raises SpecmineError when a vector is not finite.
        """
        return self.embed_with_norms(texts, progress)[0]

    def embed_with_norms(self, texts: Sequence[str], progress: Progress | None = None) -> tuple[Vectors, Vectors]:
        """Return what ``embed`` does, and the rows' norms before they were normalised, (n,) float32."""
        places: dict[str, list[int]] = {}
        for place, text in enumerate(texts):
            places.setdefault(text, []).append(place)
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        norms = np.empty(len(texts), dtype=np.float32)
        prompt = self.spec.document_prompt
        done = 0
        for batch, vectors, lengths in embed_batches(list(places), prompt, self._network, self._forward):
            for text, vector, length in zip(batch, vectors, lengths, strict=True):
                rows[places[text]] = vector
                norms[places[text]] = length
            done += sum(len(places[text]) for text in batch)
            if progress is not None:
                progress(done)
        return checked(rows, self.spec.name), norms


class QueryEncoder:
    """The trained side: its own copy of the weights, float32, deterministic.

    ``version`` is "base" for the weights as published, else the id of a retrained version. ``document_fingerprint``
    names the document vectors these queries are compared with. ``form`` says what of the weights is trained and kept
    with a version (``indexing.encoders_forms``).
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
            for batch, vectors, lengths in embed_batches(
                distinct, self.spec.query_prompt, self._network, self._network.embed
            ):
                found = [places[text] for text in batch]
                rows[found], norms[found] = vectors, lengths
        wanted = [places[text] for text in texts]
        return checked(rows[wanted], self.spec.name), norms[wanted]

    def save_weights(self, path: Path) -> None:
        """Write what is trained as safetensors; the metadata bind it to the document vectors and the query prompt."""
        tensors = {name: tensor.detach().contiguous().clone() for name, tensor in self.trained_weights().items()}
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


def load_document_encoder(spec: EncoderSpec, home: Home) -> DocumentEncoder:
    """Return the document side of ``spec``. Raises SpecmineError in one line when its model cannot be had."""
    return DocumentEncoder(spec, home)


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


def load_network(spec: EncoderSpec, directory: Path) -> Network:
    """Load a model directory in float32 and evaluation mode, without network, pickle, foreign code or noise."""
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


def bare_transformer(directory: Path, spec: EncoderSpec) -> list[torch.nn.Module]:
    """Return the modules of a transformer that comes without ``modules.json``: the spec says how it pools."""
    transformer = Transformer(str(directory), model_kwargs={"use_safetensors": True, "local_files_only": True})
    return [transformer, Pooling(transformer.get_embedding_dimension(), pooling_mode=spec.pooling), Normalize()]


def limited_tokenizer(directory: Path, max_tokens: int) -> Tokenizer:
    """Return a model's tokenizer, cutting at ``max_tokens``, special tokens included, without padding.

    It is read from the file itself, which the fingerprint covers, not from what a library makes of it.
    """
    tokenizer = Tokenizer.from_file(str(tokenizer_in(directory)))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def named_weights(model: SentenceTransformer) -> dict[str, Tensor]:
    """Return the weights under names that do not depend on the library's version: module number and tensor name."""
    weights: dict[str, Tensor] = {}
    for number, module in enumerate(model):
        inner = module.auto_model if isinstance(module, Transformer) else module
        weights.update({f"{number}.{name}": tensor for name, tensor in inner.state_dict().items()})
    return weights


def well_formed(text: str) -> str:
    """Return text with lone surrogates (bytes of a command line that are not UTF-8) as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


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


def embed_batches(
    texts: Sequence[str], prompt: str, network: Network, forward: Forward
) -> Iterator[tuple[list[str], Vectors, Vectors]]:
    """Yield texts, their (B, d) unit vectors and their (B,) norms batch by batch, texts of similar length together."""
    for start in range(0, len(texts), WINDOW_TEXTS):
        window = texts[start : start + WINDOW_TEXTS]
        rows = network.tokenize([prompt + text for text in window])
        for batch in batches_by_length([len(row) for row in rows]):
            with torch.inference_mode():
                embedded = forward([rows[place] for place in batch])
            yield [window[place] for place in batch], embedded.unit.numpy(), embedded.norms.numpy()


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


def onnx_forward(network: Network, directory: Path, spec: EncoderSpec) -> Forward:
    """Return a forward pass whose transformer is the original int8 graph under onnxruntime."""
    import onnxruntime

    graph = directory / ONNX_GRAPH
    if not graph.is_file():
        raise SpecmineError(f'encoder {spec.name}: {directory} has no {ONNX_GRAPH}; set backend = "torch"')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    names = {argument.name for argument in session.get_inputs()}

    def forward(rows: list[list[int]]) -> Embedded:
        features: dict[str, Tensor] = padded_features(rows, network.pad_id)
        features["token_type_ids"] = torch.zeros_like(features["input_ids"])
        output: Any = session.run(["last_hidden_state"], {n: t.numpy() for n, t in features.items() if n in names})[0]
        return network.finish({"token_embeddings": torch.from_numpy(output), **features})

    return forward


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Switch dropout off for a block."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def checked(rows: Vectors, name: str) -> Vectors:
    """Return the rows; raise SpecmineError when any value is not finite."""
    if not np.isfinite(rows).all():
        raise SpecmineError(f"encoder {name} gave vectors that are not finite: its weights are damaged or diverged")
    return rows
