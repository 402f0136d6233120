"""Who holds a lock: a line that the holder writes into the locked file.

In: a file that is locked with flock. Out: its holder in words. The line is for people only: nothing is decided by it.
"""

from __future__ import annotations

import os
import re
import socket
from datetime import datetime
from pathlib import Path

_LINE = re.compile(r"# process (\d{1,10}) on ([\w.-]{1,255})(?: since ([\d-]{10} [\d:]{8}))?")


def holder_line() -> str:
    """How a holder names itself."""
    return f"# process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}\n"


def sign(lock: int) -> None:
    """Write down who holds this lock; a disk that is full must not keep anybody from holding it."""
    try:
        line = holder_line().encode()
        os.pwrite(lock, line, 0)
        os.ftruncate(lock, len(line))
    except OSError:
        pass


def described(text: str) -> str:
    """The holder that a locked file names, for people: its process, host, and since when; and whether it is stopped."""
    matched = _LINE.match(text)
    if matched is None:
        return "a process that did not say which"
    process, host, since = matched.groups()
    stopped = " (stopped)" if host == socket.gethostname() and _is_stopped(process) else ""
    return f"process {process} on {host}{stopped}" + (f", since {since}" if since else "")


def read_holder(path: Path) -> str:
    """The holder that this file names."""
    try:
        with open(path, "rb") as file:
            return described(file.read(1000).decode(errors="replace"))
    except OSError:
        return described("")


def _is_stopped(process: str) -> bool:
    try:
        state = Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):  # not Linux, or not there any more
        return False
    return state in "Tt"
