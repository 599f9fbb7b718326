"""What a re-index would do: what differs from the served generation, and which documents and passages that concerns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from indexing.generations import Generation, norms_file, read_documents, read_generation, vectors_file
from indexing.home import Home
from indexing.reading import document_key, plan_generation, reader_of
from indexing.reindexing.recut import not_kept, to_read_again
from indexing.releases import served
from indexing.settings import IndexSettings


@dataclass(frozen=True)
class ReindexPlan:
    """What a re-index would do.

    ``documents_to_read`` are read again from their files, because an older reader made what is stored;
    ``documents_to_cut`` are cut from what is stored. ``passages`` counts, for each encoder, those without vectors or
    without their norms, by the present cuts: an upper bound, for passages whose text stays the same are not embedded
    again.
    """

    served: str
    generation: str
    changes: tuple[str, ...]
    documents: int
    documents_to_read: int
    documents_to_cut: int
    passages: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON-able values."""
        return {
            "plan": True,
            "served": self.served,
            "generation": self.generation,
            "changes": list(self.changes),
            "documents": self.documents,
            "documents_to_read": self.documents_to_read,
            "documents_to_cut": self.documents_to_cut,
            "passages_to_embed": self.passages,
        }


def plan_reindex(home: Home, settings: IndexSettings) -> ReindexPlan:
    """Return what ``reindex`` would do now. Raises SpecmineError when nothing is indexed."""
    release = served(home)
    old, new = read_generation(home, release.generation), plan_generation(home, settings)
    documents = read_documents(home, old.id, release.content)
    keys = {name: document_key(name, entry.content_hash, new) for name, entry in documents.items()}
    passages = {
        encoder.spec.name: sum(
            entry.chunks
            for name, entry in documents.items()
            if not all(file(home, encoder.fingerprint, keys[name]).exists() for file in (vectors_file, norms_file))
        )
        for encoder in new.encoders
    }
    to_cut = not_kept(home, new, documents)
    reader = reader_of(settings)
    to_read = sum(to_read_again(home, reader, documents[name]) for name in to_cut)
    changes = tuple(_changes(old, new))
    return ReindexPlan(old.id, new.id, changes, len(documents), to_read, len(to_cut) - to_read, passages)


def _changes(old: Generation, new: Generation) -> list[str]:
    """Say in words what differs between two generations."""
    changes = []
    if old.chunking != new.chunking:
        before, after = old.chunk_settings, new.chunk_settings
        differing = [f"{key} {before.get(key)} → {after[key]}" for key in after if before.get(key) != after[key]]
        changes.append("chunking: " + (", ".join(differing) or "reader or tokenizers"))
    encoders_before = {part.spec.name: part.fingerprint for part in old.encoders}
    encoders_after = {part.spec.name: part.fingerprint for part in new.encoders}
    changes += [f"encoder {name} is new" for name in encoders_after.keys() - encoders_before.keys()]
    changes += [f"encoder {name} goes" for name in encoders_before.keys() - encoders_after.keys()]
    both = encoders_before.keys() & encoders_after.keys()
    changes += [f"encoder {name} changed" for name in both if encoders_before[name] != encoders_after[name]]
    return sorted(changes)
