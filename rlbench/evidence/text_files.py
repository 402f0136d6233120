"""Rows of text files, packed or not: each with its number in the file, and whether the last one is whole.

In: a path. Out: rows of texts. Raises `ConfigError` with the file and the row. Never: guesses a value, or closes an eye.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from rlbench.errors import ConfigError

PACKED = ".gz"


def read_text(path: Path, origin: str) -> str:
    """All of a UTF-8 file, unpacked where its name ends in .gz, without a byte order mark."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.name.endswith(PACKED) else data
        return data.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise ConfigError(f"{origin} cannot be read: {' '.join(str(error).split())}") from None


def rows_of(text: str, origin: str, first: int = 1) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, with their numbers; `first` is that of the text's first line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if any(row):
                yield reader.line_num + first - 1, row
    except csv.Error as error:
        raise ConfigError(f"{origin} cannot be read: {error} (row {reader.line_num + first - 1})") from None
