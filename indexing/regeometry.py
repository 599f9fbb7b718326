"""Another geometry for a served encoder: its points are written beside its vectors, and a release names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from indexing.contents import keep_recent, write_points
from indexing.embedding import Progress
from indexing.generations import read_documents, read_generation
from indexing.geometry import Geometry
from indexing.home import Home, SpecmineError
from indexing.hyperbolic import measured_geometry
from indexing.releases import Release, list_releases, publish, served
from indexing.settings import IndexSettings


def serve_geometry(
    home: Home, settings: IndexSettings, encoder: str, geometry: Geometry, progress: Progress
) -> Release:
    """Find an encoder's documents by a geometry from now on; nothing is embedded. Returns the release that is served.

    Raises SpecmineError when the served index has no such encoder, its norms were not kept, or are all the same: then
    it would find what it finds by the cosine.
    """
    with home.exclusive():
        release = served(home)
        generation = read_generation(home, release.generation)
        part = generation.encoder(encoder)
        documents = read_documents(home, generation.id, release.content)
        wanted = measured_geometry(home, part, documents, geometry)
        if wanted.has_points != geometry.has_points:
            raise SpecmineError(
                f"encoder {encoder!r} gives all texts the same norm: by {geometry.kind} it would find what it finds by "
                "cosine"
            )
        if wanted == release.geometry_of(encoder):
            return release
        geometries = {**release.geometry, encoder: wanted}
        return publish(
            home,
            replace(
                release,
                content=content_with_points(home, settings, release, geometries, progress),
                geometry={name: found for name, found in geometries.items() if found.has_points},
                note=f"{encoder} by {wanted.kind}",
            ),
        )


def content_with_points(
    home: Home, settings: IndexSettings, release: Release, geometries: Mapping[str, Geometry], progress: Progress
) -> int:
    """Return a content with the release's documents that holds the points of ``geometries`` (by encoder).

    It is the release's own where that has them all. The caller holds the home's lock.
    """
    missing = lacks_points(home, release, geometries)
    if not missing:
        return release.content
    generation = read_generation(home, release.generation)
    content = write_points(home, generation, settings, release.content, missing, progress)
    keep_recent(home, generation, settings, content, release.content)
    return content


def lacks_points(home: Home, release: Release, geometries: Mapping[str, Geometry]) -> dict[str, Geometry]:
    """Return those of ``geometries`` (by encoder) whose points no release of the same content names."""
    held = {
        geometry.vector_name(name)
        for other in list_releases(home)
        if (other.generation, other.content) == (release.generation, release.content)
        for name, geometry in other.geometry.items()
    }
    return {
        name: geometry
        for name, geometry in geometries.items()
        if geometry.has_points and geometry.vector_name(name) not in held
    }
