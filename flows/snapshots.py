"""The stages of snapshots: a whole installation into a folder or an object store, and back."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evaluation.catalogue_copy import export_catalogue, import_catalogue
from flows.settings import Settings
from flows.stage_runs import logged
from flows.stages import Tell
from indexing.contents import restore_contents
from indexing.generations import Generation, is_on_server, open_store, read_documents, read_generation, remove_contents
from indexing.geometry import Geometry
from indexing.home import Home, SpecmineError
from indexing.releases import list_releases, served
from indexing.search import Searcher
from indexing.snapshot import CATALOGUE, Snapshot, restore_snapshot, save_snapshot


def save(settings: Settings, target: str, tell: Tell) -> dict[str, Any]:
    """Save index, releases, trained encoders, models and catalogue, as they are now, while others go on."""
    home, qdrant = settings.open_home(), settings.index().qdrant

    def is_written(generation: str, content: int) -> bool:
        return open_store(home, read_generation(home, generation), qdrant).has(content)

    with logged(settings, "snapshot save") as summary, TemporaryDirectory() as scratch:
        catalogue = Path(scratch) / CATALOGUE
        export_catalogue(settings.catalogue_url(), catalogue)
        snapshot = save_snapshot(home, target, is_written, catalogue, tell)
        summary.update(target=target, **snapshot.as_json())
    return summary


def restore(settings: Settings, source: str, tell: Tell) -> dict[str, Any]:
    """Bring a snapshot into the configured home, catalogue and Qdrant server, which must be empty."""

    def finish(partial: Home, snapshot: Snapshot) -> None:
        generations = [read_generation(partial, name) for name in snapshot.contents]
        if taken := [one.id for one in generations if is_on_server(one, settings.index().qdrant)]:
            raise SpecmineError(
                f"the Qdrant server has a collection of generation {taken[0]} already: use another server"
            )
        try:
            for generation in generations:
                if settings.qdrant.url:  # what an embedded engine held is of no use there
                    shutil.rmtree(partial.generations / generation.id / "contents", ignore_errors=True)
                _restore_store(settings, partial, generation, snapshot.contents[generation.id], tell)
            _check(settings, partial)
            if settings.catalogue.url:
                import_catalogue(partial.root / CATALOGUE, settings.catalogue.url)
                (partial.root / CATALOGUE).unlink()
        except BaseException:
            for generation in generations:
                remove_contents(generation, settings.index().qdrant)
            raise

    snapshot = restore_snapshot(source, settings.open_home(), finish, tell)
    with logged(settings, "snapshot restore") as summary:
        summary.update(source=source, home=str(settings.open_home().root), **snapshot.as_json())
    return summary


def _restore_store(settings: Settings, home: Home, generation: Generation, contents: list[int], tell: Tell) -> None:
    """Write the contents that the store lacks: all where it is a server, and none where they were copied."""
    geometries: dict[int, dict[str, Geometry]] = {}
    for release in list_releases(home):
        if release.generation == generation.id:
            geometries.setdefault(release.content, {}).update(release.geometry)
    restore_contents(home, generation, settings.index(), contents, geometries, tell)


def _check(settings: Settings, home: Home) -> None:
    """Open what would be served and count it. Raises SpecmineError when passages are missing."""
    release = served(home)
    expected = sum(entry.chunks for entry in read_documents(home, release.generation, release.content).values())
    searcher = Searcher.open(home, settings.index(), release)
    stored = searcher.count()
    searcher.close()
    if stored != expected:
        raise SpecmineError(
            f"release {release.id} has {stored} passages after the restore, not {expected}: not restored"
        )
