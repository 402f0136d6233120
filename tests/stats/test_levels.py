"""False-positive rates and coverages by simulation, under laws of equal sides: normal, skewed, and failing runs.

Each rate may exceed its nominal level by 3.5 Monte-Carlo standard errors: there are over a hundred of them. The `slow`
tests repeat them with more data sets.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from rlbench.stats import (
    SequentialPlan,
    bootstrap_interval,
    equivalence_test,
    factorial_effects,
    paired_permutation_test,
    performance_profile,
    permutation_test,
    probability_of_improvement,
    simultaneous_band,
    time_to_threshold,
    tolerance_interval,
    welch_test,
)

Sampler = Callable[[np.random.Generator, int], np.ndarray]
LAWS: dict[str, Sampler] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "skewed": lambda rng, n: rng.exponential(size=n),
    "failing": lambda rng, n: 1.0 * (rng.random(n) < 0.8),
}
SIZES = (5, 10, 30)
REPEATS = [pytest.param(250, id="quick"), pytest.param(4_000, id="long", marks=pytest.mark.slow)]


def rate(repeats: int, event: Callable[[np.random.Generator], bool]) -> float:
    rng = np.random.default_rng(20_231)
    return sum(event(rng) for _ in range(repeats)) / repeats


def most(level: float, repeats: int) -> float:
    return level + 3.5 * math.sqrt(level * (1 - level) / repeats)


def least(coverage: float, repeats: int) -> float:
    return 1.0 - most(1.0 - coverage, repeats)


def draw_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 31))


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("statistic", ["mean", "iqm", "probability_of_improvement"])
def test_level_of_the_permutation_test(statistic: str, law: str, n: int, repeats: int) -> None:
    def rejects(rng: np.random.Generator) -> bool:
        x, y = LAWS[law](rng, n), LAWS[law](rng, n)
        return permutation_test(x, y, statistic=statistic, resamples=199, seed=draw_seed(rng)).p_value <= 0.05

    found = rate(repeats, rejects)
    assert found <= most(0.05, repeats)
    assert law == "failing" or found > 0.01  # nor a test that never rejects


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("law", LAWS)
def test_level_of_the_paired_permutation_test(law: str, n: int, repeats: int) -> None:
    def rejects(rng: np.random.Generator) -> bool:
        shared = rng.normal(size=n)
        x, y = shared + LAWS[law](rng, n), shared + LAWS[law](rng, n)
        return paired_permutation_test(x, y, resamples=199, seed=draw_seed(rng)).p_value <= 0.05

    found = rate(repeats, rejects)
    assert found <= most(0.05, repeats)
    assert (found == 0.0) if n == 5 else (law == "failing" or found > 0.01)


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("law", LAWS)
def test_level_of_welch(law: str, n: int, repeats: int) -> None:
    found = rate(repeats, lambda rng: welch_test(LAWS[law](rng, n), LAWS[law](rng, n)).p_value <= 0.05)
    assert found <= most(0.05, repeats)


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("n", SIZES)
def test_level_of_the_equivalence_test_at_its_margin(n: int, paired: bool, repeats: int) -> None:
    def claims(rng: np.random.Generator) -> bool:
        return equivalence_test(rng.normal(size=n) + 2.0, rng.normal(size=n), 2.0, paired=paired).is_equivalent

    found = rate(repeats, claims)
    assert found <= most(0.05, repeats)
    assert found > 0.01


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock", "linear"])
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("law", LAWS)
def test_level_of_the_sequential_plan_over_all_its_looks(law: str, paired: bool, spending: str, repeats: int) -> None:
    def decides(rng: np.random.Generator) -> bool:
        plan = SequentialPlan((5, 10, 20, 30), paired=paired, spending=spending, resamples=399, seed=draw_seed(rng))
        x, y = LAWS[law](rng, 30), LAWS[law](rng, 30)
        while plan.next_look is not None:
            plan = plan.advance(x, y)
        return plan.decision != "inconclusive"

    found = rate(repeats, decides)
    assert found <= most(0.05, repeats)
    assert law == "failing" or found > 0.01


def test_looking_as_often_without_a_plan_does_not_hold_the_level() -> None:
    def decides(rng: np.random.Generator) -> bool:
        x = rng.normal(size=30)
        return any(paired_permutation_test(x[:n], 0 * x[:n], resamples=199).p_value <= 0.05 for n in (6, 10, 20, 30))

    assert rate(400, decides) > most(0.05, 400)


@pytest.mark.parametrize(
    "repeats", [pytest.param(80, id="quick"), pytest.param(2_000, id="long", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(("n", "num_environments"), [(5, 2), (10, 1), (30, 1)])
def test_family_wise_level_of_the_factorial_effects(n: int, num_environments: int, repeats: int) -> None:
    cells = list(itertools.product((0, 1), repeat=3))
    index = [(env, *cell, seed) for env in range(num_environments) for cell in cells for seed in range(n)]
    frame = pd.DataFrame(index, columns=["env", "a", "b", "c", "seed"])
    rng = np.random.default_rng(7)
    events = np.zeros(4)
    for _ in range(repeats):
        scores = rng.normal(size=(num_environments, 8, n)) + rng.normal(size=(num_environments, 1, n))
        frame["score"] = scores.ravel()
        factors = {"a": (0, 1), "b": (0, 1), "c": (0, 1)}
        by_max_t, by_holm = (
            factorial_effects(frame, factors, correction=name, resamples=199, seed=draw_seed(rng)).effects
            for name in ("max-T", "holm")
        )
        events += [
            min(effect.p_adjusted for effect in by_max_t) <= 0.05,
            min(effect.p_adjusted for effect in by_holm) <= 0.05,
            min(effect.unpaired_p_adjusted for effect in by_max_t) <= 0.05,
            min(effect.p_value for effect in by_max_t) <= 0.05,
        ]
    max_t, holm, unpaired, uncorrected = events / repeats
    assert max(max_t, holm, unpaired) <= most(0.05, repeats)
    assert uncorrected > 0.15  # what the correction is for


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize(("n", "coverage"), [(5, 0.89), (10, 0.93), (30, 0.94)])
def test_coverage_of_the_bootstrap_of_the_iqm(n: int, coverage: float, repeats: int) -> None:
    def covers(rng: np.random.Generator) -> bool:
        interval = bootstrap_interval(rng.normal(size=n), resamples=500, seed=draw_seed(rng))
        return interval.low <= 0.0 <= interval.high

    assert least(coverage, repeats) <= rate(repeats, covers) <= 0.985


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize(("n", "coverage"), [(5, 0.89), (10, 0.93), (30, 0.94)])
def test_coverage_of_the_probability_of_improvement(n: int, coverage: float, repeats: int) -> None:
    def covers(rng: np.random.Generator) -> bool:
        interval = probability_of_improvement(
            rng.normal(size=n), rng.normal(size=n), resamples=500, seed=draw_seed(rng)
        )
        return interval.low <= 0.5 <= interval.high

    assert rate(repeats, covers) >= least(coverage, repeats)


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("n", SIZES)
def test_coverage_of_the_profile_at_a_rare_failure(n: int, repeats: int) -> None:
    def covers(rng: np.random.Generator) -> bool:
        profile = performance_profile(rng.random(size=(n, 4)), [0.05])
        return bool(profile.low[0] <= 0.95 <= profile.high[0])

    assert rate(repeats, covers) >= least(0.925, repeats)


@pytest.mark.parametrize(
    "repeats", [pytest.param(120, id="quick"), pytest.param(2_000, id="long", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("statistic", ["mean", "iqm"])
@pytest.mark.parametrize("n", SIZES)
def test_coverage_of_the_simultaneous_band(n: int, statistic: str, repeats: int) -> None:
    def covers(rng: np.random.Generator) -> bool:
        walks = np.cumsum(rng.normal(size=(n, 12)), axis=1) + rng.normal(size=(n, 12))
        band = simultaneous_band(walks, statistic=statistic, resamples=500, seed=draw_seed(rng))
        return bool((band.low <= 0.0).all() and (band.high >= 0.0).all())

    assert rate(repeats, covers) >= least(0.94, repeats)


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("side", ["both", "lower"])
def test_confidence_of_the_tolerance_interval_is_exact(side: str, n: int, repeats: int) -> None:
    claimed = tolerance_interval(np.arange(n), 0.8, 0.9, side=side, too_few="relabel").confidence

    def holds(rng: np.random.Generator) -> bool:
        interval = tolerance_interval(rng.random(n), 0.8, 0.9, side=side, too_few="relabel")
        return min(interval.high, 1.0) - max(interval.low, 0.0) >= 0.8

    error = math.sqrt(claimed * (1 - claimed) / repeats)
    assert rate(repeats, holds) == pytest.approx(claimed, abs=3.5 * error)


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize(("n", "coverage"), [(5, 0.91), (10, 0.93), (30, 0.94)])
def test_coverage_of_the_restricted_mean_with_runs_lost_on_the_way(n: int, coverage: float, repeats: int) -> None:
    steps = np.arange(1.0, 31.0)
    truth = sum(0.9**step for step in range(15))  # geometric times, 0.1 a step, up to 15

    def covers(rng: np.random.Generator) -> bool:
        is_known = False
        while not is_known:  # again where the run observed longest was lost before the horizon
            times = rng.geometric(0.1, size=n)
            ends = np.where(rng.random(n) < 0.3, rng.integers(1, 31, size=n), 30)
            observed = np.minimum(times, ends)
            is_known = observed.max() >= 15 or bool((times <= ends)[observed == observed.max()].all())
        result = time_to_threshold((steps >= times[:, np.newaxis]) * 1.0, steps, 0.5, ends=ends, horizon=15.0)
        return result.low <= truth <= result.high

    assert rate(repeats, covers) >= least(coverage, repeats)
