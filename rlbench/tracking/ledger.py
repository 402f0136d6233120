"""What has been mirrored to one destination, and who is mirroring.

In: runs that were finished at a tracker. Out: the same, after any crash. A text of sealed JSON lines that is only ever appended
to; a line that was cut off or altered does not count, and its run is mirrored again. What a line names is a folder that we
make, or it does not count: folders are removed by what stands here. The lock is held by the follower and by the
processes of its client, which inherit it: nobody can begin before all are gone.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rlbench.errors import RlbenchError
from rlbench.store.holders import read_holder, sign
from rlbench.store.names import is_run_id
from rlbench.store.sealed import sealed_line, unseal
from rlbench.tracking.tracker import TrackerSettings
from rlbench.tracking.trackers import TRACKERS, from_values, name_of

_PLACE = re.compile(r"[\w-]{1,64}")  # no path


def remove_folder(path: Path, within: Path) -> None:
    """Remove a folder with all that it holds, if it lies where it seems to: no link on the way leads out of `within`."""
    if path.is_dir() and not path.is_symlink() and path.resolve().is_relative_to(within.resolve()):
        shutil.rmtree(path, ignore_errors=True)


def tracker_folder(store: Path, tracker: str) -> Path:
    """Where a tracker's own files and its follower's lie."""
    return store / tracker


def destination_folder(store: Path, tracker: str, destination: str) -> Path:
    """The follower's files for one destination."""
    return tracker_folder(store, tracker) / "follower" / destination


@dataclass(frozen=True)
class Mirrored:
    """A run that is complete at the destination.

    outcome: which of the run's outcomes it shows. is_final: whether there cannot be another one, because it did not
    fail. folder: what the tracker calls its place (`OpenRun.place`).
    """

    run_id: str
    outcome: str
    is_final: bool
    num_rows: int
    folder: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for what no mirrored run can be."""
        kinds = {"outcome": str, "is_final": bool, "num_rows": int, "folder": str}
        if not is_run_id(self.run_id) or any(type(getattr(self, name)) is not kind for name, kind in kinds.items()):
            raise ValueError("no mirrored run")
        is_place = _PLACE.fullmatch(self.folder) and self.folder.endswith(self.run_id)
        if self.num_rows < 0 or (self.folder and not is_place):
            raise ValueError(f"{self.folder!r} is no folder of run {self.run_id}")


class MirrorLedger:
    """The runs that are complete at one destination."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "mirrored.jsonl"
        self.num_bad_lines = 0
        self.runs = {run.run_id: run for run in self._lines()}  # the latest line of a run holds

    def _lines(self) -> Iterator[Mirrored]:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for line in filter(None, lines):
            try:
                yield Mirrored(**unseal(line, is_required=False))
            except (ValueError, TypeError, RecursionError):  # cut off by a crash, or altered
                self.num_bad_lines += 1

    def add(self, run: Mirrored) -> None:
        """Write one run down, and wait until it has reached the disk."""
        # The line break in front ends a line that a crash may have cut off.
        line = b"\n" + sealed_line(asdict(run))
        with open(self._path, "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self.runs[run.run_id] = run


class Lock:
    """The right to mirror to one destination."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "lock"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def try_take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def mark(self) -> bool:
        """Say that we have begun; returns whether whoever held the lock before us did not come to an end."""
        was_cut_off = os.fstat(self._file).st_size > 0
        sign(self._file)
        return was_cut_off

    @property
    def holder(self) -> str:
        """Who has the lock, in words."""
        return read_holder(self._path)

    def unmark(self) -> None:
        """Say that we have come to an end."""
        os.ftruncate(self._file, 0)

    def hand_to_children(self) -> None:
        """Make the lock this process's standard input, which a tracker's own processes inherit and keep open."""
        os.dup2(self._file, 0, inheritable=True)


def _settings_path(store: Path, tracker: str) -> Path:
    return tracker_folder(store, tracker) / "follower" / "settings.json"


def remember(store: Path, settings: TrackerSettings) -> None:
    """Write down what this store was last mirrored with; holds no key and no address."""
    path = _settings_path(store, name_of(settings))
    temp = path.with_name(f"{path.name}.{os.getpid()}")
    temp.write_bytes(sealed_line(asdict(settings)))
    temp.replace(path)


def recall(store: Path, tracker: str) -> TrackerSettings | None:
    """What this store was last mirrored to a tracker with; None where it never was, or where that is not to be read any more."""
    try:
        found = unseal(_settings_path(store, tracker).read_bytes(), is_required=False)
        return from_values(TRACKERS[tracker][0], found)
    except (OSError, ValueError, TypeError, KeyError, RecursionError, RlbenchError):
        return None
