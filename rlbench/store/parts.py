"""Parts: the immutable Parquet files that tables are made of.

In: Arrow tables. Out: files `tables/<table>/<stamp>-<writer>.parquet`, and their rows, checked against the index. A part
is staged with its checksum, moved under the store's lock, and counts once the index names it; it never changes, and goes
away only when it has been merged into another one. Never reads a part into pandas.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlbench.errors import DamagedError, StoreError
from rlbench.store import files
from rlbench.store.damage import Damage
from rlbench.store.files import Layout
from rlbench.store.index import PART_NAME, Index, IndexReader, Part, parts_of_record, read_index, write_index
from rlbench.store.names import is_run_id
from rlbench.store.schema import SCHEMAS, as_declared
from rlbench.store.sealed import sealed_line, unseal

_SUFFIX = ".parquet"
RECORD = "record.json"  # in a staging folder: which parts it holds, and which they replace
_BLANK = ""  # in the first column of every table, of a row that was erased: it keeps the positions of the others


@dataclass(frozen=True)
class _Staged:
    """What a staging folder holds: parts that are added, of merged neighbours or, where rows of runs were erased, of single parts."""

    parts: tuple[Part, ...]
    replaces: tuple[str, ...] = ()
    erases: tuple[str, ...] | None = None

    def applied(self, index: Index) -> Index | None:
        """The index with this; None where somebody else has merged the neighbours that this merges."""
        if self.erases is not None:
            rewritten = dict(zip(self.replaces, self.parts, strict=False))  # behind these stand parts that are new
            return index.rewritten(rewritten).with_parts(self.parts[len(rewritten) :])
        if self.replaces:
            (merged,) = self.parts
            return index if merged in index.parts else index.merged(self.replaces, merged)
        return index.with_parts(self.parts)


def stage_parts(
    folder: Path, tables: Mapping[str, pa.Table], replaces: Sequence[str] = (), level: int = 0, is_old: bool = False
) -> None:
    """Write the parts of some tables into a staging folder, and last the record that makes them a whole."""
    staged = [stage_part(folder, table, rows, level, is_old) for table, rows in tables.items()]
    stage_record(folder, staged, replaces)


def stage_part(folder: Path, table: str, rows: pa.Table, level: int = 0, is_old: bool = False) -> Part:
    """Write one part into a staging folder."""
    buffer = pa.BufferOutputStream()
    pq.write_table(rows, buffer)
    data = buffer.getvalue()
    name = f"{time.time_ns():020d}-{folder.name}{_SUFFIX}"
    files.write_file(folder / f"{table}-{name}", [data])  # a clock may stand still between two tables
    return Part(table, name, len(rows), hashlib.sha256(data).hexdigest(), level, is_old)


def stage_record(
    folder: Path, staged: Sequence[Part], replaces: Sequence[str] = (), erases: Sequence[str] | None = None
) -> None:
    """Make the parts in a staging folder a whole: they replace those, and where rows were erased, these runs are gone."""
    record = {"parts": [asdict(part) for part in staged], "replaces": list(replaces)}
    files.write_file(folder / RECORD, [sealed_line(record | ({} if erases is None else {"erases": list(erases)}))])
    files.sync_folder(folder)


def is_whole(folder: Path) -> bool:
    """Whether everything that was to be staged here has been. Raises DamagedError where its record is damaged."""
    return (folder / RECORD).exists() and bool(_record(folder))


def _record(folder: Path) -> _Staged:
    """What a staging folder holds or held."""
    path = folder / RECORD
    if not path.exists():  # staged by a program of format 1
        return _Staged(tuple(_unrecorded(folder)))
    with files.reading(path):
        record = unseal(path.read_bytes())
        replaces, erases = record.get("replaces", []), record.get("erases")
        are_parts = all(isinstance(name, str) and PART_NAME.fullmatch(name) for name in replaces)
        if not are_parts or not all(map(is_run_id, erases or ())):
            raise ValueError("it is no record of a commit")
        return _Staged(parts_of_record(record), tuple(replaces), None if erases is None else tuple(erases))


def _unrecorded(folder: Path) -> Iterator[Part]:
    for table in SCHEMAS:
        path = folder / f"{table}{_SUFFIX}"
        if path.exists():
            with files.reading(path):
                data = path.read_bytes()
                rows = pq.read_metadata(pa.BufferReader(data)).num_rows
            name = f"{time.time_ns():020d}-{folder.name}{_SUFFIX}"
            yield Part(table, name, rows, hashlib.sha256(data).hexdigest(), is_old=True)


def publish(layout: Layout, folder: Path) -> None:
    """Publish what a staging folder holds, under the store's lock. Goes on where a killed publication stopped."""
    staged = _record(folder)
    following = staged.applied(read_index(layout, Damage()))
    if following is None:
        for part in staged.parts:
            files.remove(layout.part(part.table, part.name))
        return
    for part in staged.parts:
        source = _staged_file(folder, part)
        if source.exists():
            files.rename(source, layout.part(part.table, part.name))
            files.sync_folder(layout.table(part.table))
    write_index(layout, following)
    counting = {part.name for part in following.parts}
    for place, name in enumerate(staged.replaces):
        if name not in counting:
            files.remove(layout.part(staged.parts[0 if staged.erases is None else place].table, name))
    for run_id in staged.erases or ():
        files.remove(layout.weights(run_id))


