"""The stored rows of many runs, run by run.

In: a store, a row table and how many of its rows are there. Out: a mapping from run to its columns, in the order of
publication. The table is sorted once, by integers; what a run's rows mean is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from rlbench.store.schema import ROW_TABLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rlbench.store.contents import Contents
    from rlbench.store.joined import JoinedStore

Columns = dict[str, "NDArray[Any]"]


class Slices(Mapping[str, Columns]):
    """run_id -> column -> its rows; a run without rows has empty columns."""

    def __init__(self, columns: Columns, bounds: Mapping[str, tuple[int, int]]) -> None:
        self._columns, self._bounds = columns, bounds

    def __getitem__(self, run_id: str) -> Columns:
        begin, end = self._bounds.get(run_id, (0, 0))
        return {name: values[begin:end] for name, values in self._columns.items()}

    def __iter__(self) -> Any:
        return iter(self._bounds)

    def __len__(self) -> int:
        return len(self._bounds)


def rows_by_run(store: Contents | JoinedStore, table: str, until: Any, run_ids: Iterable[str]) -> Slices:
    """The rows of these runs up to a position of a row table."""
    rows = store.read_rows(table, until, run_ids).combine_chunks()
    encoded = pc.dictionary_encode(rows["run_id"]).combine_chunks()
    owners = [str(run_id) for run_id in encoded.dictionary.to_pylist()] if len(rows) else []
    codes = encoded.indices.to_numpy() if len(rows) else np.empty(0, np.int32)
    order = np.argsort(codes, kind="stable")
    columns = {name: rows[name].to_numpy()[order] for name in ROW_TABLES[table].names if name != "run_id"}
    edges = np.searchsorted(codes[order], np.arange(len(owners) + 1))
    return Slices(columns, {owner: (int(edges[i]), int(edges[i + 1])) for i, owner in enumerate(owners)})
