"""Which parameters mattered: importance by PED-ANOVA and fANOVA, with repeats.

In: the trials of a study. Out: for each evaluator and parameter the mean share and its spread over repeats, each on trials drawn with
replacement: one number alone hides how much of it is chance. Of completed trials only, of equal ones only the first; fANOVA
leaves out conditional parameters.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlbench.tuning.ledger import TWIN
from rlbench.tuning.optuna_names import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    FrozenTrial,
    InMemoryStorage,
    PedAnovaImportanceEvaluator,
    TrialState,
    create_study,
    create_trial,
)

REPEATS = 10
LEAST_TRIALS = 10


@dataclass(frozen=True)
class Importance:
    """One parameter's share of the total by one evaluator: mean and standard deviation over repeats."""

    evaluator: str
    parameter: str
    mean: float
    sd: float
    repeats: int


def importances(trials: Sequence[FrozenTrial], repeats: int = REPEATS) -> list[Importance]:
    """Both evaluators' shares, by evaluator and falling share; none below `LEAST_TRIALS` completed trials."""
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE and TWIN not in trial.user_attrs]
    if len(done) < LEAST_TRIALS:
        return []
    found: list[Importance] = []
    for name in ("PED-ANOVA", "fANOVA"):
        shares: dict[str, list[float]] = {}
        for repeat in range(repeats):
            drawn = np.random.default_rng(repeat).integers(0, len(done), len(done))
            for parameter, share in _shares([done[index] for index in drawn], _evaluator(name, repeat)).items():
                shares.setdefault(parameter, []).append(share)
        rows = [
            Importance(
                name, parameter, float(np.mean(own)), float(np.std(own, ddof=1)) if len(own) > 1 else math.nan, len(own)
            )
            for parameter, own in shares.items()
        ]
        found += sorted(rows, key=lambda row: (-row.mean, row.parameter))
    return found


def _evaluator(name: str, seed: int) -> BaseImportanceEvaluator:
    return PedAnovaImportanceEvaluator() if name == "PED-ANOVA" else FanovaImportanceEvaluator(seed=seed)


def _shares(trials: Sequence[FrozenTrial], evaluator: BaseImportanceEvaluator) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = create_study(storage=InMemoryStorage(), direction="maximize")
        study.add_trials([create_trial(value=t.value, params=t.params, distributions=t.distributions) for t in trials])
        try:
            found = evaluator.evaluate(study)
        except (ValueError, RuntimeError):  # a draw in which nothing varies
            return {}
    total = sum(found.values())
    return {name: value / total for name, value in found.items()} if total > 0 and math.isfinite(total) else {}
