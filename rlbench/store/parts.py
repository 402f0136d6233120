"""Parts: the immutable Parquet files that tables are made of.

In: Arrow tables. Out: files `tables/<table>/<stamp>-<writer>.parquet`, and their rows, checked against the index. A part
is staged with its checksum, moved under the store's lock, and counts once the index names it; it never changes, and goes
away only when it has been merged into another one. Never reads a part into pandas.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlbench.errors import DamagedError, StoreError
from rlbench.store import files
from rlbench.store.damage import Damage
from rlbench.store.files import Layout
from rlbench.store.index import PART_NAME, IndexReader, Part, parts_of_record, read_index, write_index
from rlbench.store.schema import SCHEMAS, as_declared
from rlbench.store.sealed import sealed_line, unseal

_SUFFIX = ".parquet"
RECORD = "record.json"  # in a staging folder: which parts it holds, and which they replace


def stage_parts(
    folder: Path, tables: Mapping[str, pa.Table], replaces: Sequence[str] = (), level: int = 0, is_old: bool = False
) -> None:
    """Write the parts of some tables into a staging folder, and last the record that makes them a whole."""
    staged = []
    for table, rows in tables.items():
        buffer = pa.BufferOutputStream()
        pq.write_table(rows, buffer)
        data = buffer.getvalue()
        files.write_file(folder / f"{table}{_SUFFIX}", [data])
        name = f"{time.time_ns():020d}-{folder.name}{_SUFFIX}"
        staged.append(Part(table, name, len(rows), hashlib.sha256(data).hexdigest(), level, is_old))
    record = {"parts": [asdict(part) for part in staged], "replaces": list(replaces)}
    files.write_file(folder / RECORD, [sealed_line(record)])
    files.sync_folder(folder)


def is_whole(folder: Path) -> bool:
    """Whether everything that was to be staged here has been. Raises DamagedError where its record is damaged."""
    return (folder / RECORD).exists() and bool(_record(folder))


def _record(folder: Path) -> tuple[tuple[Part, ...], list[str]]:
    """The parts that a staging folder holds or held, and the names of those that they replace."""
    path = folder / RECORD
    if not path.exists():  # staged by a program of format 1
        return tuple(_unrecorded(folder)), []
    with files.reading(path):
        record = unseal(path.read_bytes())
        replaced = record.get("replaces", [])
        if not all(isinstance(name, str) and PART_NAME.fullmatch(name) for name in replaced):
            raise ValueError("it is no record of a commit")
        return parts_of_record(record), replaced


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
    new, replaced = _record(folder)
    index = read_index(layout, Damage())
    if replaced:
        (merged,) = new
        following = index if merged in index.parts else index.merged(replaced, merged)
        if following is None:  # somebody else merged them
            files.remove(layout.part(merged.table, merged.name))
            return
    else:
        following = index.with_parts(new)
    for part in new:
        staged = folder / f"{part.table}{_SUFFIX}"
        if staged.exists():
            files.rename(staged, layout.part(part.table, part.name))
            files.sync_folder(layout.table(part.table))
    write_index(layout, following)
    counting = {part.name for part in following.of(new[0].table)} if replaced else set()
    for name in replaced:
        if name not in counting:
            files.remove(layout.part(new[0].table, name))


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

    def pieces(self, table: str, since: int = 0, until: int | None = None) -> list[tuple[int, pa.Table]]:
        """The rows at positions `since` to `until` (the end), as pieces, each with the position of its first row."""
        while True:
            index = self._index.read()
            try:
                return list(self._pieces(index.of(table), since, index.num_rows(table) if until is None else until))
            except FileNotFoundError as error:
                if self._index.read() is not index and index.has_checksums:  # merged meanwhile: the rows are elsewhere
                    continue
                path = Path(error.filename)
                self._damage.note_part(path, DamagedError(f"{path} is missing"))
                missing = {part for part in index.of(table) if not self._path(part).exists()}
                end = index.num_rows(table) if until is None else until
                return list(self._pieces(index.of(table), since, end, missing))

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
            found.append(piece if wanted is None else piece.filter(pc.is_in(piece["run_id"], value_set=wanted)))
        return pa.concat_tables(found)


def _counting(first: int, run_ids: pa.ChunkedArray, starts: Mapping[str, int]) -> pa.Array:
    """Which rows stand at or behind the start of their run; of a run without one, all."""
    places = np.asarray(pc.fill_null(pc.index_in(run_ids, value_set=pa.array([*starts], pa.string())), -1))
    begin = np.array([*starts.values(), 0])[places]  # place -1 is the last: a run without a start
    return pa.array(np.arange(first, first + len(places)) >= begin)
