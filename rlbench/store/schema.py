"""The tables of a store: their columns, and the digest of a run's rows.

In: rows as columns (lists or arrays). Out: Arrow tables of exactly the declared columns, and SHA-256 digests.
Never touches a file. The digest covers the deterministic columns only, and cannot depend on how the rows were cut
into parts: it is a chain over rows, h[k+1] = sha256(h[k] || packed row k), h[0] = sha256(table name).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlbench.rows import TABLES

Columns = Mapping[str, Any]  # column name -> list, array or tensor, all of one length


def _required(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


_TEXT, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_ARROW = {int: _INT, float: _FLOAT, bool: _BOOL}

# Deterministic tables: one row per event of a run, in the order in which the run produced them.
ROW_TABLES: dict[str, pa.Schema] = {
    table: _required(run_id=_TEXT, **{column.name: _ARROW[column.kind] for column in kind.columns})
    for table, kind in TABLES.items()
}
ROW_ORDER = {table: list(kind.order) for table, kind in TABLES.items()}
_LATER = {table: {column.name for column in kind.columns if column.later} for table, kind in TABLES.items()}

RECORD_TABLES: dict[str, pa.Schema] = {
    "outcomes": _required(
        run_id=_TEXT,
        status=_TEXT,
        env_steps=_INT,
        updates=_INT,
        episodes=_INT,
        wall_s=_FLOAT,
        digest=_TEXT,
        version=_TEXT,
        platform=_TEXT,
        launcher=_TEXT,
        finished_at=pa.timestamp("us", tz="UTC"),
        error=_TEXT,
    ),
    "specs": _required(run_id=_TEXT, spec=_TEXT),
    "members": pa.schema(
        [
            pa.field("experiment", _TEXT, nullable=False),
            pa.field("run_id", _TEXT, nullable=False),
            pa.field("variant", _TEXT, nullable=False),
            pa.field("position", _INT, nullable=False),
            pa.field("study", _TEXT),
            pa.field("trial", _INT),
        ]
    ),
    "experiments": _required(name=_TEXT, definition=_TEXT),
    "plans": _required(experiment=_TEXT, state=_TEXT),
    # A run's beginning, with how many rows each table had: rows of the run before the latest of its beginnings do not count.
    "starts": _required(run_id=_TEXT, attempt=_TEXT, **dict.fromkeys(ROW_TABLES, _INT)),
}

SCHEMAS: dict[str, pa.Schema] = {**ROW_TABLES, **RECORD_TABLES}


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def row_arrays(table: str, columns: Columns) -> dict[str, NDArray[Any]]:
    """The columns of a row table as arrays of exactly the declared types; `run_id` is left out where it is not given.

    Raises ValueError for a missing or unknown column, unequal lengths, and a value that its column cannot hold.
    """
    schema = ROW_TABLES[table]
    declared = set(schema.names)
    given = set(columns)
    if given - declared or declared - given - {"run_id"}:
        raise ValueError(f"{table} has the columns {schema.names}, got {sorted(given)}")
    arrays = {}
    for field in schema:
        if field.name not in given:
            continue
        values = np.asarray(columns[field.name])
        kind = np.dtype(object) if field.name == "run_id" else np.dtype(field.type.to_pandas_dtype())
        if values.ndim != 1:
            raise ValueError(f"{table}.{field.name} must be one-dimensional, got the shape {values.shape}")
        if values.size and not np.can_cast(values.dtype, kind, "safe"):
            raise ValueError(f"{table}.{field.name} holds {kind}, got {values.dtype}")
        arrays[field.name] = values.astype(kind)
    if len({len(values) for values in arrays.values()}) > 1:
        raise ValueError(f"{table}: columns of unequal length { {k: len(v) for k, v in arrays.items()} }")
    return arrays


def _canonical_nan(values: NDArray[Any]) -> NDArray[Any]:
    """Every NaN with the same bits: its sign and payload are the one thing that vectorised code may choose freely."""
    return np.where(np.isnan(values), np.array(np.nan, values.dtype), values) if values.dtype.kind == "f" else values


def packed_rows(table: str, columns: Columns) -> NDArray[np.void]:
    """Rows as packed little-endian records of what a digest covers, in the schema's order: no `run_id`, no later column."""
    arrays = row_arrays(table, columns)
    arrays = {name: values for name, values in arrays.items() if name not in {"run_id", *_LATER[table]}}
    layout = np.dtype([(name, values.dtype.newbyteorder("<")) for name, values in arrays.items()])
    records = np.empty(len(next(iter(arrays.values()))), layout)
    for name, values in arrays.items():
        records[name] = _canonical_nan(values)
    return records


