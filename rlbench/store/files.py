"""Where everything lies in a store, and the few ways in which its files are touched.

In: paths and bytes. Out: files that have reached the disk before anybody is told of them. An operating system's refusal
(no space, no permission, a read-only disk) becomes one `StoreError` that names the path and the reason.
Nothing here ever writes into a file that others read.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlbench.errors import DamagedError, StoreError, WriteError

FORMAT = 3
READABLE = (
    1,
    2,
    3,
)  # in formats 1 and 2 a lock of one kernel guards the index; in format 1 there is none, and no checksums


@dataclass(frozen=True)
class Layout:
    """The folders of one store."""

    root: Path

    @property
    def format(self) -> Path:
        return self.root / "format.json"

    @property
    def index(self) -> Path:
        """The versions of the index, of which the highest counts."""
        return self.root / "index"

    @property
    def leases(self) -> Path:
        """The heartbeats of those who write."""
        return self.root / "leases"

    @property
    def damaged(self) -> Path:
        """Where checkpoints lie that could not be read."""
        return self.root / "damaged"

    @property
    def claims(self) -> Path:
        """Which runs each of those who write holds."""
        return self.root / "claims"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def staging(self) -> Path:
        """Files on their way to a name under which they must appear whole."""
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


def link(source: Path, target: Path) -> bool:
    """Give a file a second name, unless something has that name already; whether it was given."""
    with writing(target):
        try:
            os.link(source, target)
        except FileExistsError:
            # A server whose answer was lost is asked again by the kernel, and then refuses what it has done.
            return os.stat(source).st_nlink > 1
    return True


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
        there = names(layout.root)
        if layout.format.name in there:  # somebody has made it meanwhile
            return read_format(layout)
        if there:
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


def begin_format(layout: Layout, version: int) -> None:
    """Make the folder a store of this format, unless somebody has made it one of any."""
    temp = _staged_format(layout, version)
    try:
        link(temp, layout.format)
    finally:
        remove(temp)
    sync_folder(layout.root)


def write_format(layout: Layout, version: int) -> None:
    """Make a store one of this format, whatever it was. Two programs may do so at once: they write the same bytes."""
    rename(_staged_format(layout, version), layout.format)
    sync_folder(layout.root)


def _staged_format(layout: Layout, version: int) -> Path:
    make_folder(layout.root)
    temp = layout.root / f".format-{uuid.uuid4().hex}"
    write_file(temp, [json.dumps({"format": version}).encode()])
    return temp
