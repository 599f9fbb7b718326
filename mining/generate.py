"""Query generation: an index without judged queries in, synthetic queries in the catalogue out.

For each document that changed, let every generator make drafts, drop what repeats a judged or a synthetic query, search
for the rest in the served release, keep what comes back, and store it before the next document: a run that is killed
continues there.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Protocol

from chunking.document import Document
from chunking.language import language
from chunking.stored import load
from evaluation.catalogue import Catalogue
from evaluation.judgements import SYNTHETIC, Judgement, Query, synthetic_id
from evaluation.leakage import NearCopies
from evaluation.synthetic import Generated, SyntheticQuery
from indexing.generations import IndexedDocument, document_folder, fingerprint_of
from indexing.home import Home, SpecmineError
from mining.agreement import Agreement
from mining.candidates import Retriever
from mining.drafts import Draft, Material, Vocabulary
from mining.generate_cloze import inverse_cloze
from mining.generate_settings import GenerateSettings
from mining.generators import GENERATORS, description
from mining.pair_scores import Judge
from mining.round_trip import Asked, RoundTrip
from mining.scoring import Progress
from mining.settings import MineSettings

LIKE_JUDGED = "repeats a judged query"
LIKE_SYNTHETIC = "repeats another synthetic query"
NOT_A_QUERY = "too long for a query"

_LONGEST = 300  # characters
_ENOUGH_JUDGED = 20  # training queries of a language by which its cross-encoder can be measured
_JUDGED, _MADE = "judged", "synthetic"


class Index(Retriever, Protocol):
    """What generation needs of ``indexing.search.Searcher``."""

    @property
    def documents(self) -> Mapping[str, IndexedDocument]:
        """The indexed documents by id."""
        ...


@dataclass(frozen=True)
class Scope:
    """What one run is to do. ``documents`` are names or patterns with ``*``, all where empty; ``limit`` ends the run
    when so many queries were kept; ``dry_run`` stores nothing.
    """

    documents: tuple[str, ...] = ()
    limit: int | None = None
    dry_run: bool = False


@dataclass
class OfGenerator:
    """What one generator did: queries made, kept, dropped by reason, and at which rank the kept ones' passages were."""

    documents: int = 0
    made: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    ranks: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class GenerateReport:
    """What a run did. ``made`` is ``kept`` and ``dropped`` together, for each generator.

    ``unchanged`` counts the (document, generator) that stood; ``removed`` the queries of documents that are gone.
    ``trust`` is how the cross-encoder was found to judge each language and ``trust_measured_on`` whether on judged or
    synthetic queries.
    """

    documents: int
    unchanged: int
    removed: int
    kept: int
    generators: dict[str, OfGenerator]
    trust: dict[str, Agreement]
    trust_measured_on: dict[str, str]
    dry_run: bool
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the report with the keys other programs rely on."""
        generators = {
            name: {
                "documents": done.documents,
                "made": done.made,
                "kept": done.kept,
                "dropped": dict(sorted(done.dropped.items())),
                "ranks": dict(sorted(done.ranks.items())),
                "seconds": round(done.seconds, 2),
                "examples": done.examples,
            }
            for name, done in self.generators.items()
        }
        trust = {
            tongue: {
                "auc": found.auc,
                "queries": found.queries,
                "distrust": found.distrust,
                "measured_on": self.trust_measured_on[tongue],
            }
            for tongue, found in self.trust.items()
        }
        return {
            "documents": self.documents,
            "unchanged": self.unchanged,
            "removed": self.removed,
            "kept": self.kept,
            "generators": generators,
            "trust": trust,
            "dry_run": self.dry_run,
            "seconds": round(self.seconds, 2),
        }


def generate(
    searcher: Index,
    catalogue: Catalogue,
    judged: Sequence[Asked],
    judge: Judge | None,
    settings: GenerateSettings,
    mining: MineSettings,
    home: Home,
    scope: Scope,
    progress: Progress | None = None,
) -> GenerateReport:
    """Make queries for the documents in ``scope`` and store those that pass the round trip.

    ``judged`` are training queries that people judged, by which the cross-encoder is measured where there are enough.
    Raises SpecmineError when no document is meant, or a model cannot be asked; what was stored until then stays.
    """
    started = time.monotonic()
    tell = progress or (lambda stage, done, total: None)
    wanted = _selected(searcher.documents, scope.documents)
    by_generator = {name: description(name, settings) for name in settings.generators}
    standing = {(entry.generator, entry.document): entry for entry in catalogue.generated()}
    fingerprints = {
        (name, document): fingerprint_of([searcher.documents[document].key, made_by])
        for document in wanted
        for name, made_by in by_generator.items()
    }
    stands = {key for key, value in fingerprints.items() if key in standing and standing[key].fingerprint == value}
    gone = [key for key in standing if key[1] not in searcher.documents]
    removed = sum(len(standing[key].queries) for key in gone)
    if not scope.dry_run:
        catalogue.remove_generated(gone)
    report: dict[str, OfGenerator] = {name: OfGenerator() for name in settings.generators}
    pending = [document for document in wanted if any((name, document) not in stands for name in by_generator)]
    known = _known_queries(catalogue, [standing[key] for key in standing if key in stands or key not in fingerprints])
    trip = RoundTrip(searcher, judge, home, settings.depth, mining)
    vocabulary = Vocabulary(searcher.chunks.values()) if pending else Vocabulary(())

    def material(document: str) -> Material:
        read, chunks = load(document_folder(home, searcher.documents[document].key))
        return Material(_named(read, document), chunks, vocabulary)

    measured_on: dict[str, str] = {}
    if pending and judge is not None:
        sample = _trust_sample(judged, map(material, pending), judge, settings, mining.agreement_sample)
        measured_on = {tongue: source for tongue, (source, _) in sample.items()}
        for place, (tongue, (_, asked)) in enumerate(sample.items()):
            tell(f"measuring the cross-encoder ({tongue})", place, len(sample))
            trip.measure_trust(asked)
    kept = 0
    done = 0
    tell("generating queries", 0, len(pending))
    for done, document in enumerate(pending, start=1):
        of_document = material(document)
        for name, made_by in by_generator.items():
            if (name, document) in stands or (scope.limit is not None and kept >= scope.limit):
                continue
            room = None if scope.limit is None else scope.limit - kept
            begun = time.monotonic()
            result = _generate_one(name, of_document, settings, known, trip, room)
            finished = fingerprints[name, document] if not result.cut else ""
            generated = Generated(name, document, finished, made_by, result.made, result.dropped, result.queries)
            if not scope.dry_run:
                catalogue.store_generated(generated)
            kept += len(result.queries)
            _count(report[name], generated, time.monotonic() - begun)
        tell("generating queries", done, len(pending))
        if scope.limit is not None and kept >= scope.limit:
            break
    return GenerateReport(
        documents=done,
        unchanged=len(stands),
        removed=removed,
        kept=kept,
        generators=report,
        trust={tongue: found for tongue, found in trip.trust.items() if tongue in measured_on},
        trust_measured_on=measured_on,
        dry_run=scope.dry_run,
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True)
class _Result:
    """One generator's work on one document; ``cut`` where a limit left some out."""

    made: int
    dropped: dict[str, int]
    queries: tuple[SyntheticQuery, ...]
    cut: bool


