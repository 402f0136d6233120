"""What the store already knows of runs: their evaluation points, and how those ended that have.

In: run ids. Out: points and statuses, so that a trial whose runs are all in the store is told from there. Only reads.
"""

import math
from collections.abc import Sequence

from rlbench.store import Store
from rlbench.store.records import FINAL_STATUSES


def past_runs(store: Store, run_ids: Sequence[str]) -> tuple[dict[str, dict[int, float]], dict[str, str]]:
    """run_id -> {env_steps: mean return}, and run_id -> status of those that have ended, as far as either is published."""
    outcomes = store.outcomes()  # before the rows: a run that has ended here has all its rows there
    known = store.progress().keys() | outcomes.keys()
    asked = [run_id for run_id in run_ids if run_id in known]
    if not asked:
        return {}, {}
    statuses = {run_id: str(outcomes[run_id]["status"]) for run_id in asked if run_id in outcomes}
    rows = store.read_rows("evaluations", run_ids=asked).to_pylist()
    # In the order of the episodes, as the runs themselves add them up.
    rows.sort(key=lambda row: (row["run_id"], row["env_steps"], row["episode"]))
    returns: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        returns.setdefault(row["run_id"], {}).setdefault(row["env_steps"], []).append(row["episode_return"])
    points = {
        run_id: {at: math.fsum(values) / len(values) for at, values in own.items()} for run_id, own in returns.items()
    }
    return points, {run_id: status for run_id, status in statuses.items() if status in FINAL_STATUSES}
