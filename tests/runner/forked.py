"""Programs of Python code that begin as a fork of this process, which has imported already what they import: a second and a half each."""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence


class ForkedProcess:
    """What `subprocess.Popen` is to a worker: `python -c CODE WORDS` with a pipe as its standard input."""

    def __init__(self, command: Sequence[str], *, stdin: int, pass_fds: Sequence[int]) -> None:
        _, _, code, *words = command
        reading, writing = os.pipe()
        self.returncode: int | None = None
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of this process's threads
            self.pid = os.fork()
        if self.pid == 0:
            os.dup2(reading, 0)
            _become(code, words, pass_fds)
        os.close(reading)
        self.stdin = os.fdopen(writing, "wb")

    def poll(self) -> int | None:
        if self.returncode is None:
            self._ended(os.waitpid(self.pid, os.WNOHANG))
        return self.returncode

    def wait(self) -> int:
        if self.returncode is None:
            self._ended(os.waitpid(self.pid, 0))
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _ended(self, found: tuple[int, int]) -> None:
        if found[0]:
            self.returncode = os.waitstatus_to_exitcode(found[1])


def _become(code: str, words: Sequence[str], kept: Sequence[int]) -> None:
    """Run the code with the files of a new process, and end."""
    try:
        begin = 3
        for number in sorted(kept):
            os.closerange(begin, number)
            begin = number + 1
        os.closerange(begin, os.sysconf("SC_OPEN_MAX"))
        sys.stdin = open(0)  # noqa: SIM115 (it ends with the process)
        sys.argv[:] = ["-c", *words]
        exec(code, {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
