"""The new generation while it is built: it follows the served release, whatever ingests bring meanwhile.

Cutting and embedding take hours and hold no lock: documents and vectors are whole on disk as soon as they exist, so an
interrupted build continues with the first that is missing. What changed in the served release since is brought after.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from indexing.contents import write_content
from indexing.embedding import Progress, add_missing_norms, embed_documents
from indexing.generations import (
    Generation,
    IndexedDocument,
    listed_keys,
    read_documents,
    save_generation,
    write_documents,
)
from indexing.geometry import Geometry
from indexing.home import Home
from indexing.parts import Workers, here
from indexing.reindexing.recut import keep_under
from indexing.releases import Release
from indexing.settings import IndexSettings


@dataclass
class Builder:
    """``source`` are the served documents that were taken over, ``documents`` the same as the new generation has them.

    ``content`` is the new generation's content that holds them, None before there is one. ``embedded`` counts the
    passages that went through an encoder; ``unread`` gives, by document, why it could not be read again. ``workers``
    read, cut and embed.
    """

    home: Home
    settings: IndexSettings
    generation: Generation
    progress: Progress
    workers: Workers = here
    source: dict[str, IndexedDocument] = field(default_factory=dict)
    documents: dict[str, IndexedDocument] = field(default_factory=dict)
    content: int | None = None
    embedded: int = 0
    unread: dict[str, str] = field(default_factory=dict)
    _geometry: dict[str, Geometry] = field(default_factory=dict)

    def changed(self, release: Release) -> tuple[dict[str, IndexedDocument], list[str]]:
        """Return the release's documents that are not taken over as they are there, and those that left it since."""
        now = read_documents(self.home, release.generation, release.content)
        changed = {name: entry for name, entry in now.items() if self.source.get(name) != entry}
        return changed, [name for name in self.source if name not in now]

    def prepare(self, release: Release) -> list[str]:
        """Cut and embed what changed in the release; return the documents that came, changed or left."""
        changed, gone = self.changed(release)
        if changed:
            keys = listed_keys(self.home)
            for name, entry in changed.items():  # after a rollback the newest list of a generation is not the served
                keys[name] = list(dict.fromkeys([entry.key, *keys.get(name, ())]))
            cut, unread = keep_under(self.home, self.settings, self.generation, changed, self.progress, self.workers)
            wanted = {name: entry.key for name, entry in cut.items()}
            self.embedded += embed_documents(self.home, self.generation, wanted, keys, self.progress, self.workers)
            self.embedded += add_missing_norms(self.home, self.generation, wanted, self.progress)
            self.documents.update(cut)
            self.unread.update(unread)
        for name in gone:
            self.documents.pop(name)
        self.source = {name: entry for name, entry in self.source.items() if name not in gone} | changed
        return [*changed, *gone]

    def follow(self, release: Release, geometry: dict[str, Geometry]) -> int:
        """Bring the content to the release's documents, with the points of ``geometry``; return its number."""
        changed = self.prepare(release)
        base = self.content if geometry == self._geometry else None
        if base is not None and not changed:
            return base
        save_generation(self.home, self.generation)
        added = self.documents if base is None else {n: self.documents[n] for n in changed if n in self.documents}
        replaced = () if base is None else changed
        content = write_content(
            self.home, self.generation, self.settings, base, added, replaced, self.progress, geometry
        )
        write_documents(self.home, self.generation.id, content, self.documents)
        self.content, self._geometry = content, geometry
        return content
