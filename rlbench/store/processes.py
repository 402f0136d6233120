"""Which process somebody is, so that others on its machine can see that it has ended.

In: this process, or what another one wrote of itself. Out: whether it has certainly ended. A process number alone says nothing: it
counts within one boot, one machine and one namespace of numbers, and there for the process that started at that time.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_NAME = re.compile(r"([0-9a-f]{12})-(\d{1,10})-(\d{1,20})-[0-9a-f]{12}")
_ENDED = "ZX"  # as the kernel's letters: ended, and perhaps not yet waited for


@dataclass(frozen=True)
class Process:
    """place: a machine since it was last started, and a namespace of process numbers; empty where none can be told (no /proc)."""

    place: str
    number: int
    started: int  # in the kernel's ticks since the start of the machine

    def is_gone(self) -> bool:
        """Whether this has been a process of our place, and has ended."""
        if self.place == "" or self.place != _place():
            return False
        state, started = _standing(self.number)
        return started != self.started and not (state == "" and _is_hidden(self.number))

    @property
    def is_stopped(self) -> bool:
        """Whether this is a process of our place that somebody has stopped."""
        return (
            self.place != ""
            and self.place == _place()
            and _standing(self.number) in (("T", self.started), ("t", self.started))
        )


def this_process() -> Process:
    number = os.getpid()
    return Process(_place(), number, _standing(number)[1])


def file_name() -> str:
    """A new name, from which others see whether this process still is."""
    own = this_process()
    return f"{own.place or '0' * 12}-{own.number}-{own.started}-{uuid.uuid4().hex[:12]}"


def is_left_behind(name: str) -> bool:
    """Whether a process that gave something this `file_name` has certainly ended."""
    matched = _NAME.fullmatch(name)
    return matched is not None and Process(matched[1], int(matched[2]), int(matched[3])).is_gone()


@cache
def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        return hashlib.sha256(f"{boot}{os.readlink('/proc/self/ns/pid')}".encode()).hexdigest()[:12]
    except OSError:  # not Linux
        return ""


def _is_hidden(number: int) -> bool:
    """Whether there is a process of this number of which /proc shows us nothing (`hidepid`): it may be any."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _standing(number: int) -> tuple[str, int]:
    """The state of a process, and when it started; 0 for one that is not there, or has ended."""
    try:
        state, *others = Path("/proc", str(number), "stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return "", 0
    return (state, 0) if state in _ENDED else (state, int(others[18]))
