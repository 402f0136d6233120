"""What a sampler proposes and what a pruner decides, as functions of the trials so far.

In: the trials of a study as values, in order. Out: parameters of the next trial; which trials to stop. Both are worked out on a copy of the
study in memory with a sampler or pruner made for this one question and seeded from (study seed, trial number), so an answer depends on
nothing that a killed process takes with it.
"""

import contextlib
import dataclasses
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rlbench.tuning.optuna_names import (
    BaseDistribution,
    BasePruner,
    BaseSampler,
    CategoricalDistribution,
    CmaEsSampler,
    FloatDistribution,
    FrozenTrial,
    GPSampler,
    GridSampler,
    HyperbandPruner,
    InMemoryStorage,
    IntDistribution,
    MedianPruner,
    NopPruner,
    OptunaStudy,
    RandomSampler,
    SuccessiveHalvingPruner,
    TPESampler,
    TrialState,
    WilcoxonPruner,
    create_study,
)
from rlbench.tuning.space import Parameter, Space, Value, grid_values
from rlbench.tuning.study_file import PrunerSettings, SamplerSettings


@dataclasses.dataclass(frozen=True)
class Proposal:
    """Parameters of a trial, in the order of the space, and what the sampler wants to remember with it."""

    params: dict[str, Value]
    distributions: dict[str, BaseDistribution]
    system_attrs: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Decision:
    """Whether to stop a trial here, and what the pruner wants to remember with it."""

    prune: bool
    system_attrs: dict[str, Any]


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """The parameter as Optuna says it."""
    if parameter.choices:
        return CategoricalDistribution(parameter.choices)
    if parameter.is_whole:
        low, high, step = int(parameter.low), int(parameter.high), int(parameter.step or 1)
        return IntDistribution(low, high, log=parameter.is_log, step=step)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.is_log, step=parameter.step)


def sampler_of(settings: SamplerSettings, space: Space, seed: int) -> BaseSampler:
    """A new sampler. TPE is multivariate (grouped where parameters are conditional) and counts running trials as bad (constant liar)."""
    if settings.kind == "random":
        return RandomSampler(seed=seed)
    if settings.kind == "gp":
        # A trial's value is a mean of few noisy runs, so the objective is not deterministic.
        return GPSampler(
            seed=seed, n_startup_trials=settings.startup, deterministic_objective=False, warn_independent_sampling=False
        )
    if settings.kind == "grid":
        return GridSampler(grid_values(space), seed=seed)
    if settings.kind == "cmaes":
        return CmaEsSampler(seed=seed, n_startup_trials=max(1, settings.startup), warn_independent_sampling=False)
    return TPESampler(
        seed=seed,
        n_startup_trials=settings.startup,
        multivariate=True,
        group=any(parameter.when for parameter in space),
        constant_liar=True,
    )


def pruner_of(settings: PrunerSettings, period: int, steps: int | None) -> BasePruner:
    """A new pruner over environment steps (`wilcoxon`: over seeds)."""
    least = int(settings.least) or period
    if settings.kind == "median":
        return MedianPruner(n_startup_trials=settings.startup, n_warmup_steps=int(settings.warmup))
    if settings.kind == "halving":
        return SuccessiveHalvingPruner(min_resource=least, reduction_factor=settings.factor)
    if settings.kind == "hyperband":
        assert steps is not None
        return HyperbandPruner(min_resource=least, max_resource=steps, reduction_factor=settings.factor)
    if settings.kind == "wilcoxon":
        with _quiet():
            return WilcoxonPruner(p_threshold=settings.p)
    return NopPruner()


def seed_of(study_seed: int, name: str, number: int) -> int:
    """The seed of the sampler that proposes trial `number`."""
    return zlib.crc32(f"{study_seed} {name} {number}".encode())


