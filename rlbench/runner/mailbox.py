"""Words between machines through a file in a folder that both see: one appends, one reads on.

A file that is there from the start and only grows is seen soon also where the file system keeps what it knows for a while (NFS): it asks
again whenever a file is opened, but not for names that were missing a moment ago. A word is read when all of it is there.
"""

import os
import struct
import zlib
from pathlib import Path

_HEAD = struct.Struct("<QI")  # length, CRC-32


class Outbox:
    """Where one process writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def put(self, word: bytes) -> None:
        with open(self._path, "ab") as file:
            file.write(_HEAD.pack(len(word), zlib.crc32(word)) + word)
            file.flush()
            os.fsync(file.fileno())


class Inbox:
    """Where one process reads what another one writes."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def read(self) -> list[bytes]:
        """The words that have come since the last time. Raises OSError where the file cannot be read."""
        found = []
        with open(self._path, "rb") as file:
            file.seek(self._at)
            data = file.read()
        place = 0
        while len(data) - place >= _HEAD.size:
            length, checksum = _HEAD.unpack_from(data, place)
            word = data[place + _HEAD.size : place + _HEAD.size + length]
            if len(word) < length or zlib.crc32(word) != checksum:
                break  # the rest of it is on its way
            found.append(word)
            place += _HEAD.size + length
        self._at += place
        return found
