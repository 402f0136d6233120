"""What a store needs of the place where it lies: names that are given once, and by one only.

In: names and bytes. Out: whether a name was still free. A shared folder gives this with hard links, also over NFS, and an object
store with `If-None-Match: *` (`rlbench.store.object_store`). Everything else that a store relies on is built on it; no lock, and no
clock. Knows nothing of what is written.
"""

from __future__ import annotations

import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rlbench.errors import StoreError, WriteError
from rlbench.store import files

STAGED = "staging"


@dataclass(frozen=True)
class Stat:
    """An object's size in bytes. version: changes whenever another object gets its name."""

    size: int
    version: str


class ConditionalStore(ABC):
    """Objects of some bytes under names with folders in them, `leases/ab12-3` say. What has a name never changes.

    root: the local folder for what lies beside the results (reports, a tracker's files); of a folder, the folder itself.
    ends_writes: whether a write has ended when its caller is told that it failed; over a network it may still be on its way.
    """

    root: Path
    ends_writes: ClassVar[bool] = False

    @abstractmethod
    def where(self, name: str = "") -> str:
        """How an object, or the place itself, is called in texts."""

    @abstractmethod
    def check(self) -> None:
        """Raise StoreError where this can never be a store's place."""

    @abstractmethod
    def check_writable(self) -> None:
        """Raise StoreError (WriteError of a folder) where nothing can be written; leaves nothing there."""

    @abstractmethod
    def put(self, name: str, data: bytes) -> bool:
        """Give these bytes a name, durably and whole, unless it is taken; whether it was given. Raises WriteError."""

    @abstractmethod
    def write(self, name: str, chunks: Iterable[Any]) -> None:
        """Give bytes a name that is nobody else's, whole only when this returns, durable with `flush`. Raises WriteError."""

    @abstractmethod
    def replace(self, name: str, data: bytes) -> None:
        """Give these bytes a name, durably and whole, whatever had it. Raises WriteError."""

    @abstractmethod
    def move(self, name: str, to: str) -> None:
        """Give what has a name another one, in the place of what had that. Raises WriteError, also where nothing has the name."""

    @abstractmethod
    def flush(self, folder: str) -> None:
        """Wait until what was written to a folder, or moved there, is durable. Raises WriteError."""

    @abstractmethod
    def make_folder(self, folder: str) -> None:
        """Make a folder, where there are such things. Raises WriteError."""

    @abstractmethod
    def read(self, name: str, size: int | None = None) -> bytes | None:
        """What has this name, or the first bytes of it; None where nothing has. Raises StoreError."""

    @abstractmethod
    def stat(self, name: str) -> Stat | None:
        """What there is under a name; None where there is nothing. Raises StoreError."""

    @abstractmethod
    def local(self, name: str) -> Path:
        """A file of this machine with what has this name; where nothing has, no file is there. Only to be read. Raises StoreError."""

    @abstractmethod
    def names(self, folder: str, *, with_hidden: bool = False) -> list[str]:
        """The sorted names in a folder, without the folder's; none where it does not exist. Raises StoreError."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Take a name back; nothing happens where nothing has it. Raises WriteError."""


class FolderStore(ConditionalStore):
    """A folder of a file system that has hard links. new_name: of a file on its way, by which others see whether it still is."""

    ends_writes = True

    def __init__(self, root: Path, new_name: Callable[[], str] = lambda: uuid.uuid4().hex) -> None:
        self.root, self._new_name = root, new_name

    def where(self, name: str = "") -> str:
        return str(self.root / name)

    def check(self) -> None:
        with files.reading(self.root):
            if self.root.exists() and not self.root.is_dir():
                raise StoreError(f"{self.root} is a file, not a results folder")

    def check_writable(self) -> None:
        root = self.root.absolute()
        nearest = next(folder for folder in (root, *root.parents) if folder.exists())
        if not nearest.is_dir():
            raise StoreError(f"cannot write {root}: {nearest} is not a folder")
        if not os.access(nearest, os.W_OK):
            raise WriteError(f"cannot write {nearest}: no permission, or a read-only disk")

    def put(self, name: str, data: bytes) -> bool:
        path, temp = self.root / name, self._staged(name)
        try:
            files.write_file(temp, [data])
            is_new = files.link(temp, path)
        finally:
            files.remove(temp)
        if is_new:
            files.sync_folder(path.parent)
        return is_new

    def _staged(self, name: str) -> Path:
        """Where a file is on its way to a name; at the top of a store that has no folders yet, hidden beside it."""
        return self.root / (f"{STAGED}/{self._new_name()}" if "/" in name else f".{self._new_name()}")

    def write(self, name: str, chunks: Iterable[Any]) -> None:
        files.write_file(self.root / name, chunks)

    def replace(self, name: str, data: bytes) -> None:
        path, temp = self.root / name, self._staged(name)
        files.write_file(temp, [data])
        files.rename(temp, path)
        files.sync_folder(path.parent)

    def move(self, name: str, to: str) -> None:
        files.rename(self.root / name, self.root / to)

    def flush(self, folder: str) -> None:
        files.sync_folder(self.root / folder)

    def make_folder(self, folder: str) -> None:
        files.make_folder(self.root / folder)

    def read(self, name: str, size: int | None = None) -> bytes | None:
        path = self.root / name
        with files.reading(path):
            try:
                if size is None:
                    return path.read_bytes()
                with open(path, "rb") as file:
                    return file.read(size)
            except FileNotFoundError:
                return None

    def stat(self, name: str) -> Stat | None:
        path = self.root / name
        with files.reading(path):
            try:
                found = path.stat()
            except FileNotFoundError:
                return None
        return Stat(found.st_size, f"{found.st_ino} {found.st_mtime_ns}")

    def local(self, name: str) -> Path:
        return self.root / name

    def names(self, folder: str, *, with_hidden: bool = False) -> list[str]:
        return files.names(self.root / folder, with_hidden=with_hidden)

    def delete(self, name: str) -> None:
        files.remove(self.root / name)