class RowDigest:
    """The running digest of one run's rows: a chain per row table.

    Feed it every row once, in the order of `ROW_ORDER`. `state()` is JSON for a checkpoint, `RowDigest(state)` goes on.
    """

    def __init__(self, state: Mapping[str, str] | None = None) -> None:
        if state is not None and set(state) != set(ROW_TABLES):
            raise ValueError(f"a row digest has the chains {sorted(ROW_TABLES)}, got {sorted(state)}")
        self._chains = {
            table: bytes.fromhex(state[table]) if state else hashlib.sha256(table.encode()).digest()
            for table in ROW_TABLES
        }

    def advance(self, table: str, rows: Columns) -> None:
        """Add rows of this run to the chain of `table`; a `run_id` column may be there and is not hashed."""
        records = packed_rows(table, rows)
        data, size, chain = records.tobytes(), records.dtype.itemsize, self._chains[table]
        for start in range(0, len(data), size):
            chain = hashlib.sha256(chain + data[start : start + size]).digest()
        self._chains[table] = chain

    def advance_sorted(self, table: str, rows: Columns) -> None:
        """Add all rows of this run, given in any order, to the chain of `table`."""
        arrays = row_arrays(table, {name: rows[name] for name in ROW_TABLES[table].names if name != "run_id"})
        by_order = np.lexsort([arrays[name] for name in reversed(ROW_ORDER[table])])
        self.advance(table, {name: values[by_order] for name, values in arrays.items()})

    def state(self) -> dict[str, str]:
        """The chains as hex: JSON-able, and all that there is to it."""
        return {table: chain.hex() for table, chain in self._chains.items()}


def split_rows(table: str, columns: Columns) -> dict[str, dict[str, NDArray[Any]]]:
    """Rows of many runs -> each run's rows without `run_id`, in the order in which they were given."""
    arrays = row_arrays(table, columns)
    run_ids, owners = np.unique(arrays.pop("run_id").astype(str), return_inverse=True)
    order = np.argsort(owners, kind="stable")
    bounds = np.searchsorted(owners[order], np.arange(len(run_ids) + 1))
    return {
        str(run_id): {name: values[order[bounds[i] : bounds[i + 1]]] for name, values in arrays.items()}
        for i, run_id in enumerate(run_ids)
    }


def digest_rows(frames: Mapping[str, Any]) -> RowDigest:
    """The digest of one run recomputed from its stored rows: table -> DataFrame or columns, rows in any order."""
    digest = RowDigest()
    for table in ROW_ORDER:
        digest.advance_sorted(table, frames[table])
    return digest


ENDS = ("status", "env_steps", "updates", "episodes")  # of an outcome: what the digest covers besides rows and weights


def run_digest(row_digest: RowDigest, weights: Mapping[str, Any], end: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over a run's final weights (sorted names, dtype, shape, bytes), the chains of its rows, and how it ended.

    weights: name -> array or CPU tensor; empty for a run without weights. end: the values of `ENDS`, others are not looked at.
    """
    whole = hashlib.sha256()
    for name in sorted(weights):
        values = weights[name]
        array = np.asarray(values.detach() if hasattr(values, "detach") else values)
        little = _canonical_nan(array).astype(array.dtype.newbyteorder("<"), copy=False)
        whole.update(canonical_json([name, array.dtype.name, list(array.shape)]).encode())
        whole.update(little.tobytes())
    whole.update(canonical_json(row_digest.state()).encode())
    whole.update(canonical_json([end[name] for name in ENDS]).encode())
    return whole.hexdigest()


def as_declared(table: str, rows: pa.Table) -> pa.Table:
    """Stored rows with the columns that came later than they did, without a number there. Raises ValueError for other columns."""
    schema = SCHEMAS[table]
    if rows.schema.equals(schema):
        return rows
    absent = _LATER.get(table, set()) - set(rows.column_names)
    for place, column in enumerate(schema):
        if column.name in absent:
            rows = rows.add_column(place, column, pa.array(np.full(len(rows), np.nan), column.type))
    if not rows.schema.equals(schema):
        raise ValueError(f"its columns are not those of the table {table}")
    return rows


def record_table(table: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of a record table (outcomes, specs, members, experiments) as Arrow."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMAS[table])


def row_table(table: str, columns: Columns) -> pa.Table:
    """Columns of a row table, `run_id` included, as Arrow."""
    arrays = row_arrays(table, columns)
    if "run_id" not in arrays:
        raise ValueError(f"{table}: rows without run_id")
    fields = [pa.array(arrays[field.name], type=field.type) for field in ROW_TABLES[table]]
    return pa.Table.from_arrays(fields, schema=ROW_TABLES[table])
