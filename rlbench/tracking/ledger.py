"""What has been mirrored to one destination, and who is mirroring.

In: runs that were finished at W&B. Out: the same, after any crash. A text of JSON lines that is only ever appended to;
a last line that was cut off does not count, and its run is mirrored again. The lock is held by the follower and by the
client's service process, which inherits it: nobody can begin before both are gone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rlbench.errors import RlbenchError
from rlbench.tracking.settings import TrackingSettings


def wandb_folder(store: Path) -> Path:
    """Where W&B's own files and the follower's lie."""
    return store / "wandb"


def destination_folder(store: Path, settings: TrackingSettings, base_url: str = "") -> Path:
    """The follower's files for one destination. All offline folders are one; the server's address is only hashed."""
    name = "offline"
    if settings.mode == "online":
        where = json.dumps([base_url.rstrip("/"), settings.entity, settings.project])
        name = f"online-{hashlib.sha256(where.encode()).hexdigest()[:12]}"
    return wandb_folder(store) / "follower" / name


@dataclass(frozen=True)
class Mirrored:
    """A run that is complete at the destination.

    outcome: which of the run's outcomes it shows. is_final: whether there cannot be another one, because it did not
    fail. folder: W&B's own, when offline.
    """

    run_id: str
    outcome: str
    is_final: bool
    num_rows: int
    folder: str = ""


class Ledger:
    """The runs that are complete at one destination."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "mirrored.jsonl"
        self.runs = {run.run_id: run for run in self._lines()}  # the latest line of a run holds

    def _lines(self) -> Iterator[Mirrored]:
        try:
            lines = self._path.read_text().split("\n")
        except FileNotFoundError:
            return
        for line in lines:
            try:
                yield Mirrored(**json.loads(line))
            except (ValueError, TypeError):  # cut off by a crash
                continue

    def add(self, run: Mirrored) -> None:
        """Write one run down, and wait until it has reached the disk."""
        # The line break in front ends a line that a crash may have cut off.
        line = f"\n{json.dumps(asdict(run))}\n".encode()
        with open(self._path, "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self.runs[run.run_id] = run


class Lock:
    """The right to mirror to one destination."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def try_take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def mark(self) -> bool:
        """Say that we have begun; returns whether whoever held the lock before us did not come to an end."""
        was_cut_off = os.fstat(self._file).st_size > 0
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        return was_cut_off

    def unmark(self) -> None:
        """Say that we have come to an end."""
        os.ftruncate(self._file, 0)

    def hand_to_children(self) -> None:
        """Make the lock this process's standard input, which W&B's service process inherits and keeps open."""
        os.dup2(self._file, 0, inheritable=True)


def remember(store: Path, settings: TrackingSettings) -> None:
    """Write down what this store was last mirrored with; holds no key and no address."""
    path = wandb_folder(store) / "follower" / "settings.json"
    temp = path.with_name(f"{path.name}.{os.getpid()}")
    temp.write_text(json.dumps(asdict(settings)))
    temp.replace(path)


def recall(store: Path) -> TrackingSettings | None:
    """What this store was last mirrored with; None where it never was."""
    try:
        found = json.loads((wandb_folder(store) / "follower" / "settings.json").read_text())
        return TrackingSettings(**{**found, "tags": tuple(found["tags"])})
    except (OSError, ValueError, TypeError, KeyError, RlbenchError):
        return None
