"""Starting and stopping a follower, as seen by the program that trains.

In: a store's path and what is tracked. Out: a process that mirrors while we train. Nothing here waits for W&B, except
`Follower.wait`, and that only as long as it is told to.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rlbench.errors import ConfigError
from rlbench.tracking.settings import TrackingSettings


def follower_command(store: Path, settings: TrackingSettings, *options: str) -> list[str]:
    """The command line of a follower; options: more of its own ones."""
    command = [sys.executable, "-m", "rlbench.tracking.follower", f"--mode={settings.mode}"]
    command += [f"--project={settings.project}", *(f"--tag={tag}" for tag in settings.tags)]
    if settings.entity is not None:
        command.append(f"--entity={settings.entity}")
    if settings.artifacts:
        command.append("--artifacts")
    return [*command, *options, "--", os.fspath(store.absolute())]


def require_login(settings: TrackingSettings) -> None:
    """Raises ConfigError where runs are to go online and there is no key. Takes a second then, and nothing else."""
    if settings.mode == "online":
        command = follower_command(Path(), settings, "--check")
        checked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if checked.returncode:
            raise ConfigError(checked.stderr.strip().removeprefix("rlbench: ") or "the W&B client does not start")


class Follower:
    """A follower process. A context manager that tells it to stop at the end, and does not wait."""

    def __init__(self, store: Path, settings: TrackingSettings) -> None:
        """Start it; where tracking is disabled there is none."""
        self._process: subprocess.Popen[bytes] | None = None
        if settings.mode != "disabled":
            self._process = subprocess.Popen(
                follower_command(store, settings, "--background"),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl-C is for the training program
            )

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def stop(self) -> None:
        """Tell it to mirror what is left and to end. Returns at once; safe to call twice."""
        if self._process and self._process.stdin and not self._process.stdin.closed:
            with suppress(BrokenPipeError):
                # A word besides the end: a forked child of ours may keep the pipe open.
                self._process.stdin.write(b"stop\n")
                self._process.stdin.flush()
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def wait(self, seconds: float) -> int | None:
        """Its exit code; None when it is still busy after so many seconds, which it may go on to be."""
        if self._process is None:
            return 0
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
