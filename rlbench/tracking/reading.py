"""Reading along: the rows that have been published since the last look.

In: a store. Out: new rows by run. Looking reads the index, and no row twice: what has been read is remembered as a position
in each table, which merging parts does not change. A version of the index counts at once, so that rows come in whole commits.
Never writes, so that a follower that is stopped cannot stop a training program.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlbench.rows import TABLES
from rlbench.store import Store
from rlbench.store.index import Index
from rlbench.store.parts import unerased
from rlbench.store.schema import split_rows

Rows = tuple[str, dict[str, list[Any]]]


class PartReader:
    """The rows of one store that have not been read yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read = dict.fromkeys(TABLES, 0)
        self._starts: dict[str, dict[str, int]] = {table: {} for table in TABLES}

    def new_rows(self, but: Collection[str] = ()) -> Iterator[tuple[str, str, dict[str, list[Any]]]]:
        """Yield (run_id, table, column -> values) for what is new, of all runs but these; each run's rows of a table in order."""
        until = self._store.positions()
        for table in TABLES:
            since, self._read[table] = self._read[table], until[table]
            self._starts[table] = self._store.starts(table)
            for run_id, columns in self._rows(table, since, until[table], but):
                yield run_id, table, columns

    def begun_again(self) -> set[str]:
        """The runs that have begun again since the last look: what was read of them does not count any more."""
        return {
            run_id
            for table, known in self._starts.items()
            for run_id, position in self._store.starts(table).items()
            if known.get(run_id) != position
        }

    def rows_again(self, run_id: str) -> Iterator[tuple[str, dict[str, list[Any]]]]:
        """Yield (table, column -> values) for one run out of all that has been read before."""
        for table in TABLES:
            for owner, columns in self._rows(table, 0, self._read[table]):
                if owner == run_id:
                    yield table, columns

    def _rows(self, table: str, since: int, until: int, but: Collection[str] = ()) -> Iterator[Rows]:
        if since < until:
            unwanted = pa.array(sorted(but), pa.string())
            for first, piece in self._store.read_on(table, since, until):
                index = self._store.index.read()
                yield from _rows_by_run(table, first, piece, self._starts[table], index, unwanted)


def _rows_by_run(
    table: str, first: int, rows: pa.Table, starts: dict[str, int], index: Index, unwanted: pa.Array
) -> Iterator[Rows]:
    if starts:
        begin = np.array([starts.get(run_id, 0) for run_id in rows.column("run_id").to_numpy()], np.int64)
        rows = rows.filter(pa.array(np.arange(first, first + len(begin)) >= begin))
    rows = unerased(rows, index)
    if len(unwanted):
        rows = rows.filter(pc.invert(pc.is_in(rows["run_id"], value_set=unwanted)))
    columns = {name: values.to_numpy() for name, values in zip(rows.column_names, rows.columns, strict=True)}
    for run_id, own in split_rows(table, columns).items():
        yield run_id, {name: values.tolist() for name, values in own.items()}
