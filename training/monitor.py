"""Monitoring: is the served release still better than the one before? Where it has fallen below, that one returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from chunking.document import as_shown
from evaluation.catalogue import Catalogue
from evaluation.judgements import Judgement, Query, follow_renames
from evaluation.leakage import groups
from evaluation.measures import measure
from evaluation.projection import project
from evaluation.verdict import Comparison, PromotionRule, compare
from indexing.embedding import Progress
from indexing.generations import present_names
from indexing.home import Home, SpecmineError
from indexing.releases import BASE, Release, publish, read_release, served
from indexing.search import Searcher
from indexing.settings import IndexSettings
from training.live import live_queries
from training.monitor_settings import SEARCHES, MonitorSettings
from training.shadow import served_run
from training.versions import withdraw


@dataclass(frozen=True)
class Monitored:
    """What monitoring found. ``test`` compares the release before (``against``) with the served one.

    ``against`` and ``test`` are None where there is nothing to compare. ``returned`` is the new release that serves the
    earlier encoders and composition again, None where nothing was changed. ``reason`` is one plain line.
    """

    served: str
    against: str | None
    on: str
    test: Comparison | None
    fell: bool
    returned: str | None
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return the report with the keys other programs rely on."""
        return asdict(self)


def predecessor(home: Home, release: Release) -> Release | None:
    """Return the latest release before ``release`` of the same index that searched otherwise, None without one.

    What only brought or removed documents is passed over.
    """
    seen = {release.id}
    earlier = release.previous
    while earlier is not None and earlier not in seen:
        seen.add(earlier)
        found = read_release(home, earlier)
        if found.generation != release.generation:
            return None  # its encoders may know other passages
        if not found.searches_like(release):
            return found
        earlier = found.previous
    return None


def monitor(
    home: Home,
    index: IndexSettings,
    catalogue: Catalogue,
    settings: MonitorSettings,
    rule: PromotionRule,
    progress: Progress,
) -> Monitored:
    """Compare the served release with the one before it on what is judged by now, over the documents of now.

    It has fallen when its mean is lower by ``minimum_difference`` or more, p is at most 1 - ``level`` and the whole
    interval is below 0: what is asked of a promotion, the other way round. Raises SpecmineError when there is no query
    to monitor on.
    """
    release = served(home)
    on = settings.on or ("test" if catalogue.queries("test") else "dev")
    before = predecessor(home, release)
    if before is None:
        return Monitored(release.id, None, on, None, False, None, "no earlier release of this index searched otherwise")
    earlier = replace(before, content=release.content)
    test = _compare(home, index, catalogue, on, earlier, release, rule, progress)
    fell = (
        test.difference <= -rule.minimum_difference + 1e-12
        and test.p_value <= 1.0 - rule.level
        and test.interval[1] < 0.0
    )
    low, high = test.interval
    facts = (
        f"{rule.measure} on {on}: {before.id} {test.before:.3f}, {release.id} {test.after:.3f} "
        f"({test.difference:+.3f}, {low:+.3f} to {high:+.3f}, p {test.p_value:.2g}, {test.queries} queries)"
    )
    returned = None
    if fell and settings.rollback:
        note = f"monitor: back to what {before.id} searched with, {release.id} fell by {-test.difference:.3f} on {on}"
        with home.exclusive():
            now = served(home)
            if not now.searches_like(release):
                raise SpecmineError(f"release {now.id} was published while {release.id} was monitored: monitor again")
            returned = publish(home, replace(earlier, content=now.content, note=note)).id
        for name, version in release.encoders.items():
            if version not in (BASE, earlier.encoders[name]):
                withdraw(home, version, f"{release.id} fell by {-test.difference:.3f} on {on}")
    if returned:
        outcome = f"it fell: {returned} serves what {before.id} did"
    else:
        outcome = "it fell: roll back" if fell else "it stands"
    return Monitored(release.id, before.id, on, test, fell, returned, f"{facts}: {outcome}")


def _compare(
    home: Home,
    index: IndexSettings,
    catalogue: Catalogue,
    on: str,
    before: Release,
    after: Release,
    rule: PromotionRule,
    progress: Progress,
) -> Comparison:
    old, new = Searcher.open(home, index, before), Searcher.open(home, index, after)
    try:
        queries, judgements = _judged(new, catalogue, on)
        projection = project(judgements, map(as_shown, new.chunks.values()), new.document_text)
        if not projection.units:
            raise SpecmineError(f"nothing to monitor on: no query of {on!r} has a known answer in this index")
        texts = {query.id: query.text for query in queries if query.id in projection.units}
        earlier, later = (measure(served_run(searcher, texts, progress), projection) for searcher in (old, new))
        return compare(earlier, later, groups(queries, judgements), rule.measure, rule.level)
    finally:
        old.close()
        new.close()


def _judged(searcher: Searcher, catalogue: Catalogue, on: str) -> tuple[Sequence[Query], Sequence[Judgement]]:
    renamed = present_names(searcher.documents)
    if on != SEARCHES:
        return catalogue.queries(on), follow_renames(catalogue.judgements(on), renamed)
    live = live_queries(catalogue.searches(with_feedback=True), searcher.document_text, renamed)
    return [Query(name, text, "test") for name, text in live.texts.items()], live.judgements
