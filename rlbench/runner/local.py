"""Workers that are processes of this machine.

Each is a program of its own, unlike a process of `multiprocessing`, which would run the user's script once more in every worker.
"""

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from types import FrameType

from rlbench.config.launchers import LauncherSettings
from rlbench.errors import StoreError
from rlbench.runner.worker import Launcher, Message, Round, Worker, WorkerSettings


class LocalWorker(Worker):
    """A process, and a socket to it."""

    def __init__(self, settings: WorkerSettings) -> None:
        mine, theirs = socket.socketpair()
        command = [sys.executable, "-c", "from rlbench.runner.local import main; main()", str(theirs.fileno())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[theirs.fileno()])
        theirs.close()
        self.connection = Connection(mine.detach())
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it died at once: its end of the connection tells
            pickle.dump(sys.path, self.process.stdin)
            pickle.dump(settings, self.process.stdin)
            self.process.stdin.close()

    def send(self, order: Round) -> None:
        self.send_bytes(pickle.dumps(order))

    def send_bytes(self, order: bytes) -> None:
        """`send` for who only passes it on, and need not be able to import what it is made of."""
        with suppress(OSError):
            self.connection.send_bytes(order)

    def receive(self) -> Message | None:
        said = self.receive_bytes()
        return None if said is None else pickle.loads(said)

    def receive_bytes(self) -> bytes | None:
        """`receive` for who only passes it on."""
        try:
            if not self.connection.closed and self.connection.poll():
                return self.connection.recv_bytes()
        except (EOFError, ConnectionError):
            self.connection.close()
        return None

    def stop(self, *, at_once: bool = False) -> None:
        if self.process.poll() is None:
            (self.process.kill if at_once else self.process.terminate)()

    def died(self) -> str | None:
        if not self.connection.closed:
            return None
        code = self.process.wait()
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"


class LocalLauncher(Launcher):
    """Processes of this machine."""

    name = "local"

    def __init__(self, settings: LauncherSettings | None = None, workers: int | None = None) -> None:
        """Nothing can be said of processes but how many there are."""

    def check(self) -> None:
        """There are always processes."""

    def room(self) -> int:
        return num_cores()

    def close(self) -> None:
        """Nothing outlives the workers."""

    def start(self, settings: WorkerSettings) -> LocalWorker:
        return LocalWorker(settings)

    def wait(self, workers: Sequence[Worker], seconds: float) -> None:
        wait([one.connection for one in workers if isinstance(one, LocalWorker) and not one.connection.closed], seconds)


def num_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """A worker process: where it works comes on stdin, words come and go by the file descriptor named on the command line."""
    from rlbench.runner.cohorts import (  # with them comes torch, which who only passes words on does not need
        last_line,
        serve,
    )

    connection, parent, stopped = Connection(int(sys.argv[1])), os.getppid(), False
    sys.path[:] = pickle.load(sys.stdin.buffer)  # what the parent can import, the runs may need
    settings: WorkerSettings = pickle.load(sys.stdin.buffer)

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to everybody; the parent passes it on as SIGTERM

    def receive(seconds: float) -> Round | None:
        nonlocal stopped
        try:
            received: Round | None = connection.recv() if connection.poll(seconds) else None
        except (EOFError, OSError):  # the parent is gone
            stopped = True
            return None
        except BaseException as error:  # whatever the modules of one's own choices raise
            raise StoreError(f"a worker cannot import what its runs are made of: {last_line(error)}") from None
        return received

    def tell(message: Message) -> None:
        with suppress(OSError):  # the parent is gone: `should_stop` sees it
            connection.send(message)

    serve(settings, receive, tell, should_stop=lambda: stopped or os.getppid() != parent)
    connection.close()
