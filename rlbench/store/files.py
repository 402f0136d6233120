"""The few ways in which the files of a store are touched.

In: paths and bytes. Out: files that have reached the disk before anybody is told of them. An operating system's refusal
(no space, no permission, a read-only disk) becomes one `StoreError` that names the path and the reason.
Nothing here ever writes into a file that others read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlbench.errors import DamagedError, StoreError, WriteError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a refusal of the operating system into a WriteError about `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteError(f"cannot write {path}: {reason}; what was published before stays readable") from error


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
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


def names(folder: Path, *, with_hidden: bool = False) -> list[str]:
    """The sorted names in a folder, hidden files aside; none where it does not exist."""
    with reading(folder):
        try:
            return sorted(name for name in os.listdir(folder) if with_hidden or not name.startswith("."))
        except FileNotFoundError:
            return []
