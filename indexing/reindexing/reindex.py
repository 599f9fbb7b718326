"""Re-indexing: the documents of the served release, cut and embedded anew under the present configuration.

The story: build the new generation beside the served one, holding no lock; check it; bring after what ingests changed
meanwhile; switch, and remove the oldest generations. What is served is searched all the while, and takes documents in.
Vectors serve again wherever the encoders' text is the same. A killed re-index continues from the documents and vectors
that are already on disk; one whose checks fail is not published, and both generations stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from indexing.contents import first_release, keep_recent
from indexing.costs import CHECKING, checking_units
from indexing.embedding import Progress
from indexing.generations import Generation, read_generation
from indexing.home import Home, LockedHomeError, remove_partials
from indexing.models.fingerprints import encoder_fingerprint
from indexing.parts import Workers, here
from indexing.rates import Work, record
from indexing.reading import plan_generation
from indexing.reindexing.builder import Builder
from indexing.reindexing.checks import Checked, check
from indexing.reindexing.estimate import Estimate, estimate_reindex, keep_comparison
from indexing.reindexing.journal import begin, end, refuse
from indexing.reindexing.meter import Meter, Taken
from indexing.reindexing.plan import ReindexPlan, plan_reindex
from indexing.reindexing.settings import ReindexSettings
from indexing.reindexing.work import ReindexWork
from indexing.releases import BASE, Release, publish, served
from indexing.retention import remove_old_generations
from indexing.settings import IndexSettings

# A switch is short: with more passages than this to bring after, the writer's lock is given back first, so often.
_PASSAGES_AT_THE_SWITCH = 2000
_ROUNDS = 5
_LONGEST_WAIT = 7 * 24 * 3600.0  # for another writer, in seconds
_SECONDS_TO_CLEAN = 60.0  # where another is writing for longer, old generations go the next time
_SECONDS_TO_START = 60.0  # an ingest holds the re-index's lock while it cleans up


@dataclass(frozen=True)
class Judged:
    """What judged queries say of a new generation: ``measured`` for the report, ``worse`` a reason not to serve it."""

    measured: Mapping[str, Any]
    worse: str | None = None


Judge = Callable[[Release, Release], Judged]
"""Called with the served release and the one that would follow it, which is not published yet."""


@dataclass(frozen=True)
class ReindexReport:
    """What a re-index did.

    ``published`` is False where the checks failed, and ``reasons`` tells why; ``release`` is the one that is served
    now. ``unread`` gives, by document, why it could not be read again: its stored text was cut. ``brought_after``
    counts the documents that changed while it ran. ``switch_seconds`` is how long the writer's lock was held.
    ``work`` and ``estimate`` are what was expected before, ``actual`` what building and checking took; what was brought
    after nobody could foresee, and it is in none of them.
    ``removed`` are the generations that went, ``held`` those that should have gone and that a reader has open.
    """

    plan: ReindexPlan
    release: str
    published: bool
    reasons: tuple[str, ...]
    chunks: int
    embedded: int
    brought_after: int
    checked: Checked
    judged: Judged | None
    unread: dict[str, str]
    seconds: float
    work: ReindexWork
    estimate: Estimate
    actual: Taken
    switch_seconds: float = 0.0
    removed: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        return {
            **self.plan.as_json(),
            "plan": False,
            "release": self.release,
            "published": self.published,
            "reasons": list(self.reasons),
            "chunks": self.chunks,
            "embedded": self.embedded,
            "brought_after": self.brought_after,
            "checked": self.checked.as_json(),
            "judged": dict(self.judged.measured) if self.judged else None,
            "unread": self.unread,
            "removed_generations": self.removed,
            "held_generations": self.held,
            "work": self.work.as_json(),
            "estimate": self.estimate.as_json(),
            "actual": self.actual.as_json(),
            "switch_seconds": round(self.switch_seconds, 3),
            "seconds": round(self.seconds, 3),
        }


def reindex(
    home: Home,
    settings: IndexSettings,
    progress: Progress,
    rule: ReindexSettings | None = None,
    judge: Judge | None = None,
    judged_queries: int = 0,
    workers: Workers = here,
) -> ReindexReport:
    """Build the configured generation from the served documents and publish it if its checks pass.

    Query-encoder versions stay with encoders whose document side is the same; the others start untrained.
    ``judged_queries`` is how many ``judge`` will search for, which the estimate counts. ``workers`` read, cut and embed
    (see ``indexing.parts``). Raises LockedHomeError when another re-index runs.
    """
    rule = rule or ReindexSettings()
    started = time.monotonic()
    with home.reindexing(_SECONDS_TO_START):
        with suppress(LockedHomeError), home.exclusive():  # no ingest is writing now: what is partial is nobody's
            for folder in (home.documents, home.vectors, home.generations):
                remove_partials(folder)
            remove_partials(home.root, below=False)
        plan = plan_reindex(home, settings)
        progress("estimating", 0, 1)
        work, estimate = estimate_reindex(home, settings, rule, judged_queries if judge else 0)
        progress("estimating", 1, 1)
        builder = Builder(home, settings, plan_generation(home, settings), progress, workers)
        meter = Meter(home, served(home), builder.generation)
        begin(home, plan.generation)
        builder.prepare(served(home))
        if plan.generation == served(home).generation:
            # Ingests write contents of the same generation: they wait, but for the embedding, which is done.
            with home.exclusive(_LONGEST_WAIT):
                outcome = _build_and_check(builder, rule, judge, meter)
                switched = None if outcome.reasons else _switch(builder)
        else:
            outcome = _build_and_check(builder, rule, judge, meter)
            switched = None if outcome.reasons else _switch_when_even(builder)
        keep_comparison(home, plan.generation, estimate, outcome.actual)
        removed: list[str] = []
        held: list[str] = []
        if switched is None:
            refuse(home, outcome.reasons)
        else:
            end(home)
            with suppress(LockedHomeError), home.exclusive(_SECONDS_TO_CLEAN):
                keep_recent(home, builder.generation, settings, switched.release.content, None)
                removed, held = remove_old_generations(home, settings, rule.keep_generations)
    return ReindexReport(
        plan=plan,
        release=served(home).id,
        published=switched is not None,
        reasons=outcome.reasons,
        chunks=sum(entry.chunks for entry in builder.documents.values()),
        embedded=builder.embedded,
        brought_after=switched.brought_after if switched else 0,
        checked=outcome.checked,
        judged=outcome.judged,
        unread=builder.unread,
        seconds=time.monotonic() - started,
        work=work,
        estimate=estimate,
        actual=outcome.actual,
        switch_seconds=switched.seconds if switched else 0.0,
        removed=removed,
        held=held,
    )


@dataclass(frozen=True)
class _Outcome:
    checked: Checked
    judged: Judged | None
    reasons: tuple[str, ...]
    actual: Taken


@dataclass(frozen=True)
class _Switched:
    release: Release
    brought_after: int
    seconds: float


def _build_and_check(builder: Builder, rule: ReindexSettings, judge: Judge | None, meter: Meter) -> _Outcome:
    """Write the first content and look whether it may be served."""
    release = served(builder.home)
    following = _follow(builder, release)
    builder.progress("checking", 0, 1)
    checking = Work(CHECKING)
    dimensions = [encoder_fingerprint(part.spec, builder.home)[1] for part in builder.generation.encoders]
    with checking.timed(checking_units(sum(entry.chunks for entry in builder.documents.values()), dimensions)):
        checked = check(builder.home, builder.settings, builder.generation, builder.documents, following.content)
    reasons = checked.failures(len(builder.source), rule.minimum_recall)
    record(builder.home, checking)
    judged = judge(release, following) if judge and not reasons else None
    if judged and judged.worse:
        reasons.append(judged.worse)
    builder.progress("checking", 1, 1)
    keys = [entry.key for entry in builder.documents.values()]
    return _Outcome(checked, judged, tuple(reasons), meter.read(following.content, keys))


def _switch_when_even(builder: Builder) -> _Switched:
    """Bring after what changed, without the writer's lock while it is much, and publish."""
    brought = 0
    for left in reversed(range(_ROUNDS)):
        release = served(builder.home)
        brought += _number_changed(builder, release)
        _follow(builder, release)
        with builder.home.exclusive(_LONGEST_WAIT):
            changed, _ = builder.changed(served(builder.home))
            if not left or sum(entry.chunks for entry in changed.values()) <= _PASSAGES_AT_THE_SWITCH:
                switched = _switch(builder)
                return replace(switched, brought_after=brought + switched.brought_after)
    raise RuntimeError("unreachable: the last round switches")