def propose(
    trials: Sequence[FrozenTrial],
    space: Space,
    settings: SamplerSettings,
    *,
    study_seed: int,
    name: str,
    pruner: BasePruner | None = None,
) -> Proposal:
    """The parameters of the trial after these. A sampler that minds them is given the trials of one bracket of Hyperband's `pruner`."""
    # A grid is shuffled once for the whole study, and trial n takes its place n.
    number = 0 if settings.kind == "grid" else len(trials)
    with _quiet():
        sampler = sampler_of(settings, space, seed_of(study_seed, name, number))
        study = _copied(trials, name, sampler=sampler, pruner=pruner)
        if isinstance(pruner, HyperbandPruner):
            pruner._try_initialization(study)  # until its first decision it would take every trial for one of bracket 0
        trial = study.ask()
        params: dict[str, Value] = {}
        for parameter in space:
            if parameter.applies(params):
                params[parameter.key] = trial._suggest(parameter.key, distribution_of(parameter))
        made = study._storage.get_trial(trial._trial_id)
    return Proposal(params, dict(made.distributions), dict(made.system_attrs))


def decide(
    trials: Sequence[FrozenTrial],
    numbers: Sequence[int],
    settings: PrunerSettings,
    *,
    name: str,
    period: int,
    steps: int | None,
    seed_values: Mapping[int, Mapping[int, Sequence[float]]],
) -> dict[int, Decision]:
    """What the pruner says of the running trials `numbers`, which all stand at their last report: their order changes nothing.

    seed_values: trial number -> env_steps -> one value a seed; what `wilcoxon` compares, between trials at the same env_steps.
    """
    asked = [number for number in numbers if trials[number].intermediate_values]
    pruner = pruner_of(settings, period, steps)
    decisions = dict.fromkeys(numbers, Decision(False, {}))
    with _quiet():
        # A rung is a competition of those who have reached it. Each is asked again knowing what all others have written there, until
        # nobody writes anything new: after one time more than there are rungs between two reports.
        if settings.kind in ("none", "median"):  # which write nothing
            study = _copied(trials, name, pruner=pruner)
            return {**decisions, **{number: _asked(study, number) for number in asked}}
        while True:
            before = {number: decisions[number].system_attrs for number in asked}
            for number in asked:
                known = [
                    _remembering(trial, before.get(trial.number, {}) if trial.number != number else {})
                    for trial in trials
                ]
                if settings.kind == "wilcoxon":
                    step = max(trials[number].intermediate_values)
                    known = [_by_seed(trial, seed_values.get(trial.number, {}).get(step, ())) for trial in known]
                decisions[number] = _asked(_copied(known, name, pruner=pruner), number)
            if all(decisions[number].system_attrs == attrs for number, attrs in before.items()):
                return decisions


def _asked(study: OptunaStudy, number: int) -> Decision:
    trial = study._storage.get_trial(number)
    before = dict(trial.system_attrs)
    prune = study.pruner.prune(study, trial)
    after = study._storage.get_trial(number).system_attrs
    return Decision(bool(prune), {key: value for key, value in after.items() if before.get(key) != value})


def _remembering(trial: FrozenTrial, attrs: Mapping[str, Any]) -> FrozenTrial:
    if not attrs:
        return trial
    copied = _copy(trial)
    copied.system_attrs = {**trial.system_attrs, **attrs}
    return copied


def _by_seed(trial: FrozenTrial, values: Sequence[float]) -> FrozenTrial:
    """The trial with one intermediate value for each seed, which is how the Wilcoxon pruner pairs."""
    copied = _copy(trial)
    copied.intermediate_values = dict(enumerate(values))
    if not values and copied.state == TrialState.COMPLETE:
        copied.state = TrialState.FAIL  # it ended before this step, so there is nothing to pair with
        copied.values = None
    return copied


def _copied(
    trials: Sequence[FrozenTrial], name: str, sampler: BaseSampler | None = None, pruner: BasePruner | None = None
) -> OptunaStudy:
    """The study in memory. Its trial ids are the trials' numbers."""
    storage = InMemoryStorage()
    study = create_study(
        study_name=name,
        storage=storage,
        direction="maximize",
        sampler=sampler or RandomSampler(seed=0),
        pruner=pruner or NopPruner(),
    )
    for trial in trials:
        made = storage.create_new_trial(study._study_id, template_trial=trial)
        assert made == trial.number
    return study


def _copy(trial: FrozenTrial) -> FrozenTrial:
    return FrozenTrial(
        number=trial.number,
        state=trial.state,
        value=None,
        values=trial.values,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
        intermediate_values=dict(trial.intermediate_values),
        trial_id=trial._trial_id,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's warnings about experimental classes and small data are nothing that a user of a study can act on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
