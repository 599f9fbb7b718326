"""Once round on the sample documents, and what came of it.

The samples are rendered to PDF, ingested, searched, judged, mined and learned from, by the very stages that the other
commands run. Run again, it continues where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from evaluation.judgements import SPLITS, Judgement, Query
from evaluation.leakage import groups as groups_of
from evaluation.measures import Measures
from evaluation.verdict import Comparison, compare
from flows import stages
from flows.opened import catalogue, judged, opened
from flows.settings import Settings
from indexing.home import SpecmineError
from indexing.releases import current
from indexing.search import FUSION, RERANKED
from mining.examples import examples
from mining.ledger import read_ledger
from samples import corpus
from samples.render import render_all

HELD_OUT = "test"
_MEASURES = ("nDCG@10", "RR@10")
_EXAMPLES = 3


@dataclass(frozen=True)
class Reading:
    """The held-out queries as one release answers them: what is served is ``run``."""

    release: str
    run: str
    measures: dict[str, Measures]
    texts: dict[str, str]
    groups: dict[str, str]

    @property
    def served(self) -> Measures:
        """The measures of the list that people see."""
        return self.measures[self.run]


def demo(settings: Settings, log: Callable[[str], None], tell: stages.Tell) -> dict[str, Any]:
    """Go once round and return what came of it; ``log`` takes a line before each step, ``tell`` the progress.

    Raises SpecmineError where the home holds documents that are not the samples.
    """
    started = time.monotonic()
    folder = settings.open_home().root / "samples"
    _refuse_other_documents(settings, folder)
    say = _announcer(log)
    say("rendering the sample documents to PDF")
    folder.mkdir(parents=True, exist_ok=True)
    render_all(folder)
    say("ingesting them (the first time, models are fetched)")
    ingested = stages.ingest(settings, [folder], True, tell)
    say("importing the judged queries")
    imported = _import(settings)
    say("measuring search before learning, on held-out queries")
    before = _read(settings, tell)
    say("mining what looks right and is not")
    mined = stages.mine(settings, tell)
    say("retraining the query encoders")
    retrained = stages.retrain(settings, tell)
    say("measuring search after learning")
    after = _read(settings, tell)
    return {
        "ingest": ingested,
        "queries": imported,
        "mine": mined,
        "retrain": retrained,
        **_answer(settings, before, after),
        "negatives": _negatives(settings),
        "gain": {name: asdict(_gain(settings, before, after, name)) for name in _MEASURES},
        "before": {"release": before.release, "runs": {name: values.mean for name, values in before.measures.items()}},
        "after": {"release": after.release, "runs": {name: values.mean for name, values in after.measures.items()}},
        "where": _places(settings, folder),
        "seconds": round(time.monotonic() - started, 1),
    }


def with_profile(settings: Settings, profile: str | None) -> Settings:
    """Return the settings with the encoders of a profile; as they are for None.

    Raises SpecmineError where there is no such profile.
    """
    if profile is None:
        return settings
    if profile not in ("default", "fast"):
        raise SpecmineError(f"there is no profile {profile!r}; the profiles are: default, fast")
    chosen = cast(Literal["default", "fast"], profile)
    return settings.model_copy(update={"profile": chosen, "encoders": ()})


def _refuse_other_documents(settings: Settings, folder: Path) -> None:
    """The demo learns from its own documents alone, and nobody wants them among their own."""
    from indexing.generations import read_documents

    home = settings.open_home()
    release = current(home)
    documents = read_documents(home, release.generation, release.content) if release else {}
    others = [name for name, entry in documents.items() if not Path(entry.source).is_relative_to(folder.resolve())]
    if others:
        raise SpecmineError(
            f"{home.root} holds {len(others)} documents that are not the samples ({others[0]} …): "
            "run the demo with SPECMINE_HOME set to another folder"
        )


def _announcer(log: Callable[[str], None]) -> Callable[[str], None]:
    step = 0

    def say(what: str) -> None:
        nonlocal step
        step += 1
        log(f"[{step}/7] {what}")

    return say


def _import(settings: Settings) -> dict[str, int]:
    counts = {}
    with catalogue(settings) as book:
        for split in SPLITS:
            queries = [Query(**row) for row in corpus.queries(split)]
            judgements = [Judgement(**row) for row in corpus.judgements(split)]
            if queries:
                counts[split] = book.import_split(split, queries, judgements).queries
    return counts


def _read(settings: Settings, tell: stages.Tell) -> Reading:
    with opened(settings) as searcher, catalogue(settings) as book:
        queries, projection = judged(searcher, book, HELD_OUT)
        measured = stages.measure(searcher, book, HELD_OUT, queries, projection, tell)
        return Reading(
            searcher.release.id,
            RERANKED if RERANKED in measured else FUSION,
            measured,
            {query.id: query.text for query in queries},
            groups_of(queries, book.judgements(HELD_OUT)),
        )


def _gain(settings: Settings, before: Reading, after: Reading, measure: str) -> Comparison:
    groups = {query: after.groups[query] for query in after.served.per_query}
    return compare(before.served, after.served, groups, measure, settings.promotion.level)


def _answer(settings: Settings, before: Reading, after: Reading) -> dict[str, Any]:
    """Return one held-out question, the one that gained most, and what the served release answers."""
    old, new = before.served.column("RR@10"), after.served.column("RR@10")
    query = max(sorted(new), key=lambda query: (new[query] == 1.0, new[query] - old[query]))
    with opened(settings) as searcher:
        found = searcher.search(after.texts[query], limit=3).as_json()
    return {
        "question": after.texts[query],
        "answers": found["results"],
        "rank": {"before": _rank(old[query]), "after": _rank(new[query])},
    }


def _rank(reciprocal: float) -> int | None:
    return round(1 / reciprocal) if reciprocal else None


def _negatives(settings: Settings) -> list[dict[str, Any]]:
    with opened(settings) as searcher:
        return examples(read_ledger(settings.open_home()), searcher, _EXAMPLES)


def _places(settings: Settings, folder: Path) -> dict[str, str]:
    home = settings.open_home()
    return {
        "documents": str(folder),
        "index": str(home.generations),
        "releases": str(home.releases),
        "query encoders": str(home.encoders),
        "mined negatives": str(home.ledgers),
        "catalogue": str(home.root / "catalogue.sqlite") if settings.catalogue.url is None else "as configured",
    }
