"""The one writer's lease, kept in the catalogue: it counts between machines, where the kernel's lock may not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from indexing.home import Home, LockedHomeError

if TYPE_CHECKING:
    from evaluation.leases import Lease, Leases

_NAME = "index writer"


class WriterLease:
    """The lease on ``home`` in the catalogue at ``url``, or in the home's own.

    It lasts ``seconds`` after its holder's last sign of life.
    """

    def __init__(self, home: Home, url: str | None, seconds: float) -> None:
        self._home = home
        self._url = url
        self._seconds = seconds
        self._held: tuple[Leases, Lease] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes get the address, never the lease that is held here."""
        return WriterLease, (self._home, self._url, self._seconds)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease while the block runs. Raises LockedHomeError when another process holds it."""
        from evaluation.catalogue import Catalogue
        from evaluation.leases import LeaseError, Leases
        from flows.stage_runs import flow_run

        with closing(Catalogue(self._url or self._home.catalogue_url)) as book:
            leases = Leases(book, self._seconds)
            try:
                lease = leases.take(_NAME, _NAME, flow_run())
            except LeaseError as error:
                raise LockedHomeError(
                    f"the index is being written: {error}; wait until that ends (at most {self._seconds:g} seconds "
                    "after its last sign of life)"
                ) from None
            self._held = (leases, lease)
            try:
                with leases.kept(lease):
                    yield
            finally:
                self._held = None

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """Keep the held lease from being taken over while the block runs. Raises LockedHomeError when it was before."""
        from evaluation.leases import LeaseError

        if self._held is None:
            raise RuntimeError("only the holder of the home's lock may publish")
        leases, lease = self._held
        try:
            with leases.fenced(lease):
                yield
        except LeaseError as error:
            raise LockedHomeError(
                f"nothing was published: this run gave no sign of life for {self._seconds:g} seconds, and its place "
                f"was {error}; run it again, it goes on from what it has done"
            ) from None
