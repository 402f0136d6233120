"""Where everything lies in a store, and the few ways in which its files are touched.

In: paths and bytes. Out: files that appear whole, by rename, after they have reached the disk. An operating system's
refusal (no space, no permission, a read-only disk) becomes one `StoreError` that names the path and the reason.
Every rename into a shared folder happens under the store's lock; nothing here ever writes into a file that others read.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlbench.errors import DamagedError, StoreError, WriteError
from rlbench.store.holders import sign, wait_for

FORMAT = 2
READABLE = (1, 2)  # in format 1 no checksums stand beside the parts


@dataclass(frozen=True)
class Layout:
    """The folders of one store."""

    root: Path

    @property
    def format(self) -> Path:
        return self.root / "format.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def index(self) -> Path:
        return self.root / "index.json"

    @property
    def index_copy(self) -> Path:
        return self.root / "index.copy.json"

    @property
    def damaged(self) -> Path:
        """Where checkpoints lie that could not be read."""
        return self.root / "damaged"

    @property
    def claims(self) -> Path:
        return self.root / "claims"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def staging(self) -> Path:
        """Files on their way: one folder per commit, the only place that ever holds unfinished files."""
        return self.root / "staging"

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def all_weights(self) -> Path:
        return self.root / "weights"

    def table(self, table: str) -> Path:
        return self.tables / table

    def part(self, table: str, name: str) -> Path:
        return self.tables / table / name

    def weights(self, run_id: str) -> Path:
        return self.all_weights / f"{run_id}.safetensors"

    def checkpoint(self, program: str) -> Path:
        return self.checkpoints / f"{program}.safetensors"

    def claim(self, program: str) -> Path:
        return self.claims / program


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a refusal of the operating system into a WriteError about `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteError(f"cannot write {path}: {reason}; what was published before stays readable") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn a refusal of the operating system into a StoreError about `path`, and damaged content (ValueError) into a DamagedError."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or str(error)}") from error
    except ValueError as error:  # pyarrow's ArrowInvalid and json's JSONDecodeError are ValueErrors
        raise DamagedError(f"{path} is damaged: {' '.join(str(error).split())[:200]}") from error


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Hold the store's exclusive lock; whoever waits long is told for whom. Not reentrant: twice in one thread waits for ever."""
    with writing(layout.lock):
        lock = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with writing(layout.lock):
            wait_for(lock, layout.lock, "the store's lock")
            sign(lock)
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)  # said aloud, because a forked child may still hold the descriptor
        os.close(lock)


def make_folder(path: Path) -> None:
    """Make a folder and its parents where they are missing."""
    if not path.is_dir():
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent)


def write_file(path: Path, chunks: Iterable[Any]) -> None:
    """Write bytes-like chunks to a new file and wait until they have reached the disk."""
    with writing(path), open(path, "xb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def rename(source: Path, target: Path) -> None:
    with writing(target):
        os.rename(source, target)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder have reached the disk."""
    with writing(path):
        folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove(path: Path) -> None:
    with writing(path):
        path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Remove a staging folder; what cannot be removed now is swept when the store is next opened."""
    shutil.rmtree(path, ignore_errors=True)


def names(folder: Path) -> list[str]:
    """The sorted names in a folder, hidden files aside; none where it does not exist."""
    with reading(folder):
        try:
            return sorted(name for name in os.listdir(folder) if not name.startswith("."))
        except FileNotFoundError:
            return []


def read_format(layout: Layout) -> int | None:
    """The format of the store in this folder; None where there is an empty folder or none at all.

    Raises StoreError for anything that is not a store of this format.
    """
    with reading(layout.root):
        if layout.root.exists() and not layout.root.is_dir():
            raise StoreError(f"{layout.root} is a file, not a results folder")
    with reading(layout.format):
        try:
            found = json.loads(layout.format.read_bytes())
        except FileNotFoundError:
            found = None
    if found is None:
        if names(layout.root):
            raise StoreError(
                f"{layout.root} is not empty and not a results folder of rlbench; name a new one (store=PATH)"
            )
        return None
    version = found.get("format") if isinstance(found, dict) else None
    if type(version) is not int:
        raise StoreError(f"{layout.format} is not the format file of a results folder of rlbench")
    if version not in READABLE:
        raise StoreError(f"{layout.root} has format {version}; this rlbench reads and writes format {FORMAT}")
    return version


def write_format(layout: Layout, version: int) -> None:
    """Make the folder a store of this format. Two programs may do so at once: they write the same bytes."""
    make_folder(layout.root)
    temp = layout.root / f".format-{uuid.uuid4().hex}"
    write_file(temp, [json.dumps({"format": version}).encode()])
    rename(temp, layout.format)
    sync_folder(layout.root)
