"""Who is judged on fresh seeds, which runs that takes, and what they reached.

In: the trials of a study; later the runs of the confirmation. Out: cells with the scores of tuning, runs of which each stands once, and one
value a seed for every cell.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlbench.config import PlannedCell, PlannedRun
from rlbench.config.composing import Composer
from rlbench.config.plan import runs_of_cell
from rlbench.envs.scores import normalisation
from rlbench.errors import ConfigError
from rlbench.tuning.confirmation import score
from rlbench.tuning.ledger import CURVES, TWIN
from rlbench.tuning.optuna_names import FrozenTrial, TrialState
from rlbench.tuning.study import Study

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Finalists:
    """What of one study is trained on fresh seeds: the untuned default first, then the best trials, best first.

    tuning_scores: by label, the statistic of the fresh score over the tuning seeds. values: what the study maximised.
    """

    study: Study
    cells: list[PlannedCell]
    tuning_scores: dict[str, float]
    values: dict[str, float]
    numbers: dict[str, int]


@dataclass(frozen=True)
class FreshRuns:
    """The runs of the confirmation, each once, and for each label its run ids by seed: two labels may have the same."""

    planned: tuple[PlannedRun, ...]
    run_ids: dict[str, list[str]]


@dataclass(frozen=True)
class FreshValues:
    """By label, one value a fresh seed (NaN where there is none), and how many of its runs diverged or failed."""

    values: dict[str, list[float]]
    lost: dict[str, int]


def finalists_of(study: Study, trials: Sequence[FrozenTrial], top: int, composer: Composer) -> Finalists:
    """The default and the best `top` completed trials; of trials with the same runs, and of the default's, only one."""
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE and TWIN not in trial.user_attrs]
    done.sort(key=lambda trial: (-trial.values[0], trial.number))
    found = Finalists(study, [study.base], {}, {}, {})
    for trial in done:
        cell = study.cell(trial.params, f"{study.variant} trial {trial.number}", composer)
        if cell.variant != study.base.variant and len(found.cells) <= top:
            found.cells.append(cell)
            found.values[cell.label], found.numbers[cell.label] = float(trial.values[0]), trial.number
            found.tuning_scores[cell.label] = tuning_score(study, trial)
    return found


def tuning_score(study: Study, trial: FrozenTrial) -> float:
    """What a fresh score of this trial is compared to: a lower bound would make every gap too small, so it is the mean instead."""
    if study.objective.statistic != "lower_bound":
        return float(trial.values[0])
    return score([study.objective.of_seed(curve) for curve in trial.user_attrs[CURVES]], "mean")


def fresh_runs(cells: Sequence[PlannedCell], seeds: Sequence[int]) -> FreshRuns:
    """The runs of these cells on these seeds; one that two cells share has the label of the first."""
    planned: dict[str, PlannedRun] = {}
    run_ids: dict[str, list[str]] = {}
    for cell in cells:
        runs = runs_of_cell(cell, seeds)
        run_ids[cell.label] = [one.run_id for one in runs]
        for one in runs:
            planned.setdefault(one.run_id, dataclasses.replace(one, position=len(planned)))
    return FreshRuns(tuple(planned.values()), run_ids)


def fresh_values(finalists: Sequence[Finalists], planned: FreshRuns, runs: "pd.DataFrame") -> FreshValues:
    """The objective's metric of each planned run. A diverged one counts as random play where the table has its environment."""
    rows = runs.set_index("run_id")
    found = FreshValues({}, {})
    for own in finalists:
        metric = own.study.objective.metric
        for cell in own.cells:
            run_ids = planned.run_ids[cell.label]
            statuses = [str(rows["status"].get(run_id, "missing")) for run_id in run_ids]
            of_status = {"diverged": _random_play(cell.env.id)}
            found.values[cell.label] = [
                float(rows.at[run_id, metric]) if status == "done" else of_status.get(status, math.nan)
                for run_id, status in zip(run_ids, statuses, strict=True)
            ]
            found.lost[cell.label] = sum(status != "done" for status in statuses)
    return found


def _random_play(env: str) -> float:
    try:
        return normalisation(env).random
    except ConfigError:
        return math.nan
