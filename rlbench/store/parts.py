"""Parts: the immutable Parquet files that tables are made of.

In: Arrow tables. Out: files `tables/<table>/<stamp>-<writer>-<what>.parquet`, and their rows, checked against the index. A part
counts once the index names it; it never changes, and goes away only when it has been merged into another one. Never reads a part
into pandas.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlbench.errors import DamagedError, StoreError, UnreachableError
from rlbench.store.damage import Damage
from rlbench.store.index import Index, TablePart
from rlbench.store.index_log import IndexLog
from rlbench.store.layout import Layout
from rlbench.store.schema import SCHEMAS, as_declared

_SUFFIX = ".parquet"
_BLANK = ""  # in the first column of every table, of a row that was erased: it keeps the positions of the others


def write_part(
    layout: Layout, writer: str, table: str, rows: pa.Table, level: int = 0, is_old: bool = False
) -> TablePart:
    """Write a part, which counts for nobody yet. writer: a session's name, and what for."""
    buffer = pa.BufferOutputStream()
    pq.write_table(rows, buffer)
    data = buffer.getvalue()
    name = f"{time.time_ns():020d}-{writer}{_SUFFIX}"
    layout.objects.write(layout.part(table, name), [data])
    layout.objects.flush(layout.table(table))
    return TablePart(table, name, len(rows), hashlib.sha256(data).hexdigest(), level, is_old)


def remove_parts(layout: Layout, unwanted: Iterable[TablePart]) -> None:
    for part in unwanted:
        layout.objects.delete(layout.part(part.table, part.name))


def read_part(layout: Layout, part: TablePart) -> pa.Table:
    """One part's rows, checked against what the index says of it."""
    name = layout.part(part.table, part.name)
    return read_rows(layout.objects.local(name), part, layout.objects.where(name))


def read_rows(path: Path, part: TablePart | None = None, where: str = "") -> pa.Table:
    """The rows in a part's file, checked against what the index says of it, where that is given. where: what it is called in texts.

    Raises DamagedError where it is not what was written, StoreError where it cannot be read, and FileNotFoundError.
    """
    table, where = part.table if part else path.parent.name, where or str(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"cannot read {where}: {error.strerror or error}") from error
    if part is not None and part.sha256 and hashlib.sha256(data).hexdigest() != part.sha256:
        raise DamagedError(f"{where} is damaged: it does not give its checksum")
    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            rows = file.read(use_threads=False)
        rows.validate(full=part is None or part.is_old)
    except Exception as error:  # whatever Arrow and the libraries below it make of damaged bytes
        raise DamagedError(f"{where} is damaged: {' '.join(str(error).split())[:200]}") from error
    try:
        rows = as_declared(table, rows)
    except ValueError as error:
        raise DamagedError(f"{where} is damaged: {error}") from error
    if part is not None and len(rows) != part.rows:
        raise DamagedError(f"{where} is damaged: it has {len(rows)} rows, not {part.rows}")
    return rows


class TableReader:
    """The rows of a store's tables by position; what cannot be read is noted and left out."""

    def __init__(self, layout: Layout, index: IndexLog, damage: Damage) -> None:
        self._layout, self._index, self._damage = layout, index, damage

    def pieces(self, table: str, since: int = 0, until: int | None = None) -> Iterator[tuple[int, pa.Table]]:
        """The rows at positions `since` to `until` (the end), as pieces, each with the position of its first row."""
        index = self._index.read()
        end = index.num_rows(table) if until is None else until
        missing: set[TablePart] = set()
        while True:
            try:
                for first, rows in self._pieces(index.of(table), since, end, missing):
                    yield first, rows
                    since = first + len(rows)
                return
            except FileNotFoundError as error:
                name, latest = Path(error.filename).name, self._index.latest()
                if (index.has_checksums or latest.version) and name not in {part.name for part in latest.of(table)}:
                    index = latest  # merged meanwhile: the rows are elsewhere
                    continue
                where = self._layout.objects.where(self._layout.part(table, name))
                self._damage.note_part(where, DamagedError(f"{where} is missing"))
                missing = {part for part in index.of(table) if not self._is_there(part)}

    def _is_there(self, part: TablePart) -> bool:
        return self._layout.objects.stat(self._layout.part(part.table, part.name)) is not None

    def _where(self, part: TablePart) -> str:
        return self._layout.objects.where(self._layout.part(part.table, part.name))

    def _pieces(
        self, parts: Iterable[TablePart], since: int, until: int, missing: Iterable[TablePart] = ()
    ) -> Iterator[tuple[int, pa.Table]]:
        first = 0
        for part in parts:
            start, end = max(since - first, 0), min(until - first, part.rows)
            if start < end and part in missing:
                self._damage.note_part(self._where(part), DamagedError(f"{self._where(part)} is missing"))
            elif start < end:
                try:
                    yield first + start, read_part(self._layout, part).slice(start, end - start)
                except UnreachableError:
                    raise
                except StoreError as error:
                    self._damage.note_part(self._where(part), error)
            first += part.rows

    def rows(
        self,
        table: str,
        until: int | None = None,
        run_ids: Iterable[str] | None = None,
        starts: Mapping[str, int] | None = None,
    ) -> pa.Table:
        """The rows of one table up to a position; of these runs only where `run_ids` is given.

        starts: of runs that began again, the position from which their rows count.
        """
        wanted = None if run_ids is None else pa.array(sorted(run_ids), pa.string())
        found: list[pa.Table] = [SCHEMAS[table].empty_table()]
        for first, piece in self.pieces(table, until=until):
            if starts:
                piece = piece.filter(_counting(first, piece["run_id"], starts))
            piece = unerased(piece, self._index.read())
            found.append(piece if wanted is None else piece.filter(pc.is_in(piece["run_id"], value_set=wanted)))
        return pa.concat_tables(found)


def _counting(first: int, run_ids: pa.ChunkedArray, starts: Mapping[str, int]) -> pa.Array:
    """Which rows stand at or behind the start of their run; of a run without one, all."""
    places = np.asarray(pc.fill_null(pc.index_in(run_ids, value_set=pa.array([*starts], pa.string())), -1))
    begin = np.array([*starts.values(), 0])[places]  # place -1 is the last: a run without a start
    return pa.array(np.arange(first, first + len(places)) >= begin)


def unerased(rows: pa.Table, index: Index) -> pa.Table:
    """The rows that were not erased, of a store with this index."""
    return rows.filter(pc.not_equal(rows.column(0), _BLANK)) if index.erasures else rows


def erased(rows: pa.Table, where: pa.ChunkedArray) -> pa.Table:
    """The rows with blank ones in the place of those in which `where` is true: nothing of them is left."""
    columns = [
        pc.if_else(where, pa.scalar(None if field.nullable else _blank(field.type), field.type), rows[field.name])
        for field in rows.schema
    ]
    return pa.Table.from_arrays(columns, schema=rows.schema)


def _blank(kind: pa.DataType) -> Any:
    return _BLANK if pa.types.is_string(kind) else False if pa.types.is_boolean(kind) else 0
