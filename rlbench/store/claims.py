"""Who is working on which runs: one file per live program, held with flock.

In: a program's name and run ids. Out: whether a program is alive, and what it holds. The kernel lets go of the lock
when the process ends, however it ends, so a claim never outlives its program and no process number is ever trusted.
A claim is a text of lines `+run_id` (taken) and `-run_id` (let go), each with its CRC-32, only ever appended to.
Taking and sweeping happen under the store's lock; looking needs nothing but permission to read.
"""

from __future__ import annotations

import fcntl
import os
import re
import weakref
import zlib
from collections.abc import Iterable
from pathlib import Path

from rlbench.errors import DamagedError
from rlbench.store import files
from rlbench.store.damage import Damage
from rlbench.store.files import Layout
from rlbench.store.holders import holder_line, read_holder
from rlbench.store.names import is_run_id

_PROGRAM = re.compile(r"[0-9a-f]{12}")
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
                os.write(self._file, holder_line().encode())
            files.rename(temp, self._path)
        except BaseException:
            self.close()
            raise

    def take(self, run_ids: Iterable[str]) -> None:
        self._append("+", run_ids)

    def let_go(self, run_ids: Iterable[str]) -> None:
        self._append("-", run_ids)

    def _append(self, sign: str, run_ids: Iterable[str]) -> None:
        lines = "".join(f"{sign}{run_id} {_sum(f'{sign}{run_id}')}\n" for run_id in run_ids)
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


def _sum(entry: str) -> str:
    return f"{zlib.crc32(entry.encode()):08x}"


def _held(path: Path) -> set[str]:
    """The runs of one claim; a last line still being written does not count. Raises DamagedError for any other bad line."""
    held: set[str] = set()
    with files.reading(path):
        try:
            lines = path.read_text(errors="replace").split("\n")[:-1]
        except FileNotFoundError:
            return held
        for line in lines[1:]:
            entry, _, found = line.partition(" ")
            if entry[:1] not in ("+", "-") or not is_run_id(entry[1:]) or found != _sum(entry):
                raise ValueError("a line of it is not what was written; end the process that holds it")
            (held.add if entry[0] == "+" else held.discard)(entry[1:])
    return held


def live_claims(layout: Layout, damage: Damage | None = None) -> dict[str, set[str]]:
    """Program -> the runs that it holds, for every live program.

    A damaged claim raises DamagedError; who only looks gives a `damage`, and it is noted there and left out.
    """
    held = {}
    for name in files.names(layout.claims):
        if is_alive(layout.claim(name)):
            try:
                held[name] = _held(layout.claim(name))
            except DamagedError as error:
                if damage is None:
                    raise
                damage.note_error(error)
    return held


def holders(layout: Layout, run_ids: Iterable[str]) -> list[str]:
    """The processes that hold some of these runs, in words."""
    wanted = set(run_ids)
    held = live_claims(layout, Damage())
    return sorted({read_holder(layout.claim(name)) for name, own in held.items() if own & wanted})


def sweep_claims(layout: Layout) -> None:
    """Remove the claims of the dead, under the store's lock."""
    for name in files.names(layout.claims):
        if _PROGRAM.fullmatch(name) and not is_alive(layout.claim(name)):
            files.remove(layout.claim(name))
