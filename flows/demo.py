"""``specmine demo``: once round on the sample documents, and what came of it.

The samples are rendered to PDF, ingested, searched, judged, mined and learned from, by the very stages that the other
commands run. Run again, it continues where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from rich.console import Console
from rich.markup import escape

from evaluation.judgements import SPLITS, Judgement, Query
from evaluation.leakage import groups as groups_of
from evaluation.measures import Measures
from evaluation.verdict import Comparison, compare
from flows import show, stages
from flows.output import Session, measures_table
from flows.settings import Settings, load_settings
from indexing.home import SpecmineError
from indexing.releases import current
from indexing.search import FUSION, RERANKED
from mining.examples import examples
from mining.ledger import read_ledger
from samples import corpus
from samples.render import render_all

_HELD_OUT = "test"
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


def demo(session: Session, profile: str | None) -> None:
    """Go once round and tell what came of it."""
    started = time.monotonic()
    settings = _settings(session, profile)
    folder = settings.open_home().root / "samples"
    _refuse_other_documents(settings, folder)
    with session.progress() as tell:
        say = _announcer(session)
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
    result = {
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
    session.emit(result, lambda console: _tell_people(console, result, settings.promotion.level))


def _settings(session: Session, profile: str | None) -> Settings:
    settings = load_settings(session.config)
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


def _announcer(session: Session) -> Callable[[str], None]:
    step = 0

    def say(what: str) -> None:
        nonlocal step
        step += 1
        session.log(f"[{step}/7] {what}")

    return say


def _import(settings: Settings) -> dict[str, int]:
    counts = {}
    with stages.catalogue(settings) as book:
        for split in SPLITS:
            queries = [Query(**row) for row in corpus.queries(split)]
            judgements = [Judgement(**row) for row in corpus.judgements(split)]
            if queries:
                counts[split] = book.import_split(split, queries, judgements).queries
    return counts


def _read(settings: Settings, tell: stages.Tell) -> Reading:
    with stages.opened(settings) as searcher, stages.catalogue(settings) as book:
        queries, projection = stages.judged(searcher, book, _HELD_OUT)
        measured = stages.measure(searcher, book, _HELD_OUT, queries, projection, tell)
        return Reading(
            searcher.release.id,
            RERANKED if RERANKED in measured else FUSION,
            measured,
            {query.id: query.text for query in queries},
            groups_of(queries, book.judgements(_HELD_OUT)),
        )


def _gain(settings: Settings, before: Reading, after: Reading, measure: str) -> Comparison:
    groups = {query: after.groups[query] for query in after.served.per_query}
    return compare(before.served, after.served, groups, measure, settings.promotion.level)


def _answer(settings: Settings, before: Reading, after: Reading) -> dict[str, Any]:
    """Return one held-out question, the one that gained most, and what the served release answers."""
    old, new = before.served.column("RR@10"), after.served.column("RR@10")
    query = max(sorted(new), key=lambda query: (new[query] == 1.0, new[query] - old[query]))
    with stages.opened(settings) as searcher:
        found = searcher.search(after.texts[query], limit=3).as_json()
    return {
        "question": after.texts[query],
        "answers": found["results"],
        "rank": {"before": _rank(old[query]), "after": _rank(new[query])},
    }


def _rank(reciprocal: float) -> int | None:
    return round(1 / reciprocal) if reciprocal else None


def _negatives(settings: Settings) -> list[dict[str, Any]]:
    with stages.opened(settings) as searcher:
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


def _tell_people(console: Console, result: Mapping[str, Any], level: float) -> None:
    console.rule("a question that search was never trained on")
    ranks = [rank if rank else "below 10" for rank in result["rank"].values()]
    console.print(f"[bold]{escape(result['question'])}[/bold]", soft_wrap=True)
    if result["answers"]:
        best = result["answers"][0]
        where = show.place(best["document"], best["section"], best["pages"])
        console.print(f"→ [bold]{escape(where)}[/bold]", soft_wrap=True)
        console.print(f"  {escape(show.shortened(best['text']))}", soft_wrap=True)
    console.print(f"  [dim]the judged passage stood at rank {ranks[0]} before, {ranks[1]} after[/dim]")
    console.rule("what was mined: looks right, and is not")
    for example in result["negatives"]:
        _tell_example(console, example)
    console.rule(f"before and after learning, {result['queries'][_HELD_OUT]} held-out queries")
    before, after = result["before"], result["after"]
    console.print(measures_table(f"before: release {before['release']}", before["runs"]))
    if after["release"] == before["release"]:
        console.print(f"nothing was proven better on these queries, so release {after['release']} stays")
    else:
        console.print(measures_table(f"after: release {after['release']}", after["runs"]))
    for name, gain in result["gain"].items():
        low, high = gain["interval"]
        console.print(
            f"{name.replace('RR@', 'MRR@')}  [bold]{gain['before']:.4f} → {gain['after']:.4f}[/bold]  "
            f"({gain['difference']:+.4f}, {level:.0%} interval {low:+.4f} to {high:+.4f}, p {gain['p_value']:.2g}, "
            f"{gain['queries']} queries in {gain['groups']} groups)",
            soft_wrap=True,
        )
    show.retrain(console, result["retrain"])
    console.rule("where everything lies")
    for name, path in result["where"].items():
        console.print(f"  {name}: {escape(path)}", soft_wrap=True)
    console.rule(f"done in {result['seconds']:.0f} s; next")
    for command in _NEXT:
        console.print(f"  {command}")


def _tell_example(console: Console, example: Mapping[str, Any]) -> None:
    positive, negative = example["positive"], example["negative"]
    found = ", ".join(f"{name} {source['rank']}" for name, source in negative["sources"].items())
    console.print(f"[bold]{escape(example['query'])}[/bold]", soft_wrap=True)
    for sign, passage in (("[green]✓[/green]", positive), ("[red]✗[/red]", negative)):
        where = show.place(passage["document"], passage["section"], passage["pages"])
        console.print(f"  {sign} {escape(where)}", soft_wrap=True)
        console.print(f"    [dim]{escape(show.shortened(passage['text'], 180))}[/dim]", soft_wrap=True)
    console.print(f"    [dim]found at rank: {found}[/dim]", soft_wrap=True)


_NEXT = (
    'specmine search "your question"',
    "specmine ingest FOLDER        your own documents (with another SPECMINE_HOME)",
    "specmine releases             what was published; specmine rollback goes back",
    "specmine dashboard            pages for search, review and operations",
)
