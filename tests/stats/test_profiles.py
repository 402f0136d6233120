"""The performance profile against published values and a slow plain statement, and its two bands."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from rlbench.stats import performance_profile

REFERENCE = Path(__file__).parent / "reference"
EXPECTED = json.loads((REFERENCE / "stat_reference.json").read_text())["performance_profile_X"]
SCORES = np.loadtxt(REFERENCE / "ref_X_30x8.csv", delimiter=",")


@pytest.mark.parametrize("method", ["wilson", "percentile"])
def test_profile_equals_the_published_values(method: str) -> None:
    profile = performance_profile(SCORES, [float(key) for key in EXPECTED], method=method, resamples=50)
    assert profile.estimate.tolist() == pytest.approx(list(EXPECTED.values()), abs=1e-10)
    assert (profile.low <= profile.estimate).all()
    assert (profile.estimate <= profile.high).all()


@given(
    st.lists(st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=6), min_size=1, max_size=4),
    st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=5),
)
def test_profile_equals_a_plain_statement(columns: list[list[float]], thresholds: list[float]) -> None:
    profile = performance_profile({str(i): column for i, column in enumerate(columns)}, thresholds)
    for threshold, share in zip(thresholds, profile.estimate, strict=True):
        shares = [sum(value > threshold for value in column) / len(column) for column in columns]
        assert share == pytest.approx(sum(shares) / len(shares), abs=1e-12)


def test_a_run_at_the_threshold_is_not_above_it() -> None:
    assert performance_profile([1.0, 1.0, 2.0, 3.0], [1.0, 3.0]).estimate.tolist() == [0.5, 0.0]


def test_wilson_band_equals_scipy_and_keeps_its_width_where_all_runs_agree() -> None:
    profile = performance_profile(np.arange(10.0), [2.5, 100.0], level=0.9)
    expected = scipy_stats.binomtest(7, 10).proportion_ci(0.9, method="wilson")
    assert (profile.low[0], profile.high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert profile.low[1] == 0.0
    assert profile.high[1] > 0.2


def test_wilson_band_of_unequal_environments_counts_the_fewer_runs_more() -> None:
    # The variance of the mean of rates over 2 and 8 runs is that of one rate over 4 / (1/2 + 1/8) = 6.4 runs.
    profile = performance_profile({"a": [0.0, 1.0], "b": [0.0] * 4 + [1.0] * 4}, [0.5])
    rate, n, z = 0.5, 6.4, 1.959963984540054
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    assert profile.high[0] == pytest.approx(0.5 + half, abs=1e-12)


def test_percentile_band_is_the_stratified_bootstrap() -> None:
    rng = np.random.default_rng(0)
    columns = SCORES[:7].T
    drawn = [np.mean([(rng.choice(column, 7) > 0.5).mean() for column in columns]) for _ in range(3_000)]
    profile = performance_profile(SCORES[:7], [0.5], method="percentile", resamples=8_000, level=0.8)
    assert (profile.low[0], profile.high[0]) == pytest.approx(tuple(np.quantile(drawn, [0.1, 0.9])), abs=0.02)
    again = performance_profile(SCORES[:7], [0.5], method="percentile", resamples=8_000, level=0.8)
    assert again.low == profile.low
    # Mixing environments would spread this: every resample of a constant column is that column.
    constant = performance_profile(np.tile([0.0, 1.0], (5, 1)), [0.5], method="percentile")
    assert (constant.low[0], constant.high[0]) == (0.5, 0.5)


@pytest.mark.parametrize("thresholds", [[], [np.nan], [[1.0]], 0.5])
def test_profile_refuses_what_are_no_thresholds(thresholds: object) -> None:
    with pytest.raises(ValueError, match="thresholds must"):
        performance_profile(SCORES, thresholds)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NaN"):
        performance_profile([np.nan], [0.0])
    with pytest.raises(ValueError, match="unknown method 'bca'"):
        performance_profile([1.0], [0.0], method="bca")
