"""The audit that every command ends with: seeds that are not independent, and rows that are there twice.

In: results. Out: one line per finding, none when all is well. Never changes anything.

Two seeds of one cell (variant and environment) that share a learning curve or weights have shared random numbers.
Curves are compared where equality cannot be chance: with measured losses or values among the diagnostics, whose floats
carry every random draw since the start; without them (the `random` baseline) only where the cell's own episodes vary so
much that a coincidence is out of the question. On MountainCar every early episode is -200 in 200 steps, for all seeds.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlbench.errors import StoreError
from rlbench.rows import OF_UPDATE
from rlbench.store.schema import ROW_ORDER, packed_rows
from rlbench.store.tensors import data_bytes

if TYPE_CHECKING:
    import pandas as pd

    from rlbench.store.results import Results

_MEASURED = [*OF_UPDATE]  # not epsilon: a schedule is the same for all seeds
_COINCIDENCE = 1e-6  # the chance, for a whole cell, at which equal curves stop being possible chance


def audit(results: Results) -> list[str]:
    """One line per finding: what is damaged, learning curves or weights that two seeds of a cell share, and duplicated rows."""
    shared = [*_duplicated_rows(results), *_shared_curves(results), *_shared_weights(results)]
    return [*results.store.damage.lines, *shared]


def passes_audit(results: Results) -> bool:
    """Whether the audit finds nothing; says on stderr what it finds."""
    findings = audit(results)
    results.store.damage.untold()  # they are among them
    for finding in findings:
        print(f"audit: {finding}", file=sys.stderr)
    return not findings


def _duplicated_rows(results: Results) -> Iterator[str]:
    for table, order in ROW_ORDER.items():
        frame: pd.DataFrame = getattr(results, table)
        key = ["run_id", *order]
        for run_id, rows in frame[frame.duplicated(key)].groupby("run_id"):
            where = ", ".join(f"{name} {rows[name].iloc[0]}" for name in order)
            yield f"run {run_id}: {len(rows)} duplicated rows in {table}, the first at {where}"


def _cells(results: Results) -> Iterator[tuple[str, pd.DataFrame]]:
    for (variant, env), cell in results.runs.groupby(["variant", "env"], sort=False):
        yield f"{variant} on {env}", cell


def _shared(cell: pd.DataFrame, digests: dict[str, str]) -> Iterator[str]:
    """The groups of runs with equal digests but different seeds, in words."""
    known = cell[cell["run_id"].isin(digests)]
    known = known[known["run_id"].map(digests).duplicated(keep=False)]
    for _, group in known.groupby(known["run_id"].map(digests), sort=False):
        if len(group[["namespace", "seed"]].drop_duplicates()) > 1:
            seeds = ", ".join(map(str, group["seed"]))
            yield f"seeds {seeds} (runs {', '.join(group['run_id'])})"


def _by_run(frame: pd.DataFrame) -> dict[str, slice]:
    """run_id -> its rows in a frame that is sorted by run_id."""
    codes, run_ids = frame["run_id"].factorize()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = np.append(starts, len(frame))[1:]
    return {str(run_id): slice(int(start), int(end)) for run_id, start, end in zip(run_ids, starts, ends, strict=True)}


def _shared_curves(results: Results) -> Iterator[str]:
    frames: dict[str, pd.DataFrame] = {table: getattr(results, table) for table in ROW_ORDER}
    packed = {
        table: packed_rows(table, {name: frame[name] for name in frame.columns if name != "run_id"})
        for table, frame in frames.items()
    }
    places = {table: _by_run(frame) for table, frame in frames.items()}
    measured = frames["diagnostics"][_MEASURED].to_numpy(float)
    for label, cell in _cells(results):
        telling = _telling_length(frames["episodes"], cell["run_id"])
        digests = {}
        for run_id in cell["run_id"]:
            rows = [packed[table][places[table].get(run_id, slice(0))] for table in ROW_ORDER]
            floats = measured[places["diagnostics"].get(run_id, slice(0))]
            if (np.isfinite(floats) & (floats != 0)).any() or len(rows[0]) >= telling:
                digests[run_id] = _digest(*rows)
        for group in _shared(cell, digests):
            yield f"{label}: {group} share one learning curve"


def _telling_length(episodes: pd.DataFrame, run_ids: pd.Series) -> float:
    """The number of episodes from which an equal sequence in this cell cannot be chance.

    Two episodes of the cell are equal with the chance p = sum of squared frequencies, two sequences of n with p^n.
    """
    own = episodes[episodes["run_id"].isin(run_ids)]
    frequencies = own.groupby(["length", "episode_return"]).size() / max(len(own), 1)
    equal = float((frequencies**2).sum())
    pairs = len(run_ids) * (len(run_ids) - 1) / 2
    return math.log(_COINCIDENCE / max(pairs, 1)) / math.log(equal) if 0 < equal < 1 else math.inf


def _shared_weights(results: Results) -> Iterator[str]:
    """Of `done` runs only: the weights of diverged ones may be NaN throughout."""
    for label, cell in _cells(results):
        digests = {}
        for run_id in cell["run_id"][cell["status"] == "done"]:
            try:
                path = results.weights_path(run_id)
                if path.exists():
                    digests[run_id] = hashlib.sha256(data_bytes(path)).hexdigest()
            except StoreError as error:
                results.store.damage.note_error(error)
        for group in _shared(cell, digests):
            yield f"{label}: {group} share final weights"


def _digest(*arrays: NDArray[Any]) -> str:
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(len(array).to_bytes(8, "little"))
        whole.update(array.tobytes())
    return whole.hexdigest()
