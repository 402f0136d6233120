"""A session: the right of one process to change a store, from its beginning until somebody takes the process for dead.

In: changes of the index. Out: each of them once, or LeaseLostError. The index names those who may write, and every change looks
there in the version that it follows: who has been fenced can therefore never publish, however long the process slept between its
last look and its write. A session's name is given once, so of two owners of a run the later one is in a later version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from rlbench.errors import LeaseLostError, StoreError
from rlbench.store.index import Index, Writer
from rlbench.store.index_log import IndexLog
from rlbench.store.leases import LEASE_SECONDS, Lease


class Session:
    """A context manager. Files named by it may lie in the store from now on: who fences it sweeps those that do not count."""

    def __init__(self, log: IndexLog, seconds: float = LEASE_SECONDS) -> None:
        self._log = log
        self._lease = Lease(log.objects, seconds)
        self.name = self._lease.name
        self._changes = 0
        self._removed: set[str] = set()
        try:
            log.transact(self._enter)
        except BaseException:
            self._lease.close()
            raise

    def _enter(self, index: Index) -> Index:
        return index if self.name in index.writers else index.with_writer(Writer(self.name))

    def publish(self, change: Callable[[Index], Index | None]) -> Index:
        """Change the index, once, as `IndexLog.transact` does. Raises LeaseLostError where this session is fenced."""
        self._changes += 1

        def step(index: Index) -> Index | None:
            own = self._standing(index)
            if own.changes >= self._changes:
                return index
            following = change(index)
            if following is None or following is index:
                return following
            following = following.with_doomed(gone=self._removed)
            return following.with_writer(replace(following.writers[self.name], changes=self._changes))

        return self._log.transact(step)

    def check(self) -> None:
        """Raise LeaseLostError where this session is fenced by now."""
        self._standing(self._log.read())

    def _standing(self, index: Index) -> Writer:
        own = index.writers.get(self.name)
        if own is None or own.is_fenced:
            raise LeaseLostError(
                f"the lease on {self._log.objects.where()} is lost: this process gave no sign for longer than it lasts, and its runs are"
                " another's; what it had not stored is not stored"
            )
        return own

    def remove(self, doomed: Iterable[str]) -> None:
        """Remove files that are doomed in the index; the next change says that they are gone."""
        for name in doomed:
            self._log.objects.delete(name)
            self._removed.add(name)

    def claiming(self, index: Index, claim: str) -> Index:
        """The index in which this session holds the runs of that claim."""
        return index.with_writer(replace(index.writers[self.name], claim=claim))

    @property
    def is_ours(self) -> bool:
        """Whether this is the process whose session it is, and no forked child."""
        return self._lease.is_ours

    def fence(self) -> bool:
        """Let nothing more of this session count, be it on its way to a server; whether that is certain."""
        try:
            self._log.transact(lambda index: index.fenced([self.name]))
        except StoreError:
            return False
        return True

    def close(self) -> None:
        """Be fenced, as who has died: what has been left is swept by whoever settles the store next. Safe to call twice."""
        if self._lease.is_ours:
            self.fence()  # else the lease that is not there any more tells
            with suppress(StoreError):
                self._lease.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
