"""Studies without training: trials as values, told by a function of their parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from rlbench.tuning.asking import Proposal, propose
from rlbench.tuning.space import Parameter, Space
from rlbench.tuning.study_file import SamplerSettings

LINE: Space = (Parameter("x", "float", 0.0, 1.0), Parameter("y", "float", 0.0, 1.0))
BRANCHED: Space = (
    Parameter("kind", "choices", choices=("a", "b")),
    Parameter("x", "log", 1e-4, 1.0),
    Parameter("n", "int", 1, 9),
    Parameter("z", "float", 0.0, 1.0, when=(("kind", ("b",)),)),
)
GRID: Space = (Parameter("kind", "choices", choices=("a", "b", "c")), Parameter("n", "int", 1, 4))


def frozen(
    number: int,
    proposal: Proposal,
    state: TrialState = TrialState.RUNNING,
    value: float | None = None,
    reported: Mapping[int, float] | None = None,
) -> FrozenTrial:
    """A trial as a value."""
    import datetime

    return FrozenTrial(
        number=number,
        state=state,
        value=value,
        datetime_start=datetime.datetime(2025, 1, 1),
        datetime_complete=datetime.datetime(2025, 1, 2) if state.is_finished() else None,
        params=dict(proposal.params),
        distributions=dict(proposal.distributions),
        user_attrs={},
        system_attrs=dict(proposal.system_attrs),
        intermediate_values=dict(reported or {}),
        trial_id=number,
    )


def tune(
    score: Callable[[Mapping[str, Any]], float],
    num_trials: int,
    space: Space = LINE,
    sampler: SamplerSettings | None = None,
    *,
    seed: int = 0,
    batch: int = 1,
) -> list[FrozenTrial]:
    """A whole study, in batches, told the score of each trial's parameters."""
    trials: list[FrozenTrial] = []
    while len(trials) < num_trials:
        for _ in range(min(batch, num_trials - len(trials))):
            made = propose(trials, space, sampler or SamplerSettings("random"), study_seed=seed, name="toy")
            trials.append(frozen(len(trials), made))
        for index, trial in enumerate(trials):
            if trial.state == TrialState.RUNNING:
                made = Proposal(trial.params, trial.distributions, trial.system_attrs)
                trials[index] = frozen(index, made, TrialState.COMPLETE, score(trial.params))
    return trials


def best_of(trials: Sequence[FrozenTrial], top: int) -> list[FrozenTrial]:
    """The best trials, the earlier one first where two are equal."""
    return sorted(trials, key=lambda trial: (-trial.values[0], trial.number))[:top]


def noisy(rng: np.random.Generator, truth: float, num_seeds: int, sd: float = 1.0) -> list[float]:
    """What seeds of a configuration give."""
    return [float(value) for value in truth + sd * rng.standard_normal(num_seeds)]
