"""Who is working on which runs: one file per live program, held with flock.

In: a program's name and run ids. Out: whether a program is alive, and what it holds. The kernel lets go of the lock
when the process ends, however it ends, so a claim never outlives its program and no process number is ever trusted.
A claim is a text of lines `+run_id` (taken) and `-run_id` (let go), only ever appended to.
Taking and sweeping happen under the store's lock; looking needs nothing but permission to read.
"""

from __future__ import annotations

import fcntl
import os
import socket
import weakref
from collections.abc import Iterable
from pathlib import Path

from rlbench.store import files
from rlbench.store.files import Layout

_open_claims: weakref.WeakSet[Claim] = weakref.WeakSet()


class Claim:
    """A live program's hold on its runs, until `close` or the end of the process."""

    def __init__(self, layout: Layout, program: str) -> None:
        """Take the claim, under the store's lock. It is locked before it appears under its name."""
        self._path = layout.claim(program)
        temp = layout.staging / f"{program}-claim"
        with files.writing(temp):
            self._file = os.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o666)
        _open_claims.add(self)
        try:
            with files.writing(temp):
                fcntl.flock(self._file, fcntl.LOCK_EX)
                os.write(self._file, f"# process {os.getpid()} on {socket.gethostname()}\n".encode())
            files.rename(temp, self._path)
        except BaseException:
            self.close()
            raise

    def take(self, run_ids: Iterable[str]) -> None:
        self._append("+", run_ids)

    def let_go(self, run_ids: Iterable[str]) -> None:
        self._append("-", run_ids)

    def _append(self, sign: str, run_ids: Iterable[str]) -> None:
        lines = "".join(f"{sign}{run_id}\n" for run_id in run_ids)
        if lines:
            with files.writing(self._path):
                os.write(self._file, lines.encode())

    def close(self) -> None:
        """Give the claim up. Safe to call twice."""
        if self._file >= 0:
            self._path.unlink(missing_ok=True)
            self.forget()

    def forget(self) -> None:
        """Drop this process's descriptor and nothing else: what a forked child does with its parent's claim."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _forget_all() -> None:
    for claim in list(_open_claims):
        claim.forget()


os.register_at_fork(after_in_child=_forget_all)


def is_alive(path: Path) -> bool:
    """Whether a live process holds this claim. Lookers share their lock, so they never mistake each other for it."""
    with files.reading(path):
        try:
            claim = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(claim, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(claim)
    return False


def _held(path: Path) -> set[str]:
    """The runs of one claim; a last line still being written does not count."""
    held: set[str] = set()
    with files.reading(path):
        try:
            lines = path.read_text().split("\n")[:-1]
        except FileNotFoundError:
            return held
    for line in lines:
        if line.startswith("+"):
            held.add(line[1:])
        elif line.startswith("-"):
            held.discard(line[1:])
    return held


def live_claims(layout: Layout) -> dict[str, set[str]]:
    """Program -> the runs that it holds, for every live program."""
    alive = [name for name in files.names(layout.claims) if is_alive(layout.claim(name))]
    return {name: _held(layout.claim(name)) for name in alive}


def sweep_claims(layout: Layout) -> None:
    """Remove the claims of the dead, under the store's lock."""
    for name in files.names(layout.claims):
        if not is_alive(layout.claim(name)):
            files.remove(layout.claim(name))
