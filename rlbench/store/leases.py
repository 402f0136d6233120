"""Leases: who writes to a store, and whether they still live, as far as anybody elsewhere can see it.

In: a place with conditional writes. Out: a lease that its process keeps alive, and for others, which leases are over. A lease is an
object `leases/<name>` that says whose it is, and a counter that its owner raises: `leases/<name>-<count>`, of which the highest
counts. Whose count has stood still for the lease's duration on the looker's own clock is taken for dead; no two machines' clocks are
ever compared, and a first look never condemns. A process of the looker's own machine that has ended is known to be dead at once, and
so is an owner that has taken its lease away.
That a lease is over decides nothing by itself: what keeps its owner from writing is `rlbench.store.sessions`.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from rlbench.errors import StoreError
from rlbench.store.conditional import ConditionalStore
from rlbench.store.processes import Process, this_process

LEASE_SECONDS = 120.0  # NFS shows a new name up to 60 seconds late
LOOK_SECONDS = 5.0  # between two looks of whoever waits, at most
_BEATS = 6  # within the duration of a lease
_FOLDER = "leases"


@dataclass(frozen=True)
class Owner:
    """Who holds a lease, in its own words. seconds: the duration of the lease."""

    process: Process | None = None
    host: str = ""
    since: str = ""
    seconds: float = LEASE_SECONDS

    def __str__(self) -> str:
        if self.process is None:
            return "a process that did not say which"
        stopped = " (stopped)" if self.process.is_stopped else ""
        return f"process {self.process.number} on {self.host}{stopped}, since {self.since}"


def _owner(data: bytes) -> Owner:
    """What a lease says of its owner; a lease that says nothing that can be read is judged by its counter alone."""
    try:
        said = json.loads(data)
        return Owner(Process(**said["process"]), str(said["host"]), str(said["since"]), float(said["seconds"]))
    except (ValueError, TypeError, KeyError):
        return Owner()


class Lease:
    """This process's sign of life under a name of its own, until `close` or the end of the process."""

    def __init__(self, objects: ConditionalStore, seconds: float = LEASE_SECONDS) -> None:
        self.name = uuid.uuid4().hex[:12]
        self._objects, self._seconds, self._count = objects, seconds, 0
        own = Owner(this_process(), socket.gethostname(), f"{datetime.now():%Y-%m-%d %H:%M:%S}", seconds)
        self._owner = own
        self._ended = threading.Event()
        objects.put(f"{_FOLDER}/{self.name}", json.dumps(asdict(own)).encode())
        self.beat()
        self._thread = threading.Thread(target=self._keep, name=f"lease {self.name}", daemon=True)
        self._thread.start()

    @property
    def is_ours(self) -> bool:
        """Whether this is the process that took it, and no forked child, which must leave it alone."""
        return self._owner.process is not None and self._owner.process.number == os.getpid()

    def beat(self) -> None:
        """Raise the counter. The count before stays until the next, so that whoever lists the names meanwhile finds one."""
        self._count += 1
        self._objects.put(self._object(self._count), b"")
        self._objects.delete(self._object(self._count - 2))

    def _object(self, count: int) -> str:
        return f"{_FOLDER}/{self.name}-{count:08d}"

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / _BEATS):
            with suppress(
                StoreError
            ):  # a full disk, say: the next beat may come through, and the owner hears of it when it writes
                self.beat()

    def close(self) -> None:
        """Give no sign any more. Safe to call twice."""
        if not self.is_ours or self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        for count in (self._count - 1, self._count):
            self._objects.delete(self._object(count))
        self._objects.delete(f"{_FOLDER}/{self.name}")  # the last, because without it the lease is over


@dataclass(frozen=True)
class _Seen:
    """What a looker has seen of a lease: its count, since when it has certainly been that one, and when the last look began."""

    count: int
    first: float
    last: float


class Watch:
    """What one looker has seen of leases: it judges by what changes while it looks."""

    def __init__(self, objects: ConditionalStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._objects, self._clock = objects, clock
        self._owners: dict[str, Owner] = {}
        self._seen: dict[str, _Seen] = {}

    def dead(self, names: Collection[str]) -> set[str]:
        """Those of these leases that are over."""
        if not names:
            return set()
        before = self._clock()
        counts = self._counts()
        after = self._clock()
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}
        return {name for name in names if self._is_dead(name, counts.get(name, 0), before, after)}

    def _is_dead(self, name: str, count: int, before: float, after: float) -> bool:
        if (
            count == 0 and self._objects.read(f"{_FOLDER}/{name}") is None
        ):  # by its name, because lists of names may be late
            return True
        owner = self.owner(name) or Owner()
        if owner.process is not None and owner.process.is_gone():
            return True
        seen = self._seen.get(name)
        # Who has not looked for long may have been stopped itself, or the server, and with it those who would give a sign.
        if seen is None or seen.count != count or before - seen.last > max(owner.seconds / 2, LOOK_SECONDS):
            seen = _Seen(count, after, before)
        self._seen[name] = replace(seen, last=before)
        return before - seen.first > owner.seconds

    def owner(self, name: str) -> Owner | None:
        """Who holds a lease; None where nobody does."""
        if name not in self._owners:
            data = self._objects.read(f"{_FOLDER}/{name}")
            if data is None:
                return None
            self._owners[name] = _owner(data)
        return self._owners[name]

    def sweep(self, names: Collection[str]) -> None:
        """Remove what is left of leases of processes that have certainly ended, but for these."""
        for name in {one.partition("-")[0] for one in self._objects.names(_FOLDER)} - set(names):
            owner = self.owner(name)
            if owner is None or (owner.process is not None and owner.process.is_gone()):
                self.remove(name)

    def _counts(self) -> dict[str, int]:
        """Name -> the highest count of its lease."""
        counts: dict[str, int] = {}
        for one in self._objects.names(_FOLDER):
            name, _, count = one.partition("-")
            if count.isdecimal():
                counts[name] = max(counts.get(name, 0), int(count))
        return counts

    def remove(self, name: str) -> None:
        """Take away what a dead owner's lease has left."""
        for one in sorted(self._objects.names(_FOLDER), reverse=True):  # what says whose it is the last
            if one.partition("-")[0] == name:
                self._objects.delete(f"{_FOLDER}/{one}")
