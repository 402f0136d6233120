"""The record tables of a store as dictionaries: read on from where the last look ended, and checked.

In: an index. Out: rows in order of publication, and the latest of each key. A row that cannot be used is noted and left out.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from rlbench.store.damage import Damage
from rlbench.store.index_log import IndexLog
from rlbench.store.names import problem_of
from rlbench.store.parts import TableReader, unerased
from rlbench.store.specs import SpecParser

Row = dict[str, Any]
_KEYS = {
    "outcomes": ("run_id",),
    "specs": ("run_id",),
    "members": ("experiment", "run_id"),
    "experiments": ("name",),
    "plans": ("experiment",),
    "starts": ("run_id",),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RecordReader:
    """One small table, each of its rows read once. A specification is parsed, and shares its values with others of its cell."""

    def __init__(self, table: str, index: IndexLog, tables: TableReader, damage: Damage) -> None:
        self._table, self._index, self._tables, self._damage = table, index, tables, damage
        self._specs = SpecParser()
        self._seen = self._erasures = 0
        self._latest: dict[Any, Row] = {}
        self._times: dict[Any, int] = {}

    def latest(self) -> dict[Any, Row]:
        """Key (run_id, name, or experiment and run_id) -> its latest row, in the order in which keys first came. Not to be changed."""
        self._read_on()
        return self._latest

    def times(self) -> dict[Any, int]:
        """Key -> how many rows it has had. Not to be changed."""
        self._read_on()
        return self._times

    def _read_on(self) -> None:
        index = self._index.read()
        if index.erasures != self._erasures:  # of what was read, some is gone
            self._latest, self._times, self._seen, self._erasures = {}, {}, 0, index.erasures
        until = index.num_rows(self._table)
        if until <= self._seen:
            return
        names = _KEYS[self._table]
        for first, piece in self._tables.pieces(self._table, self._seen, until):
            # Of a piece that was rewritten since we began, the index as it is now knows.
            for row in _rows(unerased(piece, self._index.read())):
                if "spec" in row:
                    with suppress(ValueError, RecursionError):  # what it is instead is said below
                        row["spec"] = self._specs.parse(row["spec"])
                problem = problem_of(self._table, row)
                if problem:
                    self._damage.note(f"a record is damaged, and left out: {problem}")
                    continue
                key = row[names[0]] if len(names) == 1 else tuple(row[name] for name in names)
                self._latest[key] = row
                self._times[key] = self._times.get(key, 0) + 1
            self._seen = first + len(piece)
        self._seen = until


def _rows(piece: pa.Table) -> list[Row]:
    """The rows as dictionaries. Times go by their numbers: Arrow looks up the zone of each, which takes longer than all the rest."""
    times = [field.name for field in piece.schema if pa.types.is_timestamp(field.type)]
    for name in times:
        piece = piece.set_column(piece.schema.get_field_index(name), name, piece[name].cast(pa.int64()))
    rows: list[Row] = piece.to_pylist()
    for name in times:
        for row in rows:
            row[name] = _EPOCH + timedelta(microseconds=row[name])
    return rows
