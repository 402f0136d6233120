"""rlbench as the objective of one's own Optuna study: a trial is the mean final return of one variant over seeds.

python own_study.py                                                                        (in this folder)
"""

from typing import Any

import optuna
from own_loss import LogCosh

import rlbench
from rlbench.lanes.choices.optimizers import Adam


def objective(trial: optuna.Trial, **settings: Any) -> float:
    """Train this trial's variant and return what is maximised. `settings` go to `rlbench.run`."""
    variant = rlbench.Variant(
        loss=LogCosh(scale=trial.suggest_float("loss.scale", 0.1, 10.0, log=True)),
        optimizer=Adam(lr=trial.suggest_float("optimizer.lr", 1e-4, 1e-2, log=True)),
        double=trial.suggest_categorical("double", [False, True]),
    )
    settings = {"seeds": 8, "steps": 20_000, "report": False} | settings
    results = rlbench.run(variant, name="own_study", label=f"trial {trial.number}", **settings)
    return float(results.runs["final_return"].mean())


if __name__ == "__main__":
    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=20)
    print(study.best_params, study.best_value)
