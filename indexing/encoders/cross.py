"""The cross-encoder: reads query and passage together and gives one logit.

Logits of different models, and of different collections, are not comparable: thresholds must be relative to the
score of a known positive (arXiv 2407.15831).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from indexing.encoders.compute import choose_dtype
from indexing.encoders.tokens import (
    WINDOW_TEXTS,
    Progress,
    batches_by_length,
    limited_tokenizer,
    padded_features,
    well_formed,
)
from indexing.home import Home, SpecmineError, read_json, write_json
from indexing.models.fetching import fetch
from indexing.models.fingerprints import cross_encoder_fingerprint
from indexing.specs import CrossEncoderSpec

# A batch in training: few enough that pairs of like length are together, and little is padded.
TRAINING_TOKENS = 1024
_TRAINED = "specmine_trained"


class CrossEncoder:
    """A sequence classifier with one label. ``truncated`` counts the pairs that were cut at ``max_tokens`` so far.

    ``directory`` is where its model lies, ``trained_on`` the ledger that specmine trained it on, None for a pretrained
    one. Unless ``exact``, what is in float32 then, it computes with whichever arithmetic was measured to be faster.
    """

    def __init__(self, spec: CrossEncoderSpec, home: Home, exact: bool = False) -> None:
        self.directory = fetch(spec.source, home)
        self.spec = spec
        self.fingerprint = cross_encoder_fingerprint(spec, home)
        self.truncated = 0
        self._tokenizer = limited_tokenizer(self.directory, spec.max_tokens)
        self._model = _load(spec, str(self.directory))
        self._pad_id = self._model.config.pad_token_id or 0
        self.trained_on = trained_on(self._model.config)
        dtype = torch.float32
        if not exact:
            dtype = choose_dtype(self._model.base_model, home, spec.name, self.fingerprint, spec.max_tokens)
            self._model.base_model.to(dtype)
        _keep_head_exact(self._model)
        self.dtype = str(dtype).removeprefix("torch.")

    @property
    def module(self) -> torch.nn.Module:
        """The model as torch sees it: what a training changes."""
        return self._model  # type: ignore[no-any-return]

    def judges(self, language: str) -> bool:
        """Tell whether the model can judge text in ``language``, an ISO 639-1 code ("en", also "en-GB")."""
        return language.lower().partition("-")[0] in self.spec.languages

    def score(self, pairs: Sequence[tuple[str, str]], progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (n,) float32 logits of (query, passage) pairs, in order; higher is better, no sigmoid.

        The longer side is cut where a pair exceeds ``max_tokens``. ``progress`` is called after every batch with the
        number of pairs done so far. Raises SpecmineError when a score is not finite.
        """
        scores = np.empty(len(pairs), dtype=np.float32)
        done = 0
        for start in range(0, len(pairs), WINDOW_TEXTS):
            window = [(well_formed(query), well_formed(text)) for query, text in pairs[start : start + WINDOW_TEXTS]]
            encodings = self._tokenizer.encode_batch(window)
            self.truncated += sum(bool(encoding.overflowing) for encoding in encodings)
            for batch in batches_by_length([len(encoding.ids) for encoding in encodings]):
                places = [start + place for place in batch]
                with torch.inference_mode():
                    scores[places] = self._logits([encodings[place] for place in batch]).cpu().numpy()
                done += len(batch)
                if progress is not None:
                    progress(done)
        if not np.isfinite(scores).all():
            raise SpecmineError(f"cross-encoder {self.spec.name} gave scores that are not finite: fetch it again")
        return scores

    def forward_pairs(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """Return (n,) float32 logits of pairs, in order, with their gradient."""
        encodings = self._tokenizer.encode_batch([(well_formed(query), well_formed(text)) for query, text in pairs])
        order: list[int] = []
        logits: list[Tensor] = []
        for batch in batches_by_length([len(encoding.ids) for encoding in encodings], TRAINING_TOKENS):
            order += batch
            logits.append(self._logits([encodings[place] for place in batch]))
        return torch.cat(logits)[torch.tensor(order).to(logits[0].device).argsort()]

    def _logits(self, encodings: Sequence[Any]) -> Tensor:
        features = padded_features([encoding.ids for encoding in encodings], self._pad_id)
        if getattr(self._model.config, "type_vocab_size", 0) > 1:
            types = padded_features([encoding.type_ids for encoding in encodings], pad_id=0)
            features["token_type_ids"] = types["input_ids"]
        device = next(self._model.parameters()).device
        logits: Tensor = self._model(**{name: tensor.to(device) for name, tensor in features.items()}).logits
        return logits.float()[:, 0]


def load_cross_encoder(spec: CrossEncoderSpec, home: Home, exact: bool = False) -> CrossEncoder:
    """Return the cross-encoder of ``spec``. Raises SpecmineError in one line when its model cannot be had."""
    return CrossEncoder(spec, home, exact)


def save_cross_encoder(encoder: CrossEncoder, directory: Path, ledger: str) -> None:
    """Write a model that was trained on ``ledger`` into an empty directory.

    The directory can be loaded by ``sentence_transformers.CrossEncoder``, by transformers and by this file. Its
    configuration names the ledger, so that it is never taken for an independent judge of what it learned from.
    """
    for name in ("tokenizer.json", "special_tokens_map.json", "vocab.txt"):
        if (encoder.directory / name).is_file():
            shutil.copyfile(encoder.directory / name, directory / name)
    tokenizer = read_json(encoder.directory / "tokenizer_config.json")
    config = read_json(encoder.directory / "config.json")
    # Others must cut where this file cuts, and tell the passage from the query: an input that is not named is left out.
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if config.get("type_vocab_size", 0) > 1 else [])]
    tokenizer |= {"model_max_length": encoder.spec.max_tokens, "model_input_names": inputs}
    write_json(directory / "tokenizer_config.json", tokenizer)
    # Without it sentence-transformers puts a sigmoid on top of the logit.
    activation = {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}
    write_json(directory / "config.json", {**config, **activation, _TRAINED: {"ledger": ledger}})
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.module.state_dict().items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


def trained_on(config: Any) -> str | None:
    """Return the ledger that a model's configuration says it was trained on."""
    trained = getattr(config, _TRAINED, None)
    return str(trained.get("ledger", "")) if isinstance(trained, dict) else None


def _load(spec: CrossEncoderSpec, directory: str) -> Any:
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            directory, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SpecmineError(f"cross-encoder {spec.name}: {directory} cannot be loaded: {reason}") from None
    if model.config.num_labels != 1:
        raise SpecmineError(f"cross-encoder {spec.name} has {model.config.num_labels} labels instead of one logit")
    positions = getattr(model.config, "max_position_embeddings", spec.max_tokens)
    if spec.max_tokens > positions:
        raise SpecmineError(f"cross-encoder {spec.name} reads at most {positions} tokens: lower its max_tokens")
    return model.eval()


def _keep_head_exact(model: Any) -> None:
    """Keep pooler and classifier in float32: bfloat16 has steps of 1/16 where logits lie near -10."""
    pooler = getattr(model.base_model, "pooler", None)
    head = [child for child in model.children() if child is not model.base_model]
    for module in [pooler, *head] if pooler is not None else head:
        module.float()
        module.forward = _exactly(module.forward)


def _exactly(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def exact(*inputs: Tensor) -> Tensor:
        with torch.autocast(inputs[0].device.type, enabled=False):
            return forward(*(tensor.float() for tensor in inputs))

    return exact
