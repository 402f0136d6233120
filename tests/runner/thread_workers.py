"""Workers that are threads of the tests' own process: the `Worker` port without processes, so that faults cost no time."""

import queue
import socket
import threading
from collections.abc import Sequence

from rlbench.config.launchers import LauncherSettings
from rlbench.errors import LeaseLostError, StoreError
from rlbench.lanes.fast.compiling import prepare_process
from rlbench.runner.cohorts import Cohorts, Stopped
from rlbench.runner.local import num_cores
from rlbench.runner.versions import versions
from rlbench.runner.worker import Launcher, Message, Ready, Round, Said, Worker, WorkerFailed, WorkerSettings
from rlbench.store import Store

POLL_SECONDS = 0.01


class Crash(StoreError):  # noqa: N818 (a fault, and not one that is reported)
    """What a worker that is to die raises where it stands; nothing catches it but its thread."""


class ThreadWorker(Worker):
    """A thread, and a queue each way."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._rounds: queue.SimpleQueue[Round] = queue.SimpleQueue()
        self._said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._stopped = self._crashed = False
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def send(self, order: Round) -> None:
        self._rounds.put(order)

    def receive(self) -> Message | None:
        return None if self._said.empty() else self._said.get()

    def stop(self, *, at_once: bool = False) -> None:
        self._stopped = True
        self._crashed |= at_once

    def died(self) -> str | None:
        if self._thread.is_alive() or not self._said.empty():
            return None
        return "by a crash" if self._crashed else "with exit status 0"

    def crash(self) -> None:
        self._crashed = True

    def _should_stop(self) -> bool:
        if self._crashed:
            raise Crash
        return self._stopped

    def _work(self) -> None:
        prepare_process()  # denormals are a thread's own
        own: Cohorts | None = None
        try:
            store = Store.open(self._settings.root, say=lambda line: self._said.put(Said(line)))
            own = Cohorts(store, self._settings, self._should_stop, self._said.put)
            self._said.put(Ready(socket.gethostname(), versions()))
            while not self._should_stop():
                try:
                    order = self._rounds.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    continue
                self._said.put(own.run(order))
            own.close()
        except Stopped:
            pass
        except Crash:
            for one in own.all if own is not None else ():
                one.close()  # as the end of a process would; nothing is committed
        except LeaseLostError as error:
            self._said.put(Said(str(error)))
        except StoreError as error:
            self._said.put(WorkerFailed(str(error), type(error)))


class ThreadLauncher(Launcher):
    """Threads of this process."""

    name = "thread"

    def __init__(self, settings: LauncherSettings | None = None, workers: int | None = None) -> None:
        """Threads take nothing that could be said."""

    def check(self) -> None:
        """There are always threads."""

    def room(self) -> int:
        return num_cores()

    def close(self) -> None:
        """Nothing outlives the threads."""

    def start(self, settings: WorkerSettings) -> ThreadWorker:
        return ThreadWorker(settings)

    def wait(self, workers: Sequence[Worker], seconds: float) -> None:
        threading.Event().wait(POLL_SECONDS)
