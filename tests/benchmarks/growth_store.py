"""Synthetic stores of any number of runs, written as training writes them: a hundred runs a commit, with weights and true digests.

In: how many runs, and how many rows a run has. Out: a store whose runs are those that `growth.words` plan, so that every command finds
them. A 2x2 grid on one environment; the returns are noise that rises along training.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from rlbench.config import resolve
from rlbench.runner.experiments import recorded
from rlbench.store import Finished, RowDigest, Store, run_digest
from rlbench.store.schema import split_rows
from tests.benchmarks.growth import words

BUDGET, RUNS_A_COMMIT = 50_000, 100
PAIRS = [["soft_mse", "hard_mse"], ["soft_huber", "hard_huber"]]
Shapes = Mapping[str, tuple[int, int]]  # table -> points, rows a point
# By rows a run: 420 are those of a usual run, 20 the least with something in every table.
SHAPES: Mapping[int, Shapes] = {
    420: {"evaluations": (20, 10), "episodes": (200, 1), "diagnostics": (20, 1)},
    20: {"evaluations": (5, 2), "episodes": (5, 1), "diagnostics": (5, 1)},
}


def write_store(path: Path, num_runs: int, shapes: Shapes) -> None:
    """A store of so many finished runs, a quarter of them of each variant."""
    request = resolve(words(path, num_runs))
    definition = {**request.definition, "comparisons": [{"family": "target", "pairs": PAIRS}]}
    with mock.patch("os.fsync"):  # nobody minds the loss of a synthetic store, and a file a run waits for the disk
        store, rng = Store.open(path), np.random.default_rng(0)
        store.record_experiment(request.name, *recorded(request.planned, definition))
        run_ids = [planned.run_id for planned in request.planned]
        for start in range(0, len(run_ids), RUNS_A_COMMIT):
            own = run_ids[start : start + RUNS_A_COMMIT]
            rows = {table: _rows_of(own, table, shape, rng) for table, shape in shapes.items()}
            with store.program(own) as program:
                program.commit(rows, None, _ends(own, rows, rng), "bench", "bench")


def _rows_of(run_ids: Sequence[str], table: str, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, Any]:
    """Rows of one table for these runs: returns that rise to between 200 and 500, with a level of each run's own."""
    points, repeats = shape
    a_run, size = points * repeats, len(run_ids) * points * repeats
    steps = np.tile(np.repeat(np.arange(1, points + 1) * (BUDGET // points), repeats), len(run_ids))
    ids = np.repeat(np.array(run_ids, dtype=object), a_run)
    if table == "diagnostics":
        noise = {name: np.abs(rng.normal(1.0, 0.1, size)) for name in ("loss", "q_mean", "q_max", "grad_norm")}
        rest = {"epsilon": np.full(size, 0.1), "target_distance": np.zeros(size)}
        return {"run_id": ids, "env_steps": steps, "updates": steps // 2, **noise, **rest}
    level = np.repeat(rng.uniform(0.5, 1.0, len(run_ids)), a_run)
    returns = np.clip(np.round(500.0 * level * steps / BUDGET + rng.normal(0.0, 20.0, size)), 8.0, 500.0)
    numbers = np.arange(repeats) if table == "evaluations" else np.arange(points)
    columns = {"run_id": ids, "env_steps": steps, "episode": np.tile(numbers, size // len(numbers))}
    columns |= {"episode_return": returns, "length": returns.astype(np.int64)}
    return columns if table == "evaluations" else {**columns, "terminated": np.ones(size, dtype=bool)}


def _ends(run_ids: Sequence[str], rows: Mapping[str, Any], rng: np.random.Generator) -> list[Finished]:
    """The ends of these runs, with the digests that their rows and weights have."""
    own = {table: split_rows(table, columns) for table, columns in rows.items()}
    found = []
    for run_id in run_ids:
        digest = RowDigest()
        for table, by_run in own.items():
            digest.advance(table, by_run[run_id])
        end = {"status": "done", "env_steps": BUDGET, "updates": BUDGET - 1000, "episodes": 200}
        weights = _weights(rng)
        found.append(Finished(run_id, **end, wall_s=9.0, digest=run_digest(digest, weights, end), weights=weights))
    return found


def _weights(rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Those of 4 -> 64 -> 64 -> 2."""
    shapes = {"0.weight": (64, 4), "0.bias": (64,), "2.weight": (64, 64), "2.bias": (64,), "4.weight": (2, 64)}
    return {
        name: torch.from_numpy(rng.standard_normal(shape, np.float32))
        for name, shape in (shapes | {"4.bias": (2,)}).items()
    }
