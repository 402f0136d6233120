"""An experiment as cells of runs: one value per run first, then the metrics of each cell over its runs.

In: `Results`, or anything with its tables, and an experiment's name. Out: a `Summary` of plain values, from which the
terminal's table and all further analysis start. Never: averages raw episodes over runs, drops a run without counting it,
or draws anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rlbench.deciding.plan_state import PlanState
from rlbench.envs.scores import possible_returns
from rlbench.errors import ConfigError
from rlbench.metrics import MEASURES, final_window
from rlbench.reports.cells import Cell, Points, summarise_cell
from rlbench.reports.rows import RowsByRun
from rlbench.reports.study import read_study
from rlbench.stats import Range

if TYPE_CHECKING:
    from rlbench.store import Results

TUNING = "tune"  # the namespace of seeds that configurations were chosen on


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
    episodes: RowsByRun
    diagnostics: RowsByRun
    evaluations: RowsByRun
    specs: Mapping[str, Mapping[str, Any]]
    evaluation_episodes: tuple[int, ...]  # distinct numbers of episodes behind one point of a run's curve
    study: Mapping[str, Any] | None = None  # the record of the study that it confirms
    plan: PlanState | None = None  # the sequential plan that added its seeds
    films: Path | None = None  # where films of its runs lie, if there are any
    folder: str = "results"  # the name of the results, as a command calls them

    def cells_of(self, env: str) -> tuple[Cell, ...]:
        """The cells on one environment, in the order of the variants."""
        return tuple(cell for cell in self.cells if cell.env == env)

    def heading_of(self, env: str) -> str:
        """An environment above its rows of a table; nothing where there is no other."""
        return env if len(self.envs) > 1 else ""

    def cell(self, variant: str, env: str) -> Cell | None:
        """The cell of this variant and environment, if there is one."""
        return next((cell for cell in self.cells if (cell.variant, cell.env) == (variant, env)), None)

    def episodes_of(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """Training episodes of these runs."""
        return self.episodes.of(run_ids)

    def evaluations_of(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """Evaluation episodes of these runs."""
        return self.evaluations.of(run_ids)

    def diagnostics_of(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """Diagnostics of these runs."""
        return self.diagnostics.of(run_ids)

    def possible(self, env: str) -> Range | None:
        """The returns that there can be on an environment, where that is known."""
        return next((cell.possible for cell in self.cells if cell.env == env), None)

    def reach(self, env: str) -> float | None:
        """How far apart two returns on an environment can be, where that is known."""
        possible = self.possible(env)
        return None if possible is None else possible[1] - possible[0]

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


def seconds_a_run(summary: Summary, by: tuple[str, ...]) -> dict[tuple[str, ...], float]:
    """Training seconds of one done run, by these columns of the runs: those of one stored time were lanes of one program, and share it."""
    done = summary.runs[summary.runs["status"] == "done"]
    found = {}
    for values, rows in done.groupby(list(by), sort=False):
        seconds = rows["wall_s"].dropna()
        if len(seconds):
            found[tuple(map(str, values))] = float(seconds.unique().sum()) / len(seconds)
    return found


def summarise(results: Results, experiment: str) -> Summary:
    """Compute an experiment's numbers.

    Raises StoreError for an experiment that the store does not hold, and ConfigError for one whose seeds were tuned on.
    """
    selected = results.experiment(experiment)
    definition = results.experiments[experiment]
    runs = selected.runs.reset_index(drop=True)
    _check_seeds(experiment, runs, definition)
    specs = results.specs(list(runs["run_id"]))
    points, evaluation_episodes = _run_points(selected.evaluations)
    _fail_without_numbers(runs, points)
    seeds = _declared_seeds(definition, runs, getattr(selected, "recorded_names", {}))
    envs = tuple(dict.fromkeys(env for _, env in seeds))
    possible = {env: _possible(env, runs[runs["env"] == env], specs, points) for env in envs}
    is_foreign = "source" in definition
    return Summary(
        experiment=experiment,
        question=str(definition.get("question") or ""),
        definition=definition,
        final_window=final_window(definition),
        variants=tuple(dict.fromkeys(variant for variant, _ in seeds)),
        envs=envs,
        cells=_cells(runs, seeds, points, possible, is_continued=not is_foreign),
        runs=runs,
        episodes=RowsByRun(selected.episodes, ["episode"]),
        diagnostics=RowsByRun(selected.diagnostics, ["env_steps"]),
        evaluations=RowsByRun(selected.evaluations, ["env_steps", "episode"]),
        specs=specs,
        evaluation_episodes=evaluation_episodes,
        study=None if is_foreign else read_study(results.path, experiment),
        plan=_plan_of(results, experiment),
        films=None if is_foreign else results.path / "play",
        folder=_folder(str(results.path) if is_foreign else results.address),
    )


def _check_seeds(experiment: str, runs: pd.DataFrame, definition: Mapping[str, Any]) -> None:
    """Refuse a report on the seeds that configurations were chosen on."""
    if (runs["namespace"] == TUNING).any():
        confirmed = (
            f"; the report on fresh seeds is experiment={definition['tuning_of']}" if "tuning_of" in definition else ""
        )
        raise ConfigError(
            f"experiment '{experiment}' holds runs on tuning seeds, which choose and cannot report{confirmed}"
        )


def _declared_seeds(
    definition: Mapping[str, Any], runs: pd.DataFrame, recorded: Mapping[str, str]
) -> dict[tuple[str, str], set[int]]:
    """(variant, environment) -> the seeds declared for it: of declared cells first, then, without any, of others that have runs.

    recorded: run_id -> the variant's name in the store, of runs that had to be told apart.
    """
    present = dict.fromkeys(zip(runs["variant"], runs["env"], strict=True))
    # A pair whose runs had to be told apart is present under longer names only: it is not without runs.
    told_apart = {(recorded.get(row.run_id, row.variant), row.env) for row in runs.itertuples()} - set(present)
    declared = {
        (str(cell["variant"]), str(cell["env"])): {int(seed) for seed in cell.get("seeds", definition.get("seeds", []))}
        for cell in definition.get("cells", [])
    }
    seeds = {pair: own for pair, own in declared.items() if pair not in told_apart}
    return seeds | {pair: set() for pair in present if pair not in seeds}


def _cells(
    runs: pd.DataFrame,
    seeds: Mapping[tuple[str, str], set[int]],
    points: Mapping[str, Points],
    possible: Mapping[str, Range | None],
    *,
    is_continued: bool,
) -> tuple[Cell, ...]:
    by_pair = dict(iter(runs.groupby(["variant", "env"], sort=False)))
    variants = dict.fromkeys(variant for variant, _ in seeds)
    return tuple(
        summarise_cell(
            variant,
            env,
            by_pair.get((variant, env), runs.iloc[:0]),
            seeds[variant, env],
            points,
            is_continued=is_continued,
            possible=possible[env],
        )
        for env in possible
        for variant in variants
        if (variant, env) in seeds
    )


def _folder(address: str) -> str:
    """The store as a page names it: no folder of this machine, a URL as it is."""
    return Path(address).name if Path(address).is_absolute() else address


def _possible(
    env: str,
    runs: pd.DataFrame,
    specs: Mapping[str, Mapping[str, Any]],
    points: Mapping[str, Points],
) -> Range | None:
    """The returns that there can be on an environment; None where that is not known, or where these runs show otherwise."""
    limits: set[int | None] = {None} if runs.empty else set()
    for run_id in runs["run_id"]:
        limit = (specs[run_id].get("env") or {}).get("max_env_steps")
        limits |= {limit, (specs[run_id].get("evaluation") or {}).get("max_env_steps") or limit}
    ranges = [one for limit in limits if (one := possible_returns(env, limit)) is not None]
    if not ranges:
        return None
    low, high = min(one[0] for one in ranges), max(one[1] for one in ranges)
    # Somebody's rewards may be others than Gymnasium's: what was seen is possible.
    seen = [runs[name].dropna().to_numpy(np.float64) for name in MEASURES]
    seen += [points[run_id][1] for run_id in runs["run_id"] if run_id in points]
    is_inside = all(((low <= values) & (values <= high)).all() for values in seen)
    return (low, high) if is_inside else None


def _plan_of(results: Results, experiment: str) -> PlanState | None:
    stored = results.plan(experiment)
    return None if stored is None else PlanState.from_dict(stored)


def _fail_without_numbers(runs: pd.DataFrame, points: dict[str, Points]) -> None:
    """Count a done run whose returns are not all finite as failed, with the step of the first: it has no score to compare."""
    for row, run_id, status in zip(runs.index, runs["run_id"], runs["status"], strict=True):
        steps, returns = points.get(run_id, (np.zeros(0, np.int64), np.zeros(0)))
        bad = np.flatnonzero(~np.isfinite(returns))
        if status == "done" and bad.size:
            told = f"its evaluation at step {steps[bad[0]]} has a return of {returns[bad[0]]}: a reward was not finite"
            runs.loc[row, ["status", "error"]] = ["failed", told]
            runs.loc[row, ["final_return", "auc", "train_return_last100"]] = np.nan
            del points[run_id]


def _run_points(evaluations: pd.DataFrame) -> tuple[dict[str, Points], tuple[int, ...]]:
    """run_id -> its points: the one value per run and grid step.

    And the distinct numbers of episodes that are averaged.
    """
    codes, known = evaluations["run_id"].factorize()
    by_point = evaluations["episode_return"].groupby([codes, evaluations["env_steps"].to_numpy(np.int64)])
    means, counts = by_point.mean(), by_point.size().unique()
    owners = means.index.get_level_values(0).to_numpy()
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    env_steps = np.split(means.index.get_level_values(1).to_numpy(np.int64), starts[1:])
    returns = np.split(means.to_numpy(np.float64), starts[1:])
    run_ids = [str(known[code]) for code in owners[starts]]
    points = dict(zip(run_ids, zip(env_steps, returns, strict=True), strict=False))
    return points, tuple(sorted(int(count) for count in counts))