def _generate_one(
    name: str, material: Material, settings: GenerateSettings, known: NearCopies, trip: RoundTrip, room: int | None
) -> _Result:
    drafts = material.draw(GENERATORS[name](material, settings), settings.per_document, settings.seed)
    dropped: Counter[str] = Counter()
    new: list[Draft] = []
    within = NearCopies()
    for draft in drafts:
        like = known.find(draft.text)
        if len(draft.text) > _LONGEST:
            dropped[NOT_A_QUERY] += 1
        elif like is not None:
            dropped[LIKE_JUDGED if like == _JUDGED else LIKE_SYNTHETIC] += 1
        elif within.find(draft.text) is not None:
            dropped[LIKE_SYNTHETIC] += 1
        else:
            within.add(_MADE, draft.text)
            new.append(draft)
    queries: list[SyntheticQuery] = []
    cut = False
    for draft, checked in zip(new, trip.check(new) if new else [], strict=True):
        if checked.rank is None or checked.reason:
            dropped[checked.reason] += 1
        elif room is not None and len(queries) >= room:
            cut = True
        else:
            known.add(_MADE, draft.text)
            queries.append(_synthetic(name, material.document.id, draft, checked.rank))
    made = len(queries) + sum(dropped.values())
    return _Result(made, dict(sorted(dropped.items())), tuple(queries), cut)


