"""Checks of what search stands on: models, store, catalogue, the served release and its trained versions."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version

from chunking.document import sha256_file
from evaluation.catalogue import Catalogue
from evaluation.leases import Leases
from flows.checks.check import Check
from flows.settings import Settings
from indexing.home import Home, SpecmineError
from indexing.releases import BASE, Release, current

_FETCH = "specmine models fetch"


def models(settings: Settings) -> Iterator[Check]:
    """Read every fetched model and compare its files with their recorded SHA-256."""
    from indexing.models.status import status

    index = settings.index()
    for state in status([*index.encoders, *filter(None, [index.cross_encoder])], settings.open_home(), verify=True):
        name = f"model {state.name}"
        if state.problem or state.verified is False:
            mend = f"rm -r {shlex.quote(str(state.path))} && {_FETCH}" if state.path else _FETCH
            yield Check(name, "failed", state.problem or "its files are not those that were recorded", mend)
        elif not state.fetched:
            yield Check(name, "warning", f"not fetched yet ({state.source})", _FETCH)
        else:
            yield Check(name, "ok", f"{state.bytes / 1e6:.0f} MB, verified")


def store(settings: Settings) -> Iterator[Check]:
    """Ask the Qdrant server, where one is configured."""
    qdrant = settings.index().qdrant
    if qdrant.url is None:
        yield Check("store", "ok", f"embedded engine, qdrant-edge-py {version('qdrant-edge-py')}")
        return
    from indexing.stores.server import connect

    connect(qdrant.url, qdrant.api_key).close()
    yield Check("store", "ok", f"{qdrant.url} answers")


def catalogue(settings: Settings) -> Iterator[Check]:
    """Count the judged queries, and look for runs that ended without a word."""
    with closing(Catalogue(settings.catalogue_url())) as book:
        counts = {split: len(book.queries(split)) for split in book.splits()}
        leases = Leases(book, settings.runs.lease_seconds)
        dead, held = leases.dead(), leases.held()
    alive = [lease for lease in held if lease not in dead]
    yield Check("runs", "ok", f"under way: {'; '.join(map(str, alive)) or 'none'}")
    for lease in dead:
        yield Check("runs", "warning", f"crashed: {lease}; run the stage again, it goes on from what it has done")
    if any(counts.values()):
        yield Check("catalogue", "ok", f"judged queries: {', '.join(f'{n} {split}' for split, n in counts.items())}")
    else:
        message = "no judged queries: without some nothing is mined or retrained"
        mend = "specmine judgements import --queries FILE --judgements FILE --split train"
        yield Check("catalogue", "warning", message, mend)


def release(settings: Settings) -> Iterator[Check]:
    """Compare the served release with its store, its documents and its trained versions."""
    from indexing.generations import open_store, read_documents, read_generation

    home = settings.open_home()
    served = current(home)
    if served is None:
        yield Check("release", "warning", "nothing is indexed yet", "specmine ingest PATH")
        return
    generation = read_generation(home, served.generation)
    documents = read_documents(home, generation.id, served.content)
    reader = open_store(home, generation, settings.index().qdrant).reader(served.content)
    try:
        stored, expected = reader.count(), sum(entry.chunks for entry in documents.values())
    finally:
        reader.close()
    if stored != expected:
        message = f"{served.id}: the store holds {stored} passages, its documents {expected}"
        yield Check("release", "failed", message, "specmine reindex")
    elif damaged := _damaged_versions(home, served):
        yield Check("release", "failed", f"{served.id}: {'; '.join(damaged)}", "specmine rollback")
    else:
        yield Check("release", "ok", f"{served.id}: {len(documents)} documents, {stored} passages")


def _damaged_versions(home: Home, served: Release) -> list[str]:
    """Say which trained versions that a release serves are gone, or are not what was registered."""
    from training.versions import read_version, weights_file

    damaged = []
    for name, number in served.encoders.items():
        if number == BASE:
            continue
        try:
            made = read_version(home, number)
        except SpecmineError as error:
            damaged.append(str(error))
            continue
        path = weights_file(home, made)
        if not path.is_file():
            damaged.append(f"the weights of {name} {number} are gone")
        elif sha256_file(path) != made.sha256:
            damaged.append(f"the weights of {name} {number} are damaged")
    return damaged
