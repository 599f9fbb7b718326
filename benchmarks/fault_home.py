"""The installation that faults are tried on: sample documents and their judged queries, before and after each stage.

A stage begins from a prepared home, of which every trial gets a copy. What it must end as, and what may be found in it
meanwhile, is what an undisturbed run makes of another copy.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.judgements import Judgement, Query
from flows import reindexing, releases, serving, stages
from flows.opened import catalogue
from flows.settings import Settings, load_settings
from indexing.releases import publish, served
from indexing.specs import WORDLLAMA
from samples import corpus
from training.versions import list_versions

FAMILY = "hpu"  # of the samples' queries
TOKENS_AFTER = 140  # of a passage, once it is re-indexed
CONFIG = """cross_encoder = false
[[encoders]]
name = "wordllama"
source = { SOURCE }
[mine]
filters = ["near_duplicates"]
[train]
epochs = 2
learning_rate = 0.003
precision = "float32"
[composition]
reranker_queries = 0
[promotion]
minimum_difference = 0.0
level = 0.5
guard_tolerance = 1.0
[reindex]
split = "test"
tolerance = 1.0
"""
# One small encoder, trained for a few epochs; nearly every gain is enough to be published: that a training is worth
# something is measured elsewhere.
TRAINED = ("wordllama",)
Tell = stages.Tell


@dataclass(frozen=True)
class Stage:
    """A stage as it is run on a home whose preparation ended with ``after``; ``reindexed`` has the new settings."""

    name: str
    after: str
    run: Callable[[Settings, Path, Tell], dict[str, Any]]
    reindexed: bool = False


def _ingest(settings: Settings, documents: Path, tell: Tell) -> dict[str, Any]:
    return stages.ingest(settings, [documents], True, tell)


def _mine(settings: Settings, documents: Path, tell: Tell) -> dict[str, Any]:
    return stages.mine(settings, tell)


def _retrain(settings: Settings, documents: Path, tell: Tell) -> dict[str, Any]:
    return stages.retrain(settings, tell, TRAINED)


def _reindex(settings: Settings, documents: Path, tell: Tell) -> dict[str, Any]:
    return reindexing.reindex(settings, tell)


def _publish(settings: Settings, documents: Path, tell: Tell) -> dict[str, Any]:
    version = list_versions(settings.open_home(), TRAINED[0])[-1]
    return serving.promote(settings, version.id)


STAGES = {
    stage.name: stage
    for stage in (
        Stage("first ingest", "nothing", _ingest),
        Stage("ingest", "first documents", _ingest),
        Stage("mine", "weighed badly", _mine),
        Stage("retrain", "mine", _retrain),
        Stage("publish", "rolled back", _publish),
        Stage("reindex", "retrain", _reindex, reindexed=True),
    )
}


class Installation:
    """A folder with the documents, the configuration, and one prepared home for each point that a stage begins from."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder = folder
        self.documents = folder / "documents"
        self._models = models

    def settings(self, home: Path, reindexed: bool = False) -> Settings:
        """Return the configuration for one home."""
        settings = load_settings(self.folder / "specmine.toml").model_copy(update={"home": home})
        if not reindexed:
            return settings
        return settings.model_copy(update={"chunking": replace(settings.chunking, max_tokens=TOKENS_AFTER)})

    def prepared(self, point: str) -> Path:
        """Return the home that is kept of a point."""
        return self.folder / "prepared" / point.replace(" ", "-")

    def copy_of(self, point: str, to: Path) -> None:
        """Make a new home that is a copy of a prepared one; the models are shared."""
        shutil.rmtree(to, ignore_errors=True)
        to.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", str(self.prepared(point)), str(to)], check=True)

    def write_first_documents(self) -> None:
        """Write the configuration, a home with judged queries alone, and the documents before the second ingest."""
        self._models.mkdir(parents=True, exist_ok=True)
        self.prepared("nothing").mkdir(parents=True)
        (self.prepared("nothing") / "models").symlink_to(self._models.resolve())
        source = ", ".join(f"{name} = {json.dumps(value)}" for name, value in asdict(WORDLLAMA.source).items())
        (self.folder / "specmine.toml").write_text(CONFIG.replace("SOURCE", source), encoding="utf-8")
        self._import_queries(self.prepared("nothing"))
        self.documents.mkdir()
        text = {path.stem: path.read_text(encoding="utf-8") for path in corpus.documents()}
        self._write("hpu-200.md", text["hpu-200"][:12_000])
        self._write("lnk-bus-s.md", text["lnk-bus-s"][:3_000])
        self._write("old name.md", text["eva-30"][:3_000])
        self._write("gone.md", text["fs-4100-2019"][:3_000])

    def write_later_documents(self) -> None:
        """Change the folder: two files are new; one each is changed, renamed, removed, unreadable and as it was."""
        text = {path.stem: path.read_text(encoding="utf-8") for path in corpus.documents()}
        for name, length in (("hpu-200", 20_000), ("hpu-400", 20_000), ("lnk-bus-r", 3_000)):
            self._write(f"{name}.md", text[name][:length])
        (self.documents / "old name.md").rename(self.documents / "new name.md")
        (self.documents / "gone.md").unlink()
        (self.documents / "broken.pdf").write_bytes(b"%PDF-1.7\nnot a PDF at all\n")

    def _import_queries(self, home: Path) -> None:
        """Put the judged queries on the documents into a home's catalogue."""
        with catalogue(self.settings(home)) as book:
            for split in corpus.SPLITS:
                rows = [row for row in corpus.queries(split) if row["id"].startswith(FAMILY)]
                wanted = {row["id"] for row in rows}
                judged = [row for row in corpus.judgements(split) if row["query"] in wanted]
                judgements = [
                    Judgement(**{**row, "document": row["document"].replace(".pdf", ".md")})  # type: ignore[arg-type]
                    for row in judged
                ]
                book.import_split(split, [Query(**row) for row in rows], judgements)

    def weigh_badly(self, home: Path) -> str:
        """Serve without BM25, so that a retraining has something to gain."""
        place = self.settings(home).open_home()
        with place.exclusive():
            release = served(place)
            fusion = replace(release.fusion, weights=dict.fromkeys(TRAINED, 1.0))
            return publish(place, replace(release, fusion=fusion)).id

    def roll_back(self, home: Path) -> dict[str, Any]:
        """Serve the release before."""
        settings = self.settings(home)
        return releases.roll_back(settings.open_home(), settings.index())

    def _write(self, name: str, text: str) -> None:
        (self.documents / name).write_text(text, encoding="utf-8")
