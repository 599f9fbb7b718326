"""Is a new generation no worse than the served one, on judged queries? Asked before a re-index switches."""

from __future__ import annotations

from chunking.document import as_shown
from evaluation.catalogue import Catalogue
from evaluation.judgements import Query, follow_renames
from evaluation.measures import Measures, measure, over
from evaluation.projection import project
from indexing.costs import JUDGING, judged_by, judging_units
from indexing.embedding import Progress
from indexing.generations import present_names
from indexing.home import Home
from indexing.rates import Work, record
from indexing.reindexing.reindex import Judge, Judged
from indexing.reindexing.settings import ReindexSettings
from indexing.releases import Release
from indexing.search import Searcher
from indexing.settings import IndexSettings
from training.shadow import served_run

MEASURE = "nDCG@10"


def judge_by_queries(
    home: Home, index: IndexSettings, catalogue: Catalogue, rule: ReindexSettings, progress: Progress
) -> Judge:
    """Return what compares two generations on the split of ``rule``, as each is served and over the same queries.

    A query whose answer one of them has lost counts 0 there. Without judged queries nothing is compared, and the
    report says so.
    """

    def judge(old: Release, new: Release) -> Judged:
        queries = catalogue.queries(rule.split)
        before, after = (_measured(home, index, catalogue, rule.split, queries, one, progress) for one in (old, new))
        judged = sorted({query for found in (before, after) if found for query in found.per_query})
        if not judged:
            return Judged({"split": rule.split, "queries": 0})
        means = [over(found, judged).mean[MEASURE] if found else 0.0 for found in (before, after)]
        difference = means[1] - means[0]
        facts = {
            "split": rule.split,
            "measure": MEASURE,
            "queries": len(judged),
            "before": means[0],
            "after": means[1],
            "difference": difference,
        }
        if difference >= -rule.tolerance - 1e-12:
            return Judged(facts)
        return Judged(
            facts,
            f"{MEASURE} on {len(judged)} queries of {rule.split} is {means[1]:.4f}, {-difference:.4f} below the served "
            f"release's {means[0]:.4f}: more than tolerance = {rule.tolerance} of [reindex]",
        )

    return judge


def _measured(
    home: Home,
    index: IndexSettings,
    catalogue: Catalogue,
    split: str,
    queries: list[Query],
    release: Release,
    progress: Progress,
) -> Measures | None:
    """Return the measures of a release, None where it answers none of the queries."""
    if not queries:
        return None
    judging = Work(JUDGING)
    with judging.timed(0):
        searcher = Searcher.open(home, index, release)
        try:
            judgements = follow_renames(catalogue.judgements(split), present_names(searcher.documents))
            chunks = searcher.chunks.of_documents(judgement.document for judgement in judgements)
            projection = project(judgements, map(as_shown, chunks), searcher.document_text)
            if not projection.units:
                return None
            texts = {query.id: query.text for query in queries if query.id in projection.units}
            measures = measure(served_run(searcher, texts, progress), projection)
        finally:
            searcher.close()
    encoders = searcher.generation.encoders
    judging.by = judged_by([part.fingerprint for part in encoders], release.reranker)
    judging.units = judging_units(len(texts), len(encoders))
    record(home, judging)
    return measures
