"""Reading along: the rows that have been published since the last look.

In: a store. Out: new rows by run. Looking lists three folders, and no part is read twice. A commit's parts appear one
after the other: they are taken together, once all are there, so that rows come in whole commits. Never takes the
store's lock, so that a follower that is stopped cannot stop a training program; never writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlbench.store import Store
from rlbench.store.files import names
from rlbench.store.parts import read_part
from rlbench.store.schema import split_rows
from rlbench.tracking.rows import TABLES


def _commit(part: Path) -> str:
    """The commit that a part belongs to: the name of the staging folder that it was published from."""
    return part.stem.partition("-")[2]


class PartReader:
    """The parts of one store that have not been read yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: set[str] = set()

    def new_rows(self) -> Iterator[tuple[str, str, dict[str, list[Any]]]]:
        """Yield (run_id, table, column -> values) for what is new; each run's rows of a table in order."""
        unread = {_commit(part) for table in TABLES for part in self._unread(table)}
        complete = {commit for commit in unread if not self._is_being_published(commit)}
        if not complete:
            return
        # Listed again: what was still missing from the first listing of a complete commit is in this one.
        for table in TABLES:
            for part in self._unread(table):
                if _commit(part) in complete:
                    self._read.add(part.name)
                    for run_id, columns in _rows_by_run(table, part):
                        yield run_id, table, columns

    def rows_again(self, run_id: str) -> Iterator[tuple[str, dict[str, list[Any]]]]:
        """Yield (table, column -> values) for one run out of all the parts that have been read before."""
        for table in TABLES:
            for part in self._store.parts(table):
                if part.name in self._read:
                    yield from ((table, columns) for owner, columns in _rows_by_run(table, part) if owner == run_id)

    def _unread(self, table: str) -> list[Path]:
        return [part for part in self._store.parts(table) if part.name not in self._read]

    def _is_being_published(self, commit: str) -> bool:
        return any(f"{table}.parquet" in names(self._store.layout.staging / commit) for table in TABLES)


def _rows_by_run(table: str, part: Path) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    rows = read_part(part)
    by_run = split_rows(table, {name: rows.column(name).to_numpy() for name in rows.column_names})
    for run_id, own in by_run.items():
        yield run_id, {name: values.tolist() for name, values in own.items()}
