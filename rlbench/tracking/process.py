"""Starting and stopping a follower, as seen by the program that trains.

In: a store's path and the settings of trackers. Out: processes that mirror while we train. Nothing here waits for a tracker, except
`Follower.wait`, and that only as long as it is told to.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rlbench.errors import ConfigError
from rlbench.places import Place
from rlbench.tracking.tracker import TrackerSettings
from rlbench.tracking.trackers import to_text


def follower_command(store: Place, settings: TrackerSettings, *options: str) -> list[str]:
    """The command line of a follower; options: more of its own ones."""
    command = [sys.executable, "-m", "rlbench.tracking.follower", f"--settings={to_text(settings)}"]
    return [*command, *options, "--", os.fspath(store.absolute())]


def require_login(*trackers: TrackerSettings) -> None:
    """Raises ConfigError where a tracker needs a login and there is none. Takes a second then, and nothing else."""
    for settings in trackers:
        if settings.needs_login:
            command = follower_command(Path(), settings, "--check")
            checked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if checked.returncode:
                raise ConfigError(checked.stderr.strip().removeprefix("rlbench: ") or "the tracker does not start")


class Follower:
    """A follower process for each tracker. A context manager that tells them to stop at the end, and does not wait."""

    def __init__(self, store: Place, *trackers: TrackerSettings) -> None:
        """Start them; for a tracker that is not enabled there is none."""
        self._processes = [
            subprocess.Popen(
                follower_command(store, settings, "--background"),
                stdin=subprocess.PIPE,
                # Of a server one line, which says where to look.
                stdout=subprocess.PIPE if settings.needs_login else subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl-C is for the training program
            )
            for settings in trackers
            if settings.is_enabled
        ]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def stop(self) -> None:
        """Tell them to mirror what is left and to end. Returns at once; safe to call twice."""
        for process in self._processes:
            if process.stdin and not process.stdin.closed:
                with suppress(BrokenPipeError):
                    # A word besides the end: a forked child of ours may keep the pipe open.
                    process.stdin.write(b"stop\n")
                    process.stdin.flush()
                with suppress(BrokenPipeError):
                    process.stdin.close()

    def wait(self, seconds: float) -> int | None:
        """The largest exit code; None when one is still busy after so many seconds, which it may go on to be."""
        deadline = time.monotonic() + seconds
        with suppress(subprocess.TimeoutExpired):
            return max((process.wait(max(deadline - time.monotonic(), 0)) for process in self._processes), default=0)
        return None

    def told(self) -> str:
        """What those that have ended said of a server, a line each; nothing of those that are still busy. To be asked once, at the end."""
        lines = b""
        for process in self._processes:
            if process.stdout:
                lines += process.stdout.read() if process.poll() is not None else b""
                process.stdout.close()
        return lines.decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
