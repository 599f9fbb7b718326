"""The catalogue: judged queries, the logs of runs and searches, measures and human decisions."""

from __future__ import annotations

from evaluation.catalogue_decisions import Decisions
from evaluation.catalogue_generated import GeneratedQueries
from evaluation.catalogue_runs import RunLog
from evaluation.catalogue_searches import SearchLog


class Catalogue(GeneratedQueries, RunLog, Decisions, SearchLog):
    """The catalogue. Every method is one transaction, which raises ``CatalogueError`` as ``Database`` says.

    What it holds of one kind, and how, stands in the file of that kind.
    """
