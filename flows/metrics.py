"""The metrics of an installation, read by a process that lives for a moment."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from dashboard.metrics import Metrics
from evaluation.catalogue import Catalogue
from flows.settings import Settings
from indexing.home import SpecmineError, replacing


def metrics_text(settings: Settings) -> str:
    """Return the metrics as Prometheus reads them."""
    with closing(Catalogue(settings.catalogue_url())) as book:
        return Metrics(settings.open_home(), book).text()


def write_metrics(settings: Settings, file: Path) -> None:
    """Replace ``file`` by the metrics, whole or not at all. Raises SpecmineError when it cannot be written."""
    text = metrics_text(settings)
    try:
        with replacing(file) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecmineError(f"{file} cannot be written: {error.strerror}") from None
