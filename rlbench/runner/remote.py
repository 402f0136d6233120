"""What launchers of other machines have in common: a worker there is a process of that machine, and something beside it passes words on.

So what trains, and how it stops, fails and dies, is the same wherever it is. Who passes words on sees bytes only: it need not be able to
import what runs are made of. Words go in batches, and a batch may say that the worker has ended.
"""

import dataclasses
import os
import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rlbench.runner.local import LocalWorker
from rlbench.runner.worker import Message, WorkerSettings

NOT_NEEDED = "before it was needed"  # how a worker ends that never got its place on a node


@dataclass(frozen=True)
class Heard:
    """What a worker has said since the last time, as bytes; and how it has ended, where it has."""

    words: Sequence[bytes]
    died: str | None

    def messages(self) -> list[Message]:
        return [pickle.loads(word) for word in self.words]


class Relay:
    """Beside a worker, on its machine."""

    def __init__(self, settings: WorkerSettings, path: Sequence[str]) -> None:
        """path: where the command's own process imports from; what is not there on this machine does no harm."""
        sys.path[:] = dict.fromkeys([*path, *sys.path])
        self._worker = LocalWorker(settings)

    def send(self, order: bytes) -> None:
        self._worker.send_bytes(order)

    def listen(self, seconds: float) -> Heard:
        """What has been said; waits so long for the first word."""
        words = []
        if not self._worker.connection.closed:
            self._worker.connection.poll(seconds)
        while (word := self._worker.receive_bytes()) is not None:
            words.append(word)
        return Heard(words, self._worker.died())

    def stop(self, *, at_once: bool = False) -> None:
        self._worker.stop(at_once=at_once)


def import_path() -> list[str]:
    """Where this process imports from, for one that is started in another folder."""
    return [os.path.abspath(one) for one in sys.path]


def of_elsewhere(settings: WorkerSettings) -> WorkerSettings:
    """Settings for a process that is started in another folder."""
    return dataclasses.replace(settings, root=settings.root.absolute())
