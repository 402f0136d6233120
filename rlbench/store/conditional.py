"""What a store needs of the place where it lies: names that are given once, and by one only.

In: names and bytes. Out: whether a name was still free. A shared folder gives this with hard links, also over NFS, and an object
store with `If-None-Match: *`. Everything else that a store relies on is built on it; no lock, and no clock. Knows nothing of what
is written.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from rlbench.store import files

STAGED = "staging"


class ConditionalStore(ABC):
    """Objects of some bytes under names with folders in them, `leases/ab12-3` say. What has a name never changes."""

    @abstractmethod
    def put(self, name: str, data: bytes) -> bool:
        """Give these bytes a name, durably and whole, unless it is taken; whether it was given. Raises WriteError."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """What has this name; None where nothing has. Raises StoreError."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """The sorted names in a folder, without the folder's; none where it does not exist. Raises StoreError."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Take a name back; nothing happens where nothing has it. Raises WriteError."""


class FolderStore(ConditionalStore):
    """A folder of a file system that has hard links. new_name: of a file on its way, by which others see whether it still is."""

    def __init__(self, root: Path, new_name: Callable[[], str] = lambda: uuid.uuid4().hex) -> None:
        self._root, self._new_name = root, new_name

    def put(self, name: str, data: bytes) -> bool:
        path, temp = self._root / name, self._root / STAGED / self._new_name()
        try:
            files.write_file(temp, [data])
            is_new = files.link(temp, path)
        finally:
            files.remove(temp)
        if is_new:
            files.sync_folder(path.parent)
        return is_new

    def read(self, name: str) -> bytes | None:
        path = self._root / name
        with files.reading(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        return files.names(self._root / folder)

    def delete(self, name: str) -> None:
        files.remove(self._root / name)