def _switch(builder: Builder) -> _Switched:
    """Bring after what is left and publish. The caller holds the writer's lock."""
    started = time.monotonic()
    release = served(builder.home)
    brought = _number_changed(builder, release)
    published = publish(builder.home, _follow(builder, release))
    return _Switched(published, brought, time.monotonic() - started)


def _number_changed(builder: Builder, release: Release) -> int:
    changed, gone = builder.changed(release)
    return len(changed) + len(gone)


def _follow(builder: Builder, release: Release) -> Release:
    """Bring the content to the documents of ``release``; return what would be served in its place."""
    following = _following(builder.home, release, builder.generation)
    return replace(following, content=builder.follow(release, following.geometry))


def _following(home: Home, old: Release, generation: Generation) -> Release:
    """Return the release of the new generation that follows the old one; its content is still to be written."""
    fingerprints = {part.spec.name: part.fingerprint for part in read_generation(home, old.generation).encoders}
    fresh = first_release(generation, 0, f"re-index of {old.id}")
    same = {part.spec.name for part in generation.encoders if fingerprints.get(part.spec.name) == part.fingerprint}
    versions = {name: old.encoders[name] if name in same else BASE for name in generation.names}
    geometry = {name: found for name, found in old.geometry.items() if name in same}
    known = all(source in old.fusion.weights for source in fresh.fusion.weights)
    left = {
        source: weight for source, weight in old.fusion.weights.items() if source not in fingerprints or source in same
    }
    fusion = replace(old.fusion, weights=left) if known else fresh.fusion
    return replace(fresh, encoders=versions, reranker=old.reranker, fusion=fusion, geometry=geometry)
