"""``[reindex]``: what a new generation must show before it is served, how many are kept, and what computing costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReindexSettings:
    """A new generation is served if its checks pass.

    ``minimum_recall`` (0 to 1) is the least share of the exactly nearest ten passages that the store must find, for
    each encoder. On the judged queries of ``split`` the mean nDCG@10 of what is shown may be lower than that of the
    served release by ``tolerance`` (0 to 1). ``keep_generations`` counts the served one; it is 2 or more, so that a
    rollback is always possible. The prices, of an hour of one processor core and of a gigabyte for a month, in whatever
    currency, let a plan tell what a re-index would cost.
    """

    split: str = "dev"
    tolerance: float = 0.01
    minimum_recall: float = 0.95
    keep_generations: int = 2
    cpu_hour_price: float | None = None
    gigabyte_month_price: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.tolerance <= 1.0:
            raise ValueError(f"tolerance must be 0 to 1, not {self.tolerance}")
        if not 0.0 <= self.minimum_recall <= 1.0:
            raise ValueError(f"minimum_recall must be 0 to 1, not {self.minimum_recall}")
        if self.keep_generations < 2:
            raise ValueError(f"keep_generations must be 2 or more, not {self.keep_generations}")
        for name in ("cpu_hour_price", "gigabyte_month_price"):
            price = getattr(self, name)
            if price is not None and price < 0:
                raise ValueError(f"{name} must be 0 or more, not {price}")
        if self.split not in ("dev", "test", "guard", "train"):
            raise ValueError(f"split must be train, dev, test or guard, not {self.split!r}")
