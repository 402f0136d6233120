"""Differences of two sides against published values, SciPy and slow plain statements."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from rlbench.stats import cliffs_delta, hodges_lehmann, probability_of_improvement, welch_test
from rlbench.stats.differences import median_difference

REFERENCE = Path(__file__).parent / "reference"
EXPECTED = json.loads((REFERENCE / "stat_reference.json").read_text())
X = np.loadtxt(REFERENCE / "ref_X_30x8.csv", delimiter=",")
Y = np.loadtxt(REFERENCE / "ref_Y_30x8.csv", delimiter=",")
VALUES = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=12)  # few values: many ties


def test_probability_of_improvement_equals_the_published_value_and_interval() -> None:
    interval = probability_of_improvement(Y, X, resamples=20_000)
    low, high = EXPECTED["poi_ci95_percentile_2000_rliable"]
    assert interval.estimate == pytest.approx(EXPECTED["poi_Y_over_X"], abs=1e-10)
    assert interval.low == pytest.approx(low, abs=0.004)
    assert interval.high == pytest.approx(high, abs=0.004)
    assert (interval.n, interval.resamples, interval.statistic) == (30, 20_000, "probability_of_improvement")


@given(VALUES, VALUES)
def test_probability_of_improvement_equals_mann_whitney_and_a_plain_statement(x: list[float], y: list[float]) -> None:
    result = probability_of_improvement(x, y, resamples=2).estimate
    plain = sum((a > b) + 0.5 * (a == b) for a in x for b in y) / (len(x) * len(y))
    assert result == pytest.approx(plain, abs=1e-12)
    u = scipy_stats.mannwhitneyu(x, y, method="asymptotic").statistic
    assert result == pytest.approx(u / (len(x) * len(y)), abs=1e-12)
    assert cliffs_delta(x, y) == pytest.approx(2 * plain - 1, abs=1e-12)


def test_probability_of_improvement_is_averaged_over_environments_and_x_against_y() -> None:
    x, y = np.array([[3.0, 0.0], [4.0, 0.0]]), np.array([[1.0, 0.0], [2.0, 1.0]])
    assert probability_of_improvement(x, y, resamples=10).estimate == (1.0 + 0.25) / 2
    assert probability_of_improvement(y, x, resamples=10).estimate == (0.0 + 0.75) / 2


def test_its_bootstrap_draws_the_runs_of_both_sides() -> None:
    # A slow plain statement of the same bootstrap.
    rng = np.random.default_rng(0)
    x, y = X[:8, 0], Y[:11, 0]
    drawn = [np.mean(np.sign(np.subtract.outer(rng.choice(x, 8), rng.choice(y, 11))) / 2 + 0.5) for _ in range(4_000)]
    interval = probability_of_improvement(x, y, resamples=9_000, level=0.8)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(drawn, [0.1, 0.9])), abs=0.02)
    assert probability_of_improvement(x, y, resamples=300, seed=5) == probability_of_improvement(
        x, y, resamples=300, seed=5
    )


def test_sides_without_overlap_give_an_interval_without_width() -> None:
    interval = probability_of_improvement([2.0, 3.0], [0.0, 1.0], resamples=50)
    assert (interval.low, interval.estimate, interval.high) == (1.0, 1.0, 1.0)


def test_effect_sizes_on_one_environment_equal_the_published_values() -> None:
    expected = EXPECTED["task0"]
    assert cliffs_delta(Y[:, 0], X[:, 0]) == pytest.approx(expected["cliffs_delta_Y_X"], abs=1e-10)
    assert hodges_lehmann(Y[:, 0], X[:, 0]) == pytest.approx(expected["hodges_lehmann"], abs=1e-10)
    result = welch_test(Y[:, 0], X[:, 0])
    assert result.p_value == pytest.approx(expected["welch_p"], abs=1e-10)
    assert (result.low, result.high) == pytest.approx(tuple(expected["welch_ci"]), abs=1e-10)


def test_hodges_lehmann_finds_a_shift_and_refuses_several_environments() -> None:
    assert hodges_lehmann(X[:, 0] + 2.5, X[:, 0]) == pytest.approx(2.5, abs=1e-12)
    assert hodges_lehmann([5.0], [2.0]) == 3.0
    with pytest.raises(ValueError, match="one number a run"):
        hodges_lehmann(X, Y)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_welch_equals_scipy(alternative: str) -> None:
    for n, m in ((2, 2), (5, 9), (30, 30)):
        x, y = X.ravel()[:n], 2 * Y.ravel()[:m]
        expected = scipy_stats.ttest_ind(x, y, equal_var=False, alternative=alternative)
        assert welch_test(x, y, alternative=alternative).p_value == pytest.approx(expected.pvalue, rel=1e-10)


def test_welch_without_spread() -> None:
    assert welch_test([1.0, 1.0], [1.0, 1.0]).p_value == 1.0
    assert welch_test([0.1] * 3, [0.1] * 2).p_value == 1.0  # whose means differ by rounding
    assert welch_test([2.0, 2.0], [1.0, 1.0]).p_value == 0.0
    assert welch_test([2.0, 2.0], [1.0, 1.0], alternative="less").p_value == 1.0


def test_comparisons_refuse_what_they_cannot_compare() -> None:
    with pytest.raises(ValueError, match="NaN"):
        probability_of_improvement([1.0, np.nan], [1.0])
    with pytest.raises(ValueError, match="at least 2 runs on each side, not 1 and 2"):
        welch_test([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="unknown alternative 'up'"):
        welch_test([1.0, 2.0], [1.0, 2.0], alternative="up")


def test_the_median_of_very_many_differences_is_found_without_their_table(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for num_x, num_y in ((7, 5), (8, 6), (1, 9), (120, 81)):
        sides = [
            (rng.normal(size=num_x) * 1e3, rng.normal(size=num_y) * 1e3),
            (np.round(rng.uniform(-5.0, 5.0, num_x)), np.round(rng.uniform(-5.0, 5.0, num_y))),
            (np.full(num_x, 3.3), np.full(num_y, 1.1)),
        ]
        for x, y in sides:
            expected = float(np.median(np.subtract.outer(x, y)))
            monkeypatch.setattr("rlbench.stats.differences._MOST_HELD", 0)
            assert median_difference(x, y) == expected
            monkeypatch.undo()
            assert median_difference(x, y) == expected
