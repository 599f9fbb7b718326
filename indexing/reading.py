"""Documents read, cut and kept: under which name, by which reader, and what a new reader or chunking would change."""

from __future__ import annotations

import platform
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from chunking import docling_install
from chunking.document import sha256_file
from chunking.ocr import version as ocr_version
from chunking.splitters import ChunkSettings
from chunking.stored import text_bytes
from chunking.worker import Job, Read, Unread, read_and_chunk_all
from indexing.costs import READING
from indexing.embedding import Progress
from indexing.generations import (
    Generation,
    GenerationEncoder,
    IndexedDocument,
    document_folder,
    fingerprint_of,
    read_generation,
)
from indexing.home import (
    MANIFEST,
    PARTIAL_SUFFIX,
    Home,
    SpecmineError,
    is_whole,
    read_json,
    write_artifact,
    write_json,
)
from indexing.log import log_event
from indexing.models.fetching import tokenizer_file
from indexing.models.fingerprints import encoder_fingerprint
from indexing.parts import Count, Workers, here, kept_document
from indexing.quarantine import Quarantined
from indexing.rates import Work, measured_together
from indexing.releases import current
from indexing.settings import IndexSettings, QdrantSettings
from indexing.specs import EncoderSpec

# Bump when a reader changes what it makes of the same bytes.
READER_VERSION = 22


def reader_of(settings: IndexSettings) -> int | str:
    """Return what decides which text is read from a file: the reader's version and, where they are on, others' parts.

    Those are the recognition's, and docling's. Raises SpecmineError if docling is to read and is not installed.
    """
    parts = []
    if settings.ocr.enabled:
        parts.append(f"{ocr_version() or 'no tesseract'} {'+'.join(settings.ocr.languages)}")
    if settings.reading.pdf == "docling":
        if missing := docling_install.problem(settings.reading):
            raise SpecmineError(missing)
        parts.append(docling_install.identity(settings.reading))
    return " ".join([str(READER_VERSION), *parts]) if parts else READER_VERSION


def trial(settings: IndexSettings, reader: int | str, content_hash: str) -> str:
    """Return what names a reading that must end alike: the bytes, the reader and its limits."""
    return fingerprint_of([content_hash, reader, asdict(settings.limits)])


def plan_generation(home: Home, settings: IndexSettings) -> Generation:
    """Return the generation that ``settings`` describe; fetches the models that are missing.

    Where only the encoders differ from those of the served generation its passages stay as they are cut, although they
    were measured with other tokenizers: an encoder that comes or goes touches no other.
    """
    encoders = tuple(GenerationEncoder(spec, encoder_fingerprint(spec, home)[0]) for spec in settings.encoders)
    chunk_settings = asdict(replace(settings.chunking, max_tokens=settings.tokens_per_chunk))
    reader, cut_by = reader_of(settings), ChunkSettings(**chunk_settings).fingerprint()
    tokenizers = _tokenizers(settings.encoders, home)
    served = current(home)
    if served is not None and is_whole(home.generations / served.generation):
        old = read_generation(home, served.generation)
        measured_with = old.tokenizers or _tokenizers([part.spec for part in old.encoders], home)
        if fingerprint_of([reader, cut_by, list(measured_with)]) == old.chunking:
            tokenizers = measured_with
    chunking = fingerprint_of([reader, cut_by, list(tokenizers)])
    return Generation(chunking, chunk_settings, encoders, tokenizers)


def _tokenizers(encoders: Iterable[EncoderSpec], home: Home) -> tuple[str, ...]:
    """Return the SHA-256 of the encoders' tokenizer files, sorted."""
    return tuple(sorted(sha256_file(tokenizer_file(spec, home)) for spec in encoders))


def made_with(generation: Generation, settings: IndexSettings) -> IndexSettings:
    """Return the settings with the encoders and the chunking of a generation in the place of the configured."""
    specs = tuple(part.spec for part in generation.encoders)
    return replace(settings, encoders=specs, chunking=ChunkSettings(**generation.chunk_settings))


def document_key(document_id: str, content_hash: str, generation: Generation) -> str:
    """Return the name under which a document's chunks and vectors are kept."""
    return fingerprint_of([document_id, content_hash, generation.chunking])[:32]


@dataclass(frozen=True)
class Wanted:
    """A file to read: its document's id and key, its SHA-256, and the folder it must truly lie in, where known."""

    path: Path
    document: str
    key: str
    content_hash: str
    root: Path | None


