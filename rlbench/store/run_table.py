"""The table `runs`: one row a run, whether its runs were trained here or read from other people's files.

In: what is known of each run, and its measures. Out: a frame with the columns and types that every such table has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rlbench.metrics import MEASURES

if TYPE_CHECKING:
    import pandas as pd

RUN_COLUMNS = [
    "run_id",
    "experiment",
    "variant",
    "env",
    "seed",
    "status",
    "env_steps",
    "updates",
    "episodes",
    *MEASURES,
    "wall_s",
    "digest",
    "version",
    "platform",
    "launcher",
    "namespace",
    "study",
    "trial",
    "error",
]


def untyped_runs(facts: Iterable[Mapping[str, Any]], measured: pd.DataFrame) -> pd.DataFrame:
    """The table `runs`, still indexed by run_id: what is known of each run, and its measures."""
    import pandas as pd

    runs = pd.DataFrame(facts, index=measured.index, columns=RUN_COLUMNS)
    runs[[*MEASURES]] = measured
    return runs


def typed_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The table `runs` with the type of each column, which even an empty one has."""
    counts = dict.fromkeys(["seed", "env_steps", "updates", "episodes"], "int64")
    measures = dict.fromkeys([*MEASURES, "wall_s"], "float64")
    return runs.astype({**counts, **measures, "trial": "Int64"}).reset_index(drop=True)
