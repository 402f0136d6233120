"""Rows of text files, packed or not: each with its number in the file, and whether the last one is whole.

In: a path. Out: rows of texts. Raises `ConfigError` with the file and the row. Never: guesses a value, or closes an eye.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
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
            if row and (row[0] or any(row)):
                yield reader.line_num + first - 1, row
    except csv.Error as error:
        raise ConfigError(f"{origin} cannot be read: {error} (row {reader.line_num + first - 1})") from None


@dataclass
class TextColumns:
    """The cells of some columns as texts, and which rows they are from; beside them the rows of another length."""

    cells: list[list[str]]  # [columns][rows]
    numbers: list[int] = field(default_factory=list)
    odd: list[tuple[int, list[str]]] = field(default_factory=list)

    @property
    def ends_oddly(self) -> bool:
        """Whether the last row is one of another length."""
        return bool(self.odd) and self.odd[-1][0] > max(self.numbers[-1:], default=0)

    def pop(self) -> tuple[int, list[str]] | None:
        """Take the last row out, whichever it is."""
        if self.ends_oddly:
            return self.odd.pop()
        return (self.numbers.pop(), [column.pop() for column in self.cells]) if self.numbers else None


def columns_of(rows: Iterable[tuple[int, list[str]]], width: int, places: Sequence[int]) -> TextColumns:
    """The columns at these places. Rows are taken apart one by one: a list of a million of them keeps the collector busy."""
    found = TextColumns([[] for _ in places])
    pairs = list(zip(found.cells, places, strict=True))
    for number, row in rows:
        if len(row) != width:
            found.odd.append((number, row))
            continue
        found.numbers.append(number)
        for column, place in pairs:
            column.append(row[place])
    return found
