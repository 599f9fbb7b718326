"""Metrics of an installation in Prometheus' text form.

What stages did comes from the catalogue, which knows of every run of every process, however it ended: processes that
live for one run need no port and nobody to push to. What searches take is counted by the process that answers them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dashboard.status import latest_measures
from evaluation.catalogue import Catalogue
from evaluation.leases import Leases
from indexing.generations import IndexedDocument, read_documents
from indexing.home import Home
from indexing.quarantine import read_quarantine
from indexing.releases import Release, current

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SEARCH_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The metrics of one home and catalogue, in a registry of their own."""

    def __init__(self, home: Home, catalogue: Catalogue) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Installation(home, catalogue))
        self.search_seconds = Histogram(
            "specmine_search_seconds",
            "Seconds that searches took in this process, by where they came from.",
            ["origin"],
            buckets=_SEARCH_SECONDS,
            registry=self._registry,
        )

    def text(self) -> str:
        """Return all metrics as they are now. Raises CatalogueError when the catalogue does not answer."""
        return generate_latest(self._registry).decode()


class _Installation(Collector):
    """What can be read of an installation by any process."""

    def __init__(self, home: Home, catalogue: Catalogue) -> None:
        self._home = home
        self._catalogue = catalogue
        self._read: tuple[Release | None, dict[str, IndexedDocument]] = (None, {})

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering reads nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        yield from self._runs()
        release = current(self._home)
        if release:
            yield from self._served(release)
        refused = GaugeMetricFamily("specmine_quarantined_documents", "Documents that could not be read.")
        refused.add_metric([], len(read_quarantine(self._home)))
        yield refused

    def _runs(self) -> Iterator[Metric]:
        labels = ["stage", "status"]
        number = CounterMetricFamily("specmine_runs", "Runs of a stage that ended so.", labels=labels)
        seconds = CounterMetricFamily("specmine_run_seconds", "Seconds that these runs took.", labels=labels)
        last = GaugeMetricFamily(
            "specmine_last_run_timestamp_seconds", "When the last of these runs began.", labels=labels
        )
        took = GaugeMetricFamily(
            "specmine_last_run_seconds", "Seconds that the last of these runs took.", labels=labels
        )
        for total in self._catalogue.run_totals():
            told = [total.stage, total.status]
            number.add_metric(told, total.number)
            seconds.add_metric(told, total.seconds)
            last.add_metric(told, datetime.fromisoformat(total.last_started).timestamp())
            took.add_metric(told, total.last_seconds)
        yield from (number, seconds, last, took)
        leases = Leases(self._catalogue)
        dead = leases.dead()
        under_way = GaugeMetricFamily(
            "specmine_leases", "Leases that runs hold; dead: of which nothing was heard.", labels=["stage", "dead"]
        )
        counted: dict[tuple[str, str], int] = {}
        for lease in leases.held():
            key = (lease.stage, str(lease in dead).lower())
            counted[key] = counted.get(key, 0) + 1
        for told_of, count in counted.items():
            under_way.add_metric(list(told_of), count)
        yield under_way

    def _served(self, release: Release) -> Iterator[Metric]:
        info = InfoMetricFamily("specmine_release", "The served release.")
        info.add_metric([], {"release": release.id, "generation": release.generation})
        created = GaugeMetricFamily("specmine_release_created_timestamp_seconds", "When the served release was made.")
        created.add_metric([], datetime.fromisoformat(release.created).timestamp())
        yield from (info, created)
        if self._read[0] != release:  # thousands of documents: read once for a release
            self._read = (release, read_documents(self._home, release.generation, release.content))
        documents = self._read[1].values()
        for name, value in (
            ("documents", len(documents)),
            ("pages", sum(document.pages for document in documents)),
            ("pages_without_text", sum(document.pages_without_text for document in documents)),
            ("passages", sum(document.chunks for document in documents)),
        ):
            gauge = GaugeMetricFamily(f"specmine_{name}", f"{name.replace('_', ' ').capitalize()} that are served.")
            gauge.add_metric([], value)
            yield gauge
        measured = GaugeMetricFamily(
            "specmine_measure", "Measures of the served release.", labels=["split", "run", "measure"]
        )
        for record in latest_measures(self._catalogue.measures()):
            if record.release == release.id:
                for name, mean in record.values.items():
                    measured.add_metric([record.split, record.run, name], mean)
        yield measured
