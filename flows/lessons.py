"""How much there is to learn from: what was judged, and what people decided."""

from __future__ import annotations

from evaluation.catalogue import Catalogue
from evaluation.judgements import training_splits


def lessons(book: Catalogue, synthetic: bool) -> dict[str, int]:
    """Count the judgements that train (of synthetic queries too, where they may), and all decisions ever made."""
    judgements = sum(len(book.judgements(split)) for split in training_splits(synthetic))
    return {"judgements": judgements, "decisions": len(book.decision_history())}
