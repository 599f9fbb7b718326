"""A world where the query's words are never the document's: only a trained query encoder can find anything.

A document states three concepts in the document's words; a query asks for them in the query's words. The tokens of
both languages have unrelated vectors, so that an untrained encoder is at chance and BM25 finds nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from evaluation.catalogue import Catalogue
from evaluation.judgements import Judgement, Query
from indexing.home import Home
from indexing.ingest import ingest
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import DirectorySource, EncoderSpec

CONCEPTS = 30
DIMENSION = 24


def _words(seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    consonants, vowels = list("bdfgklmnprstvz"), list("aeiou")
    return ["".join(random.choice(kind) for kind in (consonants, vowels) * 4) for _ in range(CONCEPTS)]


DOCUMENT_WORDS, QUERY_WORDS = _words(1), _words(2)


def write_static_encoder(directory: Path, seed: int = 0) -> Path:
    """A table of random token vectors for the words of both languages."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    directory.mkdir(parents=True)
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *DOCUMENT_WORDS, *QUERY_WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(directory / "tokenizer.json"))
    table = torch.randn(len(vocabulary), DIMENSION, generator=torch.Generator().manual_seed(seed))
    table[:2] = 0
    save_file({"embedding.weight": table}, directory / "model.safetensors", metadata={"format": "pt"})
    stage = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}
    (directory / "modules.json").write_text(json.dumps([stage]), encoding="utf-8")
    return directory


def concepts_of(documents: int, seed: int = 3) -> list[tuple[int, ...]]:
    """Three different concepts for each document, no two documents the same."""
    random = np.random.default_rng(seed)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < documents:
        found[tuple(sorted(random.choice(CONCEPTS, 3, replace=False).tolist()))] = None
    return list(found)


def question(concepts: Sequence[int], seed: int) -> str:
    """The concepts in the query's words, in an order of its own, the first one stressed."""
    order = np.random.default_rng(seed).permutation(len(concepts))
    asked = [QUERY_WORDS[concepts[place]] for place in order]
    return " ".join([*asked, asked[0]])


@dataclass
class World:
    """An index of one small document for each set of concepts, searched by two encoders, and its judged queries."""

    home: Home
    settings: IndexSettings
    catalogue: Catalogue

    def searcher(self) -> Searcher:
        return Searcher.open(self.home, self.settings)


PARTS = {"train": (0, 100, 2), "dev": (100, 140, 1), "guard": (140, 160, 1)}
"""Of each split: its first document, the one after its last, and how many queries ask for each."""


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, IndexSettings]:
    """160 documents, ingested once; every split asks for documents of its own, as PARTS says."""
    root = tmp_path_factory.mktemp("template")
    specs = tuple(
        EncoderSpec(name, DirectorySource(str(write_static_encoder(root / name, seed))), max_tokens=64)
        for seed, name in enumerate(("one", "two"))
    )
    settings = IndexSettings(encoders=specs, cross_encoder=None)
    home = Home(root / "home")
    folder = root / "documents"
    folder.mkdir()
    concepts = concepts_of(160)
    for number, stated in enumerate(concepts):
        text = " ".join(DOCUMENT_WORDS[concept] for concept in stated)
        (folder / f"d{number:03}.txt").write_text(f"{text}.\n", encoding="utf-8")
    ingest([folder], home, settings)
    catalogue = Catalogue(home.catalogue_url)
    for split, (first, last, copies) in PARTS.items():
        queries, judgements = [], []
        for number in range(first, last):
            for copy in range(copies):
                name = f"{split}-{number:03}-{copy}"
                queries.append(Query(name, question(concepts[number], 10 * number + copy), split))
                judgements.append(Judgement(name, f"d{number:03}.txt"))
        catalogue.import_split(split, queries, judgements)
    catalogue.close()
    return home, settings


@pytest.fixture
def world(tmp_path: Path, _template: tuple[Home, IndexSettings]) -> Iterator[World]:
    """A copy of the template for each test."""
    template, settings = _template
    home = Home(tmp_path / "home")
    shutil.copytree(template.root, home.root)
    catalogue = Catalogue(home.catalogue_url)
    yield World(home, settings, catalogue)
    catalogue.close()
