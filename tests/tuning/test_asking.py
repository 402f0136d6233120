"""Proposals and decisions are functions of (study seed, trial number, trials so far), for every sampler and pruner."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from rlbench.tuning import asking
from rlbench.tuning.asking import Proposal, decide, distribution_of, propose, pruner_of
from rlbench.tuning.space import Parameter
from rlbench.tuning.study_file import PrunerSettings, SamplerSettings
from tests.tuning.toy_study import BRANCHED, GRID, LINE, frozen, tune

EVERY_SAMPLER = ["random", "tpe", pytest.param("gp", marks=pytest.mark.slow), "cmaes", "grid"]


def bowl(params: Mapping[str, Any]) -> float:
    return -sum((float(value) - 0.3) ** 2 for value in params.values() if not isinstance(value, str))


def space_for(kind: str) -> Any:
    return GRID if kind == "grid" else LINE if kind in ("gp", "cmaes") else BRANCHED


@pytest.mark.parametrize("kind", EVERY_SAMPLER)
def test_the_same_history_gives_the_same_proposal_and_another_number_another_one(kind: str) -> None:
    space, sampler = space_for(kind), SamplerSettings(kind, startup=3)
    trials = tune(bowl, 8, space, sampler, batch=2)
    again = tune(bowl, 8, space, sampler, batch=2)
    assert [trial.params for trial in trials] == [trial.params for trial in again]
    assert len({str(trial.params) for trial in trials}) == 8
    first, second = (propose(trials, space, sampler, study_seed=0, name="toy") for _ in range(2))
    assert first.params == second.params
    if kind != "grid":
        assert propose(trials, space, sampler, study_seed=1, name="toy").params != first.params


@pytest.mark.parametrize("kind", EVERY_SAMPLER)
def test_proposals_lie_in_the_space_with_conditions_met(kind: str) -> None:
    space = space_for(kind)
    for trial in tune(bowl, 12, space, SamplerSettings(kind, startup=4), batch=3):
        active: list[str] = []
        for parameter in space:
            if parameter.applies(trial.params):
                active.append(parameter.key)
                value = trial.params[parameter.key]
                assert value in parameter.choices if parameter.choices else parameter.low <= value <= parameter.high
        assert list(trial.params) == active
        assert ("z" in trial.params) == (trial.params.get("kind") == "b" and kind != "grid")


def test_a_grid_visits_every_point_once() -> None:
    trials = tune(bowl, 12, GRID, SamplerSettings("grid"), batch=5)
    assert {(t.params["kind"], t.params["n"]) for t in trials} == {(kind, n) for kind in "abc" for n in range(1, 5)}


@pytest.mark.parametrize("kind", ["tpe", "cmaes", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_sampler_that_learns_comes_nearer_than_chance(kind: str) -> None:
    def distance(trial: FrozenTrial) -> float:
        return float(np.hypot(trial.params["x"] - 0.3, trial.params["y"] - 0.3))

    trials = tune(bowl, 40, LINE, SamplerSettings(kind, startup=10), batch=4)
    assert np.median([distance(trial) for trial in trials[20:]]) < 0.6 * np.median([distance(t) for t in trials[:10]])


def test_parameters_as_optuna_says_them() -> None:
    assert distribution_of(Parameter("a", "log", 1e-4, 1.0)) == FloatDistribution(1e-4, 1.0, log=True)
    assert distribution_of(Parameter("a", "float", 0.0, 1.0, 0.25)) == FloatDistribution(0.0, 1.0, step=0.25)
    assert distribution_of(Parameter("a", "int", 1, 9, 2)) == IntDistribution(1, 9, step=2)
    assert distribution_of(Parameter("a", "log_int", 1, 9)) == IntDistribution(1, 9, log=True)
    assert distribution_of(Parameter("a", "choices", choices=(1, "x"))) == CategoricalDistribution((1, "x"))


NOTHING = Proposal({}, {}, {})


def curve(*values: float) -> dict[int, float]:
    return {100 * (index + 1): value for index, value in enumerate(values)}


def decisions(trials: list[FrozenTrial], kind: str, **settings: Any) -> dict[int, bool]:
    running = [trial.number for trial in trials if trial.state == TrialState.RUNNING]
    values = {t.number: {step: [value, value] for step, value in t.intermediate_values.items()} for t in trials}
    values |= settings.pop("seed_values", {})
    found = decide(
        trials, running, PrunerSettings(kind, **settings), name="toy", period=100, steps=900, seed_values=values
    )
    return {number: decision.prune for number, decision in found.items()}


def history() -> list[FrozenTrial]:
    """Three complete trials with 1, 2 and 3 everywhere, and two running ones at the second rung, a bad and a good one."""
    done = [frozen(n, NOTHING, TrialState.COMPLETE, float(n + 1), curve(*[n + 1.0] * 9)) for n in range(3)]
    return [*done, frozen(3, NOTHING, reported=curve(0.5, 0.5)), frozen(4, NOTHING, reported=curve(4.0, 4.0))]


def test_none_prunes_nothing() -> None:
    assert decisions(history(), "none") == {3: False, 4: False}


def test_median_prunes_below_the_median_after_startup_and_warmup() -> None:
    assert decisions(history(), "median", startup=3) == {3: True, 4: False}
    assert decisions(history(), "median", startup=4) == {3: False, 4: False}
    assert decisions(history(), "median", startup=3, warmup=300) == {3: False, 4: False}


def test_halving_keeps_the_best_share_of_each_rung_and_remembers_it() -> None:
    trials = [frozen(n, NOTHING, reported=curve(6.0 - n)) for n in range(6)]
    found = decide(
        trials, range(6), PrunerSettings("halving", factor=3), name="toy", period=100, steps=900, seed_values={}
    )
    assert [decision.prune for decision in found.values()] == [False, False, True, True, True, True]
    assert found[0].system_attrs == {"completed_rung_0": 6.0}


@pytest.mark.parametrize("values", [[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1], [3, 6, 1, 5, 2, 4]])
def test_halving_does_not_depend_on_the_order_within_a_round(values: list[int]) -> None:
    trials = [frozen(n, NOTHING, reported=curve(float(value))) for n, value in enumerate(values)]
    settings = PrunerSettings("halving", factor=3)
    for order in (range(6), range(5, -1, -1)):
        found = decide(trials, list(order), settings, name="toy", period=100, steps=900, seed_values={})
        assert sorted(values[n] for n, decision in found.items() if not decision.prune) == [5, 6]


def test_halving_over_two_rungs_at_once_keeps_the_best_of_the_best() -> None:
    trials = [frozen(n, NOTHING, reported=curve(float(n))) for n in range(9)]
    settings = PrunerSettings("halving", factor=3, least=30)  # rungs at 30 and 90, and one report at 100
    found = decide(trials, range(9), settings, name="toy", period=100, steps=900, seed_values={})
    assert [n for n, decision in found.items() if not decision.prune] == [8]
    assert {n: sorted(decision.system_attrs) for n, decision in found.items() if n > 4} == {
        5: ["completed_rung_0"],
        6: ["completed_rung_0", "completed_rung_1"],
        7: ["completed_rung_0", "completed_rung_1"],
        8: ["completed_rung_0", "completed_rung_1"],
    }


def test_a_sampler_is_given_the_bracket_of_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Looks(RandomSampler):
        def before_trial(self, study: Any, trial: FrozenTrial) -> None:
            seen.append(len(study.get_trials(deepcopy=False)))

    monkeypatch.setattr(asking, "sampler_of", lambda *_: Looks(seed=0))
    trials = [frozen(n, NOTHING, reported=curve(float(n))) for n in range(20)]
    for kind in ("median", "hyperband"):
        pruner = pruner_of(PrunerSettings(kind), 100, 900)
        propose(trials, LINE, SamplerSettings("random"), study_seed=0, name="toy", pruner=pruner)
    assert seen[0] == 21
    assert 0 < seen[1] < 21


def test_hyperband_prunes_in_some_bracket() -> None:
    trials = [frozen(n, NOTHING, reported=curve(float(n))) for n in range(40)][::-1]
    trials = [frozen(n, NOTHING, reported=trial.intermediate_values) for n, trial in enumerate(trials)]
    found = decisions(trials, "hyperband")
    assert 0 < sum(found.values()) < 40
    assert not found[0]


def test_wilcoxon_compares_seeds_at_the_same_step() -> None:
    seeds = {
        0: {200: [5.0, 6.0, 7.0, 8.0], 900: [50.0, 60.0, 70.0, 80.0]},
        1: {200: [1.0, 2.0, 3.0, 4.0]},  # worse for every seed
        2: {200: [9.0, 5.0, 7.5, 8.5]},  # not worse, though far below what the best one has in the end
    }
    trials = [
        frozen(0, NOTHING, TrialState.COMPLETE, 65.0, {200: 6.5, 900: 65.0}),
        frozen(1, NOTHING, reported={100: 0.0, 200: 2.5}),
        frozen(2, NOTHING, reported={100: 0.0, 200: 7.5}),
    ]
    assert decisions(trials, "wilcoxon", seed_values=seeds) == {1: True, 2: False}


def test_a_trial_without_a_report_is_left_alone() -> None:
    assert decisions([*history()[:3], frozen(3, NOTHING)], "median", startup=1) == {3: False}
