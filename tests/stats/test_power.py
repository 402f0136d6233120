"""Power against SciPy's noncentral t, published sample sizes, and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from rlbench.stats import minimum_detectable_effect, pilot_sd, seeds_needed


@pytest.mark.parametrize(
    ("effect", "paired", "n"),
    # Cohen 1988, two-sided 0.05, power 0.80: 26 and 64 a group at d = 0.8 and 0.5; 34 pairs at 0.5.
    [(0.8, False, 26), (0.5, False, 64), (0.2, False, 394), (0.5, True, 34)],
)
def test_seeds_needed_equal_the_published_tables(effect: float, paired: bool, n: int) -> None:
    assert seeds_needed(effect, 1.0, paired=paired) == n
    assert seeds_needed(-10 * effect, 10.0, paired=paired) == n


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("n", [6, 10, 30, 500])
def test_the_smallest_effect_has_exactly_the_power(n: int, paired: bool) -> None:
    effect = minimum_detectable_effect(2.0, n, paired=paired, power=0.9, level=0.1)
    freedom, error = (n - 1, 2.0 / math.sqrt(n)) if paired else (2 * n - 2, 2.0 * math.sqrt(2.0 / n))
    critical = scipy_stats.t.ppf(0.95, freedom)
    law = scipy_stats.nct(freedom, effect / error)
    assert law.sf(critical) + law.cdf(-critical) == pytest.approx(0.9, abs=1e-6)


def test_the_smallest_effect_is_found_that_often() -> None:
    rng = np.random.default_rng(0)
    effect = minimum_detectable_effect(1.0, 12)
    p_values = scipy_stats.ttest_ind(rng.normal(size=(4_000, 12)) + effect, rng.normal(size=(4_000, 12)), axis=1).pvalue
    assert (p_values <= 0.05).mean() == pytest.approx(0.8, abs=3 * 0.0063)


@given(st.floats(0.2, 5.0), st.booleans(), st.integers(1, 7), st.sampled_from([0.5, 0.8, 0.95]))
def test_the_two_functions_are_inverse(effect: float, paired: bool, comparisons: int, power: float) -> None:
    n = seeds_needed(effect, 1.0, paired=paired, comparisons=comparisons, power=power)
    arguments = {"paired": paired, "comparisons": comparisons, "power": power}
    assert minimum_detectable_effect(1.0, n, **arguments) <= effect * (1 + 1e-9)  # type: ignore[arg-type]
    assert n == 2 or minimum_detectable_effect(1.0, n - 1, **arguments) > effect * (1 - 1e-9)  # type: ignore[arg-type]


def test_no_effect_is_large_enough_where_no_data_could_reject() -> None:
    assert minimum_detectable_effect(1.0, 5, paired=True) == math.inf
    assert minimum_detectable_effect(1.0, 6, paired=True) < math.inf
    assert minimum_detectable_effect(1.0, 8, paired=True, comparisons=7) == math.inf
    assert seeds_needed(1_000.0, 1.0, paired=True, comparisons=7) == 9
    assert seeds_needed(1_000.0, 1.0) == 4  # 2 / 70 of the exchanges of 4 against 4; 2 / 20 of 3 against 3


def test_without_spread_any_effect_shows() -> None:
    assert minimum_detectable_effect(0.0, 10) == 0.0
    assert seeds_needed(0.1, 0.0, paired=True) == 6


def test_pilot_spread_is_pooled_or_of_the_differences() -> None:
    x, y = np.array([1.0, 3.0, 5.0]), np.array([0.0, 4.0])
    assert pilot_sd(x) == pytest.approx(2.0)
    assert pilot_sd(x, y) == pytest.approx(math.sqrt((8 + 8) / 3))
    assert pilot_sd(x[:2], y, paired=True) == pytest.approx(np.std([1.0, -1.0], ddof=1))


def test_upper_limit_of_the_pilot_spread_lies_above_it_as_often_as_said() -> None:
    rng = np.random.default_rng(0)
    limits = np.array([pilot_sd(rng.normal(size=5), confidence=0.8) for _ in range(2_000)])
    assert (limits >= 1.0).mean() == pytest.approx(0.8, abs=3 * 0.009)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"effect": 0.0}, "effect must differ from 0"),
        ({"effect": np.nan}, "effect must differ from 0"),
        ({"sd": -1.0}, "sd must be a spread"),
        ({"sd": np.nan}, "sd must be a spread"),
        ({"power": 80}, "power must lie between"),
        ({"power": 0.01}, "must be above the level"),
        ({"comparisons": 0}, "comparisons must be at least 1"),
        ({"effect": 1e-6}, "more than 1000000 runs"),
    ],
)
def test_seeds_needed_refuses_impossible_arguments(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        seeds_needed(**{"effect": 0.5, "sd": 1.0, **arguments})  # type: ignore[arg-type]


def test_the_others_refuse_too_few_runs() -> None:
    with pytest.raises(ValueError, match="at least 2 runs, not 1"):
        minimum_detectable_effect(1.0, 1)
    with pytest.raises(ValueError, match="at least 2 pilot runs"):
        pilot_sd([1.0])
    with pytest.raises(ValueError, match="both x and y"):
        pilot_sd([1.0, 2.0], paired=True)
