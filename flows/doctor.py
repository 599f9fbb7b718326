"""Whether everything is there that specmine needs, and what to do where it is not."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from chunking import docling_install, docling_runs
from chunking.ocr import installed_languages
from chunking.ocr import version as ocr_version
from evaluation.catalogue import Catalogue, CatalogueError
from evaluation.leases import Leases
from flows.prefect_api import check_answers, configured_api
from flows.settings import Settings
from indexing.home import Home, LockedHomeError, SpecmineError

Outcome = Literal["ok", "warning", "failed"]

_LEAST_FREE_GB = 5.0
_PACKAGES = (
    "specmine",
    "prefect",
    "torch",
    "sentence-transformers",
    "qdrant-edge-py",
    "qdrant-client",
    "fastapi",
    "sqlalchemy",
)
# With newer ones Prefect 3.8.8 runs no flow, or no schedule, and says so in the server's log at most.
_TOO_NEW = {"fastapi": (0, 151), "sqlalchemy": (2, 1)}


@dataclass(frozen=True)
class Check:
    """One thing looked at: ``warning`` is worth knowing, ``failed`` keeps something from working."""

    name: str
    outcome: Outcome
    message: str


def check_all(settings: Settings) -> dict[str, Any]:
    """Return the outcome of every check, and whether none failed."""
    checks: list[Check] = []
    for look in CHECKS:
        try:
            checks += look(settings)
        except (SpecmineError, CatalogueError) as error:
            checks.append(Check(look.__name__.removeprefix("_"), "failed", str(error)))
    failed = any(check.outcome == "failed" for check in checks)
    return {"ok": not failed, "checks": [asdict(check) for check in checks]}


def _configuration(settings: Settings) -> Iterator[Check]:
    found = str(settings.file) if settings.file else "no specmine.toml here: the defaults are used"
    yield Check("configuration", "ok", found)


def _versions(settings: Settings) -> Iterator[Check]:
    found = {"python": sys.version.split()[0]}
    missing, too_new = [], []
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        limit = _TOO_NEW.get(name)
        if limit and tuple(int(part) for part in found[name].split(".")[:2]) >= limit:
            too_new.append(f"{name} {found[name]} (below {'.'.join(map(str, limit))} is needed)")
    text = ", ".join(f"{name} {number}" for name, number in found.items())
    if missing or too_new:
        wrong = "; ".join([*(f"{name} is not installed" for name in missing), *too_new])
        yield Check(
            "versions", "failed", f"{wrong}: install the pinned versions with `pip install -r requirements.lock`"
        )
    else:
        yield Check("versions", "ok", text)


def _home(settings: Settings) -> Iterator[Check]:
    home = settings.open_home()
    probe = home.reports / f"doctor-{uuid.uuid4().hex[:8]}.partial"
    try:
        probe.write_bytes(b"specmine")
        probe.unlink()
    except OSError as error:
        yield Check("home", "failed", f"{home.root} cannot be written: {error.strerror}; set SPECMINE_HOME elsewhere")
        return
    yield Check("home", "ok", f"{home.root} can be written")
    free = shutil.disk_usage(home.root).free / 1e9
    enough = free >= _LEAST_FREE_GB
    advice = "" if enough else f"; models and an index need {_LEAST_FREE_GB:g} GB or more"
    yield Check("disk", "ok" if enough else "warning", f"{free:.1f} GB free{advice}")
    try:
        with Home(home.root).exclusive():  # the kernel's lock; the catalogue has a check of its own
            yield Check("writer", "ok", "nobody is writing")
    except LockedHomeError as error:
        yield Check("writer", "warning", str(error))


def _models(settings: Settings) -> Iterator[Check]:
    from indexing.models import status

    index = settings.index()
    for state in status([*index.encoders, *filter(None, [index.cross_encoder])], settings.open_home(), verify=True):
        name = f"model {state.name}"
        if state.problem or state.verified is False:
            yield Check(name, "failed", state.problem or "damaged: remove it and run `specmine models fetch`")
        elif not state.fetched:
            yield Check(name, "warning", f"not fetched yet ({state.source}): run `specmine models fetch`")
        else:
            yield Check(name, "ok", f"{state.bytes / 1e6:.0f} MB, verified")


def _store(settings: Settings) -> Iterator[Check]:
    qdrant = settings.index().qdrant
    if qdrant.url is None:
        yield Check("store", "ok", f"embedded engine, qdrant-edge-py {version('qdrant-edge-py')}")
        return
    from indexing.store_server import connect

    connect(qdrant.url, qdrant.api_key).close()
    yield Check("store", "ok", f"{qdrant.url} answers")


def _catalogue(settings: Settings) -> Iterator[Check]:
    book = Catalogue(settings.catalogue_url())
    try:
        counts = {split: len(book.queries(split)) for split in book.splits()}
        leases = Leases(book, settings.runs.lease_seconds)
        dead, held = leases.dead(), leases.held()
    finally:
        book.close()
    alive = [lease for lease in held if lease not in dead]
    yield Check("runs", "ok", f"under way: {'; '.join(map(str, alive)) or 'none'}")
    for lease in dead:
        yield Check("runs", "warning", f"crashed: {lease}; run the stage again, it goes on from what it has done")
    text = ", ".join(f"{count} {split}" for split, count in counts.items())
    empty = not any(counts.values())
    advice = "; import some with `specmine judgements import` to mine and retrain" if empty else ""
    yield Check("catalogue", "warning" if empty else "ok", f"judged queries: {text}{advice}")


def _release(settings: Settings) -> Iterator[Check]:
    from indexing.generations import open_store, read_documents, read_generation
    from indexing.releases import BASE, current

    home = settings.open_home()
    release = current(home)
    if release is None:
        yield Check("release", "warning", "nothing is indexed yet: run `specmine ingest PATH`")
        return
    generation = read_generation(home, release.generation)
    documents = read_documents(home, generation.id, release.content)
    reader = open_store(home, generation, settings.index().qdrant).reader(release.content)
    try:
        stored, expected = reader.count(), sum(entry.chunks for entry in documents.values())
    finally:
        reader.close()
    missing = [
        f"{name} {number}"
        for name, number in release.encoders.items()
        if number != BASE and not (home.encoders / name / number / "model.safetensors").is_file()
    ]
    if stored != expected:
        message = f"{release.id}: the store holds {stored} passages, its documents {expected}: run `specmine reindex`"
        yield Check("release", "failed", message)
    elif missing:
        message = f"{release.id}: encoder versions are gone: {', '.join(missing)}; run `specmine rollback`"
        yield Check("release", "failed", message)
    else:
        yield Check("release", "ok", f"{release.id}: {len(documents)} documents, {stored} passages")


def _prefect(settings: Settings) -> Iterator[Check]:
    url = configured_api()
    if url is None:
        yield Check("prefect", "ok", "no API is configured: stages run without Prefect")
        return
    check_answers(url)
    yield Check("prefect", "ok", f"{url} answers")


def _processors(settings: Settings) -> Iterator[Check]:
    threads = os.environ.get("OMP_NUM_THREADS", "as many as torch takes")
    yield Check("processors", "ok", f"{os.cpu_count()} processors, OMP_NUM_THREADS {threads}")


def _recognition(settings: Settings) -> Iterator[Check]:
    if not settings.ocr.enabled:
        return
    found = ocr_version()
    missing = sorted(set(settings.ocr.languages) - installed_languages()) if found else []
    if not found:
        yield Check("ocr", "failed", "[ocr] is enabled, but tesseract is not on the PATH: install it, or disable [ocr]")
    elif missing:
        yield Check("ocr", "failed", f"{found} has no language {', '.join(missing)}: install it, or change languages")
    else:
        yield Check("ocr", "ok", f"{found}, {', '.join(settings.ocr.languages)}")


def _docling(settings: Settings) -> Iterator[Check]:
    if settings.reading.pdf != "docling":
        return
    if missing := docling_install.problem(settings.reading):
        yield Check("docling", "failed", missing)
    elif failure := docling_runs.trial(settings.limits, settings.ocr, settings.reading):
        yield Check("docling", "failed", failure)
    else:
        version = docling_install.versions(docling_install.interpreter(settings.reading))["docling-slim"]
        yield Check("docling", "ok", f"{version} reads PDFs, its models are in {settings.reading.artifacts}")


CHECKS: tuple[Callable[[Settings], Iterator[Check]], ...] = (
    _configuration,
    _versions,
    _processors,
    _home,
    _models,
    _recognition,
    _docling,
    _store,
    _catalogue,
    _release,
    _prefect,
)
