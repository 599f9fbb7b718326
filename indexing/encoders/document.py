"""The document side of a bi-encoder: frozen, and computed fast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexing.encoders.compute import choose_dtype
from indexing.encoders.loading import load_network, with_graph
from indexing.encoders.network import Vectors, checked, embed_batches
from indexing.encoders.tokens import Progress
from indexing.home import Home
from indexing.models.fetching import fetch
from indexing.models.fingerprints import encoder_fingerprint
from indexing.specs import EncoderSpec


class DocumentEncoder:
    """The frozen side.

    ``dtype`` is what it computes in: "float32" or "bfloat16", measured at first use, or "onnx", as its graph has it.
    """

    def __init__(self, spec: EncoderSpec, home: Home) -> None:
        directory = fetch(spec.source, home, spec.pooling)
        self.spec = spec
        self.fingerprint, self.dim = encoder_fingerprint(spec, home)
        self._network = load_network(spec, directory)
        self.dtype = "float32"
        if spec.backend == "onnx":
            self._network = with_graph(self._network, directory, spec)
            self.dtype = "onnx"
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
        for batch, vectors, lengths in embed_batches(list(places), prompt, self._network):
            for text, vector, length in zip(batch, vectors, lengths, strict=True):
                rows[places[text]] = vector
                norms[places[text]] = length
            done += sum(len(places[text]) for text in batch)
            if progress is not None:
                progress(done)
        return checked(rows, self.spec.name), norms


def load_document_encoder(spec: EncoderSpec, home: Home) -> DocumentEncoder:
    """Return the document side of ``spec``. Raises SpecmineError in one line when its model cannot be had."""
    return DocumentEncoder(spec, home)
