"""An experiment as cells of runs: one value per run first, then the metrics of each cell over its runs.

In: `Results`, or anything with its tables, and an experiment's name. Out: a `Summary` of plain values, from which the
terminal's table and all further analysis start. Never: averages raw episodes over runs, drops a run without counting it,
or draws anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlbench.deciding.plan_state import PlanState
from rlbench.envs.scores import normalisation
from rlbench.errors import ConfigError, StoreError
from rlbench.reports.labels import distinct_labels
from rlbench.reports.study import read_study
from rlbench.stats import MIN_RUNS_FOR_BOOTSTRAP, Band, Interval, align_previous, iqm, run_interval, simultaneous_band

if TYPE_CHECKING:
    from rlbench.store import Results

STATUSES = ("done", "diverged", "failed", "running", "pending")
# Every metric is one number a run, a column of the `runs` table.
METRICS = ("final_return", "auc", "train_return_last100")
DEFAULT_FINAL_WINDOW = 5
TUNING = "tune"  # the namespace of seeds that configurations were chosen on
MIN_RUNS_FOR_BAND = 3
# Below, few runs are left between the cuts of an IQM, and its band over a whole curve leaves the range of possible returns.
MIN_RUNS_FOR_IQM_BAND = 20
# 1 000 draws place the band's quantile to about 2 % of its width.
_BAND_RESAMPLES = 1_000


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

    @property
    def has_score(self) -> bool:
        """Whether its final return counts: the run is done and has one."""
        return self.status == "done" and bool(np.isfinite(self.final_return))


@dataclass(frozen=True)
class CellCurve:
    """The learning curve of a cell's done runs on their common grid env_steps [points]."""

    env_steps: NDArray[np.int64]
    seeds: tuple[int, ...]
    values: NDArray[np.float64]  # [runs, points]
    band: Band  # simultaneous over the grid; without ends below 3 runs
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
    is_continued: bool = True  # whether the policy of a run that ended early is known to stay as it was

    @cached_property
    def curve(self) -> CellCurve | None:
        """The learning curve over done runs; None without any. Computed when it is first asked for."""
        runs = [run for run in self.runs if run.status == "done" and len(run.env_steps)]
        return _cell_curve(runs, is_continued=self.is_continued)

    @cached_property
    def scores(self) -> dict[int, float]:
        """Seed -> the number that comparisons take: the final return of a done run, that of random play of a diverged one.

        Leaving out diverged runs would favour the variant that diverges. Where random play has no fixed return
        they are left out all the same, and `num_unscored` counts them.
        """
        random = _random_return(self.env)
        scores = {run.seed: run.final_return for run in self.runs if run.has_score}
        diverged = {run.seed: random for run in self.runs if run.status == "diverged" and random is not None}
        return {
            run.seed: {**scores, **diverged}[run.seed]
            for run in self.runs
            if run.seed in scores.keys() | diverged.keys()
        }

    @property
    def num_unscored(self) -> int:
        """Diverged runs for which no number stands, since random play on this environment has none."""
        return 0 if _random_return(self.env) is not None else self.counts["diverged"]

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
    episodes: pd.DataFrame
    diagnostics: pd.DataFrame
    evaluations: pd.DataFrame
    specs: Mapping[str, Mapping[str, Any]]
    evaluation_episodes: tuple[int, ...]  # distinct numbers of episodes behind one point of a run's curve
    study: Mapping[str, Any] | None = None  # the record of the study that it confirms
    plan: PlanState | None = None  # the sequential plan that added its seeds
    films: Path | None = None  # where films of its runs lie, if there are any

    def cells_of(self, env: str) -> tuple[Cell, ...]:
        """The cells on one environment, in the order of the variants."""
        return tuple(cell for cell in self.cells if cell.env == env)

    def cell(self, variant: str, env: str) -> Cell | None:
        """The cell of this variant and environment, if there is one."""
        return next((cell for cell in self.cells if (cell.variant, cell.env) == (variant, env)), None)

    def episodes_of(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """Training episodes of these runs."""
        return _rows_of(self.episodes, run_ids)

    def evaluations_of(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """Evaluation episodes of these runs."""
        return _rows_of(self.evaluations, run_ids)

    def diagnostics_of(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """Diagnostics of these runs."""
        return _rows_of(self.diagnostics, run_ids)

    def declared(self, key: str, env: str) -> float | None:
        """What the experiment declares of a return on an environment (smallest_effect, threshold), or None."""
        given = self.definition.get(key) or {}
        value = given.get(env, given.get("")) if isinstance(given, Mapping) else given
        return None if value is None else float(value)

    def count(self, status: str) -> int:
        """Runs of this status over all cells."""
        return sum(cell.counts[status] for cell in self.cells)

    @property
    def is_foreign(self) -> bool:
        """Whether these are other people's results, of which only what their files say is known."""
        return "source" in self.definition

    @property
    def kind_of_return(self) -> str:
        """What the returns of the curves are: of greedy evaluation or of training."""
        return "training return" if self.definition.get("returns") == "training" else "greedy return"

    @property
    def missing(self) -> int:
        """Declared seeds without a run, over all cells."""
        return sum(cell.missing for cell in self.cells)

    @property
    def planned(self) -> int:
        """All runs of all cells, missing ones included."""
        return sum(cell.planned for cell in self.cells)


def summarise(results: Results, experiment: str) -> Summary:
    """Compute an experiment's numbers.

    Raises StoreError for an experiment that the store does not hold, and ConfigError for one whose seeds were tuned on.
    """
    selected = results.experiment(experiment)
    definition = results.experiments[experiment]
    runs = selected.runs.reset_index(drop=True)
    if (runs["namespace"] == TUNING).any():
        confirmed = (
            f"; the report on fresh seeds is experiment={definition['tuning_of']}" if "tuning_of" in definition else ""
        )
        raise ConfigError(
            f"experiment '{experiment}' holds runs on tuning seeds, which choose and cannot report{confirmed}"
        )
    specs = results.specs(list(runs["run_id"]))
    runs["variant"] = distinct_labels(runs, specs)
    points = _run_points(selected.evaluations)
    present = list(dict.fromkeys(zip(runs["variant"], runs["env"], strict=True)))
    # A pair whose runs had to be told apart is present under longer names only: it is not without runs.
    told_apart = set(zip(selected.runs["variant"], selected.runs["env"], strict=True)) - set(present)
    declared = [(str(cell["variant"]), str(cell["env"])) for cell in definition.get("cells", [])]
    declared = [pair for pair in declared if pair not in told_apart]
    pairs = list(dict.fromkeys([*declared, *present]))
    variants = tuple(dict.fromkeys(variant for variant, _ in pairs))
    envs = tuple(dict.fromkeys(env for _, env in pairs))
    seeds = {
        (str(cell["variant"]), str(cell["env"])): {int(seed) for seed in cell.get("seeds", definition.get("seeds", []))}
        for cell in definition.get("cells", [])
    }
    by_pair = dict(iter(runs.groupby(["variant", "env"], sort=False)))
    cells = tuple(
        _summarise_cell(
            variant,
            env,
            by_pair.get((variant, env), runs.iloc[:0]),
            seeds[variant, env] if (variant, env) in declared else set(),
            points,
            is_continued="source" not in definition,
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
        episodes=_by_run(selected.episodes, ["episode"]),
        diagnostics=_by_run(selected.diagnostics, ["env_steps"]),
        evaluations=_by_run(selected.evaluations, ["env_steps", "episode"]),
        specs=specs,
        evaluation_episodes=tuple(sorted(int(count) for count in counted)),
        study=None if "source" in definition else read_study(results.path, experiment),
        plan=_plan_of(results, experiment),
        films=None if "source" in definition else results.path / "play",
    )


def _plan_of(results: Results, experiment: str) -> PlanState | None:
    stored = results.plan(experiment)
    return None if stored is None else PlanState.from_dict(stored)


def _by_run(frame: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """The frame sorted by run_id with that as an array of texts, so that a run's rows are found by bisection."""
    keyed = frame.assign(run_id=frame["run_id"].astype(str).to_numpy(object))
    return keyed if keyed["run_id"].is_monotonic_increasing else keyed.sort_values(["run_id", *order], kind="stable")


def _rows_of(frame: pd.DataFrame, run_ids: Sequence[str]) -> pd.DataFrame:
    """The rows of these runs; the frame is sorted by run_id, as a store gives it."""
    ids = frame["run_id"].to_numpy()
    starts, ends = np.searchsorted(ids, run_ids, "left"), np.searchsorted(ids, run_ids, "right")
    places = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
    return frame.iloc[np.concatenate([np.empty(0, np.int64), *places])]


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
    seeds: set[int],
    points: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]],
    *,
    is_continued: bool,
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
        missing=len(seeds - set(runs["seed"])),
        metrics={name: _summarise_metric(done[name]) for name in METRICS},
        runs=curves,
        is_continued=is_continued,
    )


def _random_return(env: str) -> float | None:
    """The mean return of random actions by the fixed table, or None where it has no such environment."""
    try:
        return normalisation(env).random
    except ConfigError:
        return None


def _summarise_metric(column: pd.Series) -> Metric:
    values = column.dropna().to_numpy(np.float64)
    if not len(values):
        return Metric(0, None, None, None)
    return Metric(len(values), iqm(values), float(values.mean()), run_interval(values))


def _run_curve(row: Any, points: tuple[NDArray[np.int64], NDArray[np.float64]] | None) -> RunCurve:
    env_steps, returns = points or (np.empty(0, np.int64), np.empty(0))
    final = float("nan") if pd.isna(row.final_return) else float(row.final_return)
    return RunCurve(str(row.run_id), int(row.seed), str(row.status), env_steps, returns, final)


def _cell_curve(curves: list[RunCurve], *, is_continued: bool) -> CellCurve | None:
    """All done runs on the union of their grids; a shorter run keeps its last value, as its policy no longer changes.

    The grid starts where every run has a value. Averaging only the runs still there would favour whoever lives longest, so
    where a shorter run is not known to stay as it was the grid ends with the shortest.
    """
    if not curves:
        return None
    grid = np.unique(np.concatenate([curve.env_steps for curve in curves]))
    grid = grid[grid >= max(curve.env_steps[0] for curve in curves)]
    if not is_continued:
        grid = grid[grid <= min(curve.env_steps[-1] for curve in curves)]
    if not len(grid):
        return None
    # The last value at or before each grid step: no interpolation, which would look into the future.
    values = np.stack([align_previous(curve.env_steps, curve.returns, grid) for curve in curves])
    num_carried = sum(int(curve.env_steps[-1] < grid[-1]) for curve in curves)
    return CellCurve(grid, tuple(curve.seed for curve in curves), values, curve_band(values), num_carried)


def curve_band(values: NDArray[np.float64]) -> Band:
    """A line over values [runs, points] with a band that holds over the whole grid: of the IQM from 20 runs up, else the mean.

    With fewer runs few are left between the cuts, and the band of the IQM is several times as wide. Below 3 there is none.
    """
    if len(values) >= MIN_RUNS_FOR_BAND:
        statistic = "iqm" if len(values) >= MIN_RUNS_FOR_IQM_BAND else "mean"
        return simultaneous_band(values, statistic=statistic, resamples=_BAND_RESAMPLES)
    nothing = np.full(values.shape[1], np.nan)
    return Band(values.mean(axis=0), nothing, nothing, "mean", "none (under 3 runs)", len(values), 0.95)