def _synthetic(generator: str, document: str, draft: Draft, rank: int) -> SyntheticQuery:
    id = synthetic_id(generator, document, draft.start, draft.end, draft.text)
    judgement = Judgement(id, document, 1, draft.start, draft.end)
    return SyntheticQuery(Query(id, draft.text, SYNTHETIC), judgement, rank)


def _count(done: OfGenerator, generated: Generated, seconds: float) -> None:
    done.documents += 1
    done.made += generated.made
    done.kept += len(generated.queries)
    done.dropped.update(generated.dropped)
    done.ranks.update(entry.rank for entry in generated.queries)
    done.seconds += seconds
    done.examples.extend(entry.query.text for entry in generated.queries[: max(0, 5 - len(done.examples))])


def _selected(documents: Mapping[str, IndexedDocument], patterns: Sequence[str]) -> list[str]:
    """Return the documents that are meant, in order of their names."""
    for pattern in patterns:
        if not any(_matches(document, pattern) for document in documents):
            raise SpecmineError(f"no indexed document is called {pattern!r}: `specmine documents` lists them")
    meant = [name for name in sorted(documents) if not patterns or any(_matches(name, p) for p in patterns)]
    if not meant:
        raise SpecmineError("no document is indexed: run `specmine ingest` first")
    return meant


def _matches(document: str, pattern: str) -> bool:
    return document == pattern or fnmatchcase(document, pattern)


def _known_queries(catalogue: Catalogue, standing: Sequence[Generated]) -> NearCopies:
    """Return all queries that a new one must not repeat: judged ones of every split, and synthetic ones that stay."""
    known = NearCopies()
    for split in catalogue.splits():
        for query in catalogue.queries(split):
            known.add(_JUDGED, query.text)
    for entry in standing:
        for synthetic in entry.queries:
            known.add(_MADE, synthetic.query.text)
    return known


def _trust_sample(
    judged: Sequence[Asked],
    materials: Iterator[Material],
    judge: Judge,
    settings: GenerateSettings,
    size: int,
) -> dict[str, tuple[str, list[Asked]]]:
    """Return, by language, what the cross-encoder is measured on: judged queries, or made ones where these are few.

    The made ones are rare terms of passages, whatever the generators: a heading is a part of what the cross-encoder
    reads of its passage, and would flatter it.
    """
    dice = random.Random(settings.seed)  # noqa: S311 - no secret
    by_language: dict[str, list[Asked]] = {}
    for one in sorted(judged, key=lambda one: one[0]):
        by_language.setdefault(language(one[0]), []).append(one)
    sample = {
        tongue: (_JUDGED, dice.sample(asked, min(size, len(asked))))
        for tongue, asked in by_language.items()
        if len(asked) >= _ENOUGH_JUDGED and judge.judges(tongue)
    }
    made: dict[str, list[Asked]] = {}
    for material in islice(materials, size):
        if all(tongue in sample or len(asked) >= size for tongue, asked in made.items()) and made:
            break
        for draft in material.draw(inverse_cloze(material, settings), max(1, size // 4), settings.seed):
            made.setdefault(language(draft.text), []).append((draft.text, draft.chunks))
    for tongue, of_language in made.items():
        if tongue not in sample and judge.judges(tongue):
            sample[tongue] = (_MADE, of_language[:size])
    return sample


def _named(document: Document, name: str) -> Document:
    """Return a document under the name it has now; a renamed one was stored under its former."""
    return document if document.id == name else replace(document, id=name)
