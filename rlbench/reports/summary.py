"""The numbers of an experiment's report: one value per run first, then aggregates and intervals over runs.

In: `Results` (the tables `runs` and `evaluations`) and an experiment's name. Out: a `Summary` of plain values, from
which the page, the tables, the figures and the terminal take every number. Never: averages raw episodes over runs,
drops a run without counting it, or draws anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlbench.errors import StoreError
from rlbench.reports.labels import distinct_labels
from rlbench.stats import MIN_RUNS_FOR_BOOTSTRAP, Band, Interval, iqm, pointwise_band, run_interval

if TYPE_CHECKING:
    from rlbench.store import Results

STATUSES = ("done", "diverged", "failed", "running", "pending")
# Every metric is one number a run, a column of the `runs` table.
METRICS = ("final_return", "auc", "train_return_last100")
DEFAULT_FINAL_WINDOW = 5


@dataclass(frozen=True)
class Metric:
    """One metric of one cell over its done runs that have it; None everywhere where there is no such run."""

    n: int
    iqm: float | None
    mean: float | None
    interval: Interval | None


@dataclass(frozen=True)
class RunCurve:
    """One run's learning curve: env_steps [points] int64 and returns [points], the mean of each point's episodes."""

    run_id: str
    seed: int
    status: str
    env_steps: NDArray[np.int64]
    returns: NDArray[np.float64]
    final_return: float  # NaN where the run has none


@dataclass(frozen=True)
class CellCurve:
    """The learning curve of a cell's done runs on their common grid env_steps [points]."""

    env_steps: NDArray[np.int64]
    band: Band
    num_carried: int  # runs that ended before the last grid step, their last value carried forward


@dataclass(frozen=True)
class Cell:
    """One variant on one environment."""

    variant: str
    env: str
    counts: Mapping[str, int]  # status -> runs
    missing: int  # seeds that the experiment declares and the store has no run for
    metrics: Mapping[str, Metric]
    runs: tuple[RunCurve, ...]
    curve: CellCurve | None

    @property
    def planned(self) -> int:
        """All its runs, whatever became of them, and the missing ones."""
        return sum(self.counts.values()) + self.missing

    @property
    def done(self) -> int:
        """Runs that ended as they should: those that are averaged."""
        return self.counts["done"]

    @property
    def is_small(self) -> bool:
        """Whether its done runs are too few for the bootstrap: the red badge."""
        return self.done < MIN_RUNS_FOR_BOOTSTRAP


@dataclass(frozen=True)
class Summary:
    """An experiment's numbers; `cells` are ordered by environment, then by variant, as the experiment declares them."""

    experiment: str
    question: str
    definition: Mapping[str, Any]
    final_window: int
    variants: tuple[str, ...]
    envs: tuple[str, ...]
    cells: tuple[Cell, ...]
    runs: pd.DataFrame  # the experiment's rows of the `runs` table
    evaluation_episodes: tuple[int, ...]  # distinct numbers of episodes behind one point of a run's curve

    def cells_of(self, env: str) -> tuple[Cell, ...]:
        """The cells on one environment, in the order of the variants."""
        return tuple(cell for cell in self.cells if cell.env == env)

    def count(self, status: str) -> int:
        """Runs of this status over all cells."""
        return sum(cell.counts[status] for cell in self.cells)

    @property
    def missing(self) -> int:
        """Declared seeds without a run, over all cells."""
        return sum(cell.missing for cell in self.cells)

    @property
    def planned(self) -> int:
        """All runs of all cells, missing ones included."""
        return sum(cell.planned for cell in self.cells)


