"""Stages in which a person says what is served, and what shows beforehand what that would change."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from flows.opened import catalogue, opened
from flows.settings import Settings
from flows.stage_runs import logged
from flows.stages import Tell
from indexing.generations import present_names, read_generation
from indexing.home import SpecmineError
from indexing.regeometry import content_with_points, lacks_points
from indexing.releases import publish, served


def promote(settings: Settings, version_id: str) -> dict[str, Any]:
    """Serve a version that was registered, of a query encoder or of the re-ranker, whatever the verdict on it."""
    from training.reranker_versions import is_reranker
    from training.versions import load_version, read_version

    home = settings.open_home()
    if is_reranker(home, version_id):
        return _promote_reranker(settings, version_id)
    with logged(settings, "promote") as summary, home.exclusive():
        release = served(home)
        version = read_version(home, version_id)
        specs = {part.spec.name: part.spec for part in read_generation(home, release.generation).encoders}
        if version.encoder not in specs:
            raise SpecmineError(
                f"version {version_id} is one of {version.encoder!r}, which the served index does not use"
            )
        load_version(home, specs[version.encoder], version_id)  # refuses other document vectors and damaged weights
        if release.encoders[version.encoder] != version_id:
            wanted = {**release.geometry, version.encoder: version.searched_by}
            proposed = replace(
                release,
                content=content_with_points(home, settings.index(), release, wanted, lambda *_: None),
                encoders={**release.encoders, version.encoder: version_id},
                geometry={name: found for name, found in wanted.items() if found.has_points},
                note=f"promote {version.encoder} {version_id}",
            )
            release = publish(home, proposed)
        summary.update(release=release.id, encoder=version.encoder, version=version_id, note=release.note)
    return summary


def _promote_reranker(settings: Settings, version_id: str) -> dict[str, Any]:
    from training.reranker_versions import as_judged, read_reranker

    home = settings.open_home()
    with logged(settings, "promote") as summary, home.exclusive():
        release = served(home)
        use = as_judged(home, read_reranker(home, version_id))
        if release.reranker != use:
            release = publish(home, replace(release, reranker=use, note=f"promote re-ranker {use}"))
        summary.update(release=release.id, encoder=use.name, version=version_id, note=release.note)
    return summary


def geometry(settings: Settings, encoder: str, kind: str, tell: Tell) -> dict[str, Any]:
    """Find an encoder's documents by another geometry from now on; nothing is embedded for it."""
    from indexing.geometry import Geometry
    from indexing.regeometry import serve_geometry

    try:
        wanted = Geometry(kind)  # type: ignore[arg-type]
    except ValueError as error:
        raise SpecmineError(str(error)) from None
    with logged(settings, "geometry") as summary:
        release = serve_geometry(settings.open_home(), settings.index(), encoder, wanted, tell)
        found = release.geometry_of(encoder)
        summary.update(release=release.id, encoder=encoder, geometry=asdict(found), note=release.note)
    return summary


def shadow(settings: Settings, version_id: str, limit: int, tell: Tell) -> dict[str, Any]:
    """Answer the latest queries of the log with a version in the place of the served encoder, and compare the answers.

    The served release goes on serving; nothing is published.
    """
    from training.live import live_queries
    from training.shadow import shadow as score_beside
    from training.versions import read_version

    if limit < 1:
        raise SpecmineError(f"the limit must be 1 or more, not {limit}")
    home = settings.open_home()
    with logged(settings, "shadow") as summary, opened(settings) as before, catalogue(settings) as book:
        version = read_version(home, version_id)
        if version.encoder not in before.release.encoders:
            raise SpecmineError(
                f"version {version_id} is one of {version.encoder!r}, which the served index does not use"
            )
        book.forget_searches(settings.search.log_days)
        live = live_queries(book.searches(), before.document_text, present_names(before.documents), limit)
        encoders = {**before.release.encoders, version.encoder: version_id}
        geometry = {**before.release.geometry, version.encoder: version.searched_by}
        if lacks_points(home, before.release, geometry):
            raise SpecmineError(
                f"version {version_id} finds documents by {version.searched_by.kind}, for which the served content "
                "holds no points: it can be served by `specmine promote`, but not beside what is served"
            )
        with opened(settings, replace(before.release, id="", encoders=encoders, geometry=geometry)) as after:
            found = score_beside(before, after, live, settings.promotion, tell)
        summary.update(served=before.release.id, version=version_id, encoder=version.encoder, **found.as_json())
    return summary
