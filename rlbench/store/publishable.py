"""Which rows of a commit may be published: those that the states of their runs cover.

In: the rows that training made, what the commit says of lanes and ends, and the states that are stored. Out: Arrow tables. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rlbench.store.checkpoints import StoredState
from rlbench.store.records import FINAL_STATUSES, Checkpoint, Finished
from rlbench.store.schema import ROW_TABLES, Columns, row_table, split_rows


def publishable(
    rows: Mapping[str, Columns],
    checkpoint: Checkpoint,
    finished: Sequence[Finished],
    stored: Mapping[str, StoredState],
) -> dict[str, Any]:
    """The rows as Arrow tables, less those of failed runs. Raises ValueError for a row that its run's state does not cover."""
    states = {lane.run_id: lane.env_steps for lane in checkpoint.lanes}
    ends = {end.run_id: end.env_steps for end in finished if end.status in FINAL_STATUSES}
    failed = {end.run_id for end in finished} - ends.keys()
    covered = {
        run_id: (stored[run_id].env_steps if run_id in stored else 0, until)
        for run_id, until in (states | ends).items()
    }
    for run_id, (since, until) in covered.items():
        if until < since:
            raise ValueError(f"run {run_id} at {until} env_steps must go on from its stored state at {since}")
    tables = {}
    for table, columns in rows.items():
        if table not in ROW_TABLES:
            raise ValueError(f"unknown table {table!r}; the row tables are {sorted(ROW_TABLES)}")
        whole = row_table(table, columns)
        for run_id, own in split_rows(table, columns).items():
            if run_id not in failed:
                _check_covered(table, run_id, own["env_steps"], covered.get(run_id))
        if failed:
            whole = whole.filter(pc.invert(pc.is_in(whole["run_id"], value_set=pa.array(sorted(failed)))))
        if len(whole):
            tables[table] = whole
    return tables


def _check_covered(table: str, run_id: str, steps: Any, covered: tuple[int, int] | None) -> None:
    if covered is None:
        raise ValueError(f"{table}: rows of run {run_id}, which has neither a lane nor an end in this commit")
    since, until = covered
    if steps.min() < since or steps.max() > until:
        raise ValueError(
            f"{table}: rows of run {run_id} at {steps.min()} to {steps.max()} env_steps; this commit takes it from {since} to {until}"
        )