def summarise(results: Results, experiment: str) -> Summary:
    """Compute an experiment's numbers; raises StoreError for an experiment that the store does not hold."""
    selected = results.experiment(experiment)
    definition = results.experiments[experiment]
    runs = selected.runs.reset_index(drop=True)
    runs["variant"] = distinct_labels(runs, results.store.specs(runs["run_id"]))
    points = _run_points(selected.evaluations)
    present = list(dict.fromkeys(zip(runs["variant"], runs["env"], strict=True)))
    # A pair whose runs had to be told apart is present under longer names only: it is not without runs.
    told_apart = set(zip(selected.runs["variant"], selected.runs["env"], strict=True)) - set(present)
    declared = [(str(cell["variant"]), str(cell["env"])) for cell in definition.get("cells", [])]
    declared = [pair for pair in declared if pair not in told_apart]
    pairs = list(dict.fromkeys([*declared, *present]))
    variants = tuple(dict.fromkeys(variant for variant, _ in pairs))
    envs = tuple(dict.fromkeys(env for _, env in pairs))
    num_seeds = {pair: len(definition.get("seeds", [])) for pair in declared}
    by_pair = dict(iter(runs.groupby(["variant", "env"], sort=False)))
    cells = tuple(
        _summarise_cell(
            variant, env, by_pair.get((variant, env), runs.iloc[:0]), num_seeds.get((variant, env), 0), points
        )
        for env in envs
        for variant in variants
        if (variant, env) in pairs
    )
    counted = selected.evaluations.groupby(["run_id", "env_steps"]).size().unique()
    return Summary(
        experiment=experiment,
        question=str(definition.get("question") or ""),
        definition=definition,
        final_window=int(definition.get("final_window") or DEFAULT_FINAL_WINDOW),
        variants=variants,
        envs=envs,
        cells=cells,
        runs=runs,
        evaluation_episodes=tuple(sorted(int(count) for count in counted)),
    )


def _run_points(evaluations: pd.DataFrame) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """run_id -> env_steps, ascending, and the mean episode return at each: the one value per run and grid step."""
    means = evaluations.groupby(["run_id", "env_steps"], sort=True, as_index=False)["episode_return"].mean()
    run_ids, starts = np.unique(means["run_id"].to_numpy(str), return_index=True)
    env_steps = np.split(means["env_steps"].to_numpy(np.int64), starts[1:])
    returns = np.split(means["episode_return"].to_numpy(np.float64), starts[1:])
    pairs = zip(env_steps, returns, strict=True)
    return {str(run_id): pair for run_id, pair in zip(run_ids, pairs, strict=False)}


def _summarise_cell(
    variant: str,
    env: str,
    runs: pd.DataFrame,
    num_seeds: int,
    points: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> Cell:
    counts = {status: int((runs["status"] == status).sum()) for status in STATUSES}
    unknown = len(runs) - sum(counts.values())
    if unknown:
        found = sorted(set(runs["status"]) - set(STATUSES))
        raise StoreError(
            f"{unknown} run(s) of {variant} on {env} have a status that this rlbench does not know: {found}"
        )
    done = runs[runs["status"] == "done"]
    curves = tuple(_run_curve(row, points.get(str(row.run_id))) for row in runs.itertuples())
    return Cell(
        variant=variant,
        env=env,
        counts=counts,
        missing=max(0, num_seeds - len(runs)),
        metrics={name: _summarise_metric(done[name]) for name in METRICS},
        runs=curves,
        curve=_cell_curve([curve for curve in curves if curve.status == "done" and len(curve.env_steps)]),
    )


def _summarise_metric(column: pd.Series) -> Metric:
    values = column.dropna().to_numpy(np.float64)
    if not len(values):
        return Metric(0, None, None, None)
    return Metric(len(values), iqm(values), float(values.mean()), run_interval(values))


def _run_curve(row: Any, points: tuple[NDArray[np.int64], NDArray[np.float64]] | None) -> RunCurve:
    env_steps, returns = points or (np.empty(0, np.int64), np.empty(0))
    final = float("nan") if pd.isna(row.final_return) else float(row.final_return)
    return RunCurve(str(row.run_id), int(row.seed), str(row.status), env_steps, returns, final)


def _cell_curve(curves: list[RunCurve]) -> CellCurve | None:
    """All done runs on the union of their grids; a shorter run keeps its last value, as its policy no longer changes.

    The grid starts where every run has a value. Averaging only the runs still there would favour whoever lives longest.
    """
    if not curves:
        return None
    grid = np.unique(np.concatenate([curve.env_steps for curve in curves]))
    grid = grid[grid >= max(curve.env_steps[0] for curve in curves)]
    # The last value at or before each grid step: no interpolation, which would look into the future.
    values = np.stack([c.returns[np.searchsorted(c.env_steps, grid, side="right") - 1] for c in curves])
    num_carried = sum(int(curve.env_steps[-1] < grid[-1]) for curve in curves)
    return CellCurve(grid, pointwise_band(values), num_carried)