def read_and_keep(
    sources: Mapping[str, Path],
    roots: Mapping[str, Path],
    hashes: Mapping[str, str],
    generation: Generation,
    home: Home,
    settings: IndexSettings,
    tell: Progress,
    workers: Workers = here,
) -> tuple[dict[str, IndexedDocument], list[Quarantined]]:
    """Read and cut, in processes of their own, the files (by document id) that are not kept yet under the generation.

    ``hashes`` holds the SHA-256 of each file, ``roots`` the folder that a file must truly lie in, where known.
    Returns the documents, and those that could not be read. Raises OSError where what was read cannot be written.
    """
    keys = {name: document_key(name, hashes[name], generation) for name in sources}
    missing = [
        Wanted(sources[name], name, keys[name], hashes[name], roots.get(name))
        for name in sources
        if not is_whole(document_folder(home, keys[name]))
    ]
    unread: list[Quarantined] = []
    kept = len(sources) - len(missing)
    tell("reading", kept, len(sources))
    # What it writes no lease must guard, and no store is asked.
    apart = replace(home, lease=None), replace(settings, qdrant=QdrantSettings())
    work = partial(read_files, *apart, generation, reader_of(settings))
    with measured_together(home) as took:
        for told in workers("reading", work, missing, lambda done: tell("reading", kept + done, len(sources))):
            if isinstance(told, Work):
                took.append(told)
            elif isinstance(told, Quarantined):
                unread.append(told)
            else:
                log_event("document read", document=told.document, sha256=told.content_hash)
    for entry in unread:
        log_event("document quarantined", document=entry.document, reason=entry.reason, page=entry.page)
    failed = {entry.document for entry in unread}
    documents = {
        name: _indexed(home, keys[name], hashes[name], str(path))
        for name, path in sources.items()
        if name not in failed
    }
    return documents, sorted(unread, key=lambda entry: entry.document)


def read_files(
    home: Home,
    settings: IndexSettings,
    generation: Generation,
    reader: int | str,
    files: Sequence[Wanted],
    tell: Count,
) -> Iterator[Wanted | Quarantined | Work]:
    """Read, cut and keep files; yield each that is kept, each that cannot be read, and last what reading took.

    Raises SpecmineError where this machine has another ``reader``.
    """
    if reader_of(settings) != reader:
        raise SpecmineError(
            f"{platform.node()} reads with {reader_of(settings)!r}, the run was begun with {reader!r}: install the "
            "same version of specmine, and of Tesseract or docling where they read, on every worker"
        )
    by_name = {file.document: file for file in files}
    missing = [file for file in files if not is_whole(document_folder(home, file.key))]
    chunking = ChunkSettings(**generation.chunk_settings)
    tokenizers = [tokenizer_file(spec, home) for spec in settings.encoders]
    work = Work(READING)
    done = len(files) - len(missing)
    with work.timed(0), _incoming(home) as incoming:
        jobs = [Job(file.path, file.document, incoming / file.key, file.root) for file in missing]
        for outcome in read_and_chunk_all(
            jobs, settings.limits, chunking, tokenizers, ocr=settings.ocr, reading=settings.reading
        ):
            file = by_name[outcome.job.document_id]
            told = _kept(home, file, outcome, reader, trial(settings, reader, file.content_hash))
            if isinstance(told, Wanted):
                work.units += text_bytes(document_folder(home, file.key))
            done += 1
            tell(done)
            yield told
    yield work


def _kept(home: Home, file: Wanted, outcome: Read | Unread, reader: int | str, tried: str) -> Wanted | Quarantined:
    """Keep what was read of a file, and return the file; or return why it is not kept."""
    source = str(file.path)
    if isinstance(outcome, Unread):
        tried = "" if outcome.passing else tried
        return Quarantined(file.document, outcome.reason, outcome.page, source, file.content_hash, tried=tried)
    if read_json(outcome.job.directory / "document.json")["content_hash"] != file.content_hash:
        return Quarantined(file.document, "the file changed while it was read", None, source)
    _keep_read(home, file.key, outcome, file.content_hash, reader)
    return file


@contextmanager
def _incoming(home: Home) -> Iterator[Path]:
    """Yield where readers put what they make, a folder for this reading alone, and remove it.

    Readers of a run that was killed may live on for a moment, and a re-index reads beside an ingest.
    """
    folder = home.documents / f"incoming-{uuid.uuid4().hex[:8]}{PARTIAL_SUFFIX}"
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep_read(home: Home, key: str, outcome: Read, content_hash: str, reader: int | str) -> None:
    with write_artifact(document_folder(home, key)) as partial:
        for path in outcome.job.directory.iterdir():
            path.rename(partial / path.name)
        summary = {
            "document": outcome.job.document_id,
            "content_hash": content_hash,
            "title": read_json(partial / "document.json")["title"],
            "pages": outcome.pages,
            "pages_without_text": outcome.pages_without_text,
            "chunks": outcome.chunks,
            "warnings": list(outcome.warnings),
            "totals": outcome.totals,
            "reader": reader,
        }
        write_json(partial / MANIFEST, summary)


def _indexed(home: Home, key: str, content_hash: str, source: str) -> IndexedDocument:
    summary = read_json(kept_document(home, key) / MANIFEST)
    return IndexedDocument(
        key=key,
        content_hash=content_hash,
        source=source,
        title=summary["title"],
        pages=summary["pages"],
        pages_without_text=summary["pages_without_text"],
        chunks=summary["chunks"],
        warnings=summary["warnings"],
        totals=summary["totals"],
    )
