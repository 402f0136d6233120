"""A table's rows, of which those of some runs are found at once.

In: a frame with a column run_id. Out: frames of some runs' rows. Never: copies a column that is in order already, or spells
a run's id once a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


class RowsByRun:
    """The rows of a frame by run, each run's in the given order."""

    def __init__(self, frame: pd.DataFrame, order: Sequence[str]) -> None:
        codes, run_ids = frame["run_id"].factorize()
        self._rows = frame.drop(columns="run_id")
        if (np.diff(codes) < 0).any():
            places = np.lexsort([*(frame[name].to_numpy() for name in reversed(order)), codes])
            self._rows, codes = self._rows.iloc[places], codes[places]
        edges = np.searchsorted(codes, np.arange(len(run_ids) + 1))
        self._bounds = {str(run_id): (edges[code], edges[code + 1]) for code, run_id in enumerate(run_ids)}

    def of(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """The rows of these runs, run by run; the texts of run_id are one object a run."""
        bounds = [self._bounds.get(run_id, (0, 0)) for run_id in run_ids]
        places = [np.arange(start, end) for start, end in bounds]
        rows = self._rows.iloc[np.concatenate([np.empty(0, np.int64), *places])]
        owners = np.repeat(np.array([*run_ids], dtype=object), [end - start for start, end in bounds])
        return rows.assign(run_id=pd.Series(owners, rows.index, dtype=object))