def _staged_file(folder: Path, part: Part) -> Path:
    """Where a part lies until it is published; an earlier rlbench named the file by its table."""
    earlier = folder / f"{part.table}{_SUFFIX}"
    return earlier if earlier.exists() else folder / f"{part.table}-{part.name}"


def read_part(path: Path, part: Part | None = None) -> pa.Table:
    """One part's rows, checked against what the index says of it, where that is given.

    Raises DamagedError where it is not what was written, StoreError where it cannot be read, and FileNotFoundError.
    """
    table = path.parent.name
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    if part is not None and part.sha256 and hashlib.sha256(data).hexdigest() != part.sha256:
        raise DamagedError(f"{path} is damaged: it does not give its checksum")
    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            rows = file.read(use_threads=False)
        rows.validate(full=part is None or part.is_old)
    except Exception as error:  # whatever Arrow and the libraries below it make of damaged bytes
        raise DamagedError(f"{path} is damaged: {' '.join(str(error).split())[:200]}") from error
    try:
        rows = as_declared(table, rows)
    except ValueError as error:
        raise DamagedError(f"{path} is damaged: {error}") from error
    if part is not None and len(rows) != part.rows:
        raise DamagedError(f"{path} is damaged: it has {len(rows)} rows, not {part.rows}")
    return rows


class TableReader:
    """The rows of a store's tables by position; what cannot be read is noted and left out."""

    def __init__(self, layout: Layout, index: IndexReader, damage: Damage) -> None:
        self._layout, self._index, self._damage = layout, index, damage

    def pieces(self, table: str, since: int = 0, until: int | None = None) -> Iterator[tuple[int, pa.Table]]:
        """The rows at positions `since` to `until` (the end), as pieces, each with the position of its first row."""
        index = self._index.read()
        end = index.num_rows(table) if until is None else until
        missing: set[Part] = set()
        while True:
            try:
                for first, rows in self._pieces(index.of(table), since, end, missing):
                    yield first, rows
                    since = first + len(rows)
                return
            except FileNotFoundError as error:
                latest = self._index.read()
                if latest is not index and index.has_checksums:  # merged meanwhile: the rows are elsewhere
                    index = latest
                    continue
                path = Path(error.filename)
                self._damage.note_part(path, DamagedError(f"{path} is missing"))
                missing = {part for part in index.of(table) if not self._path(part).exists()}

    def _path(self, part: Part) -> Path:
        return self._layout.part(part.table, part.name)

    def _pieces(
        self, parts: Iterable[Part], since: int, until: int, missing: Iterable[Part] = ()
    ) -> Iterator[tuple[int, pa.Table]]:
        first = 0
        for part in parts:
            start, end = max(since - first, 0), min(until - first, part.rows)
            if start < end and part in missing:
                self._damage.note_part(self._path(part), DamagedError(f"{self._path(part)} is missing"))
            elif start < end:
                try:
                    yield first + start, read_part(self._path(part), part).slice(start, end - start)
                except StoreError as error:
                    self._damage.note_part(self._path(part), error)
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
