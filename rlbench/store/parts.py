"""Parts: the immutable Parquet files that tables are made of.

In: Arrow tables. Out: files `tables/<table>/<stamp>-<writer>.parquet` whose names sort in the order of publication,
and their rows. A part appears whole, by rename under the store's lock, and never changes or goes away. Never reads
a part into pandas.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlbench.errors import StoreError
from rlbench.store import files
from rlbench.store.files import Layout
from rlbench.store.schema import SCHEMAS

_SUFFIX = ".parquet"
_STAMP_DIGITS = 20  # nanoseconds since 1970, zero-padded so that names sort as numbers
# Rows before outcomes: whoever sees the end of a run finds all its rows.
PUBLICATION_ORDER = ("episodes", "evaluations", "diagnostics", "outcomes", "specs", "members", "experiments", "plans")


def list_parts(layout: Layout, table: str) -> list[Path]:
    """The published parts of a table, in order of publication."""
    folder = layout.table(table)
    return [folder / name for name in files.names(folder) if name.endswith(_SUFFIX)]


def stage_part(folder: Path, table: str, rows: pa.Table) -> None:
    """Write the part of one table into a staging folder."""
    buffer = pa.BufferOutputStream()
    pq.write_table(rows, buffer)
    files.write_file(folder / f"{table}{_SUFFIX}", [buffer.getvalue()])


def staged_tables(folder: Path) -> list[str]:
    """The tables that have a part in a staging folder, in the order in which they are to be published."""
    present = files.names(folder)
    return [table for table in PUBLICATION_ORDER if f"{table}{_SUFFIX}" in present]


def publish(layout: Layout, folder: Path) -> None:
    """Publish the parts of a staging folder, under the store's lock. Goes on where a killed publication stopped."""
    for table in staged_tables(folder):
        target = layout.table(table)
        newest = max((int(part.name[:_STAMP_DIGITS]) for part in list_parts(layout, table)), default=0)
        stamp = max(time.time_ns(), newest + 1)  # a clock that was set back cannot reorder parts
        files.rename(folder / f"{table}{_SUFFIX}", target / f"{stamp:0{_STAMP_DIGITS}d}-{folder.name}{_SUFFIX}")
        files.sync_folder(target)


def read_part(path: Path) -> pa.Table:
    """One part's rows. Raises StoreError where it is unreadable, damaged, or not of its table's schema."""
    with files.reading(path), pq.ParquetFile(path) as part:
        rows = part.read(use_threads=False)
    schema = SCHEMAS[path.parent.name]
    if not rows.schema.equals(schema):
        raise StoreError(f"{path} is damaged: its columns are not those of the table {path.parent.name}")
    return rows


def read_parts(table: str, paths: Iterable[Path], run_ids: Iterable[str] | None = None) -> pa.Table:
    """The rows of some parts of one table, in their order; of these runs only where `run_ids` is given."""
    wanted = None if run_ids is None else pa.array(sorted(run_ids), pa.string())
    pieces: list[pa.Table] = [SCHEMAS[table].empty_table()]
    for path in paths:
        rows = read_part(path)
        pieces.append(rows if wanted is None else rows.filter(pc.is_in(rows["run_id"], value_set=wanted)))
    return pa.concat_tables(pieces)


class RecordReader:
    """The rows of a small table as dictionaries, each part read once."""

    def __init__(self, layout: Layout, table: str) -> None:
        self._layout = layout
        self._table = table
        self._rows: dict[Path, Sequence[dict[str, Any]]] = {}

    def rows(self) -> list[dict[str, Any]]:
        """Every row published so far, in order of publication."""
        paths = list_parts(self._layout, self._table)
        for path in paths:
            if path not in self._rows:
                self._rows[path] = read_part(path).to_pylist()
        return [row for path in paths for row in self._rows[path]]
