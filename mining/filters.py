"""Why a candidate is not used: filters that give a verdict and a reason, and remove nothing silently.

A filter looks at the candidates of one query that nobody has decided about, and returns a verdict and a reason for
each one it rejects. What it does not name, it lets pass.
"""

from __future__ import annotations

from mining.filters_cross import calibrated, cross_bounds, cross_encoder, evidence, learned
from mining.filters_encoders import encoder_agreement, nearer_than_judged, too_easy
from mining.filters_judged import judged_passages, near_duplicates, siblings
from mining.findings import Filter

ALWAYS: dict[str, Filter] = {"judged_passages": judged_passages, "siblings": siblings}
FILTERS: dict[str, Filter] = {
    "near_duplicates": near_duplicates,
    "cross_encoder": cross_encoder,
    "cross_bounds": cross_bounds,
    "calibrated": calibrated,
    "evidence": evidence,
    "learned": learned,
    "encoder_agreement": encoder_agreement,
    "nearer_than_judged": nearer_than_judged,
    "too_easy": too_easy,
}
# Those that cannot act before the cross-encoder was asked.
ASK_CROSS_ENCODER = frozenset({"cross_encoder", "cross_bounds", "calibrated", "evidence", "learned"})
# Those that need vectors of the candidates.
ASK_LIKENESS = frozenset({"evidence", "learned", "nearer_than_judged"})
