"""Aggregates against published reference values, SciPy and a slow plain statement."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from rlbench.stats import aggregate, bootstrap_interval, iqm, optimality_gap
from rlbench.stats.aggregates import AGGREGATES

REFERENCE = Path(__file__).parent / "reference"
EXPECTED = json.loads((REFERENCE / "stat_reference.json").read_text())


def plain_iqm(values: list[float]) -> float:
    ordered = sorted(values)
    cut = len(ordered) // 4
    kept = ordered[cut : len(ordered) - cut]
    return sum(kept) / len(kept)


@pytest.mark.parametrize("name", ["X", "Y"])
def test_iqm_equals_the_published_value(name: str) -> None:
    scores = np.loadtxt(REFERENCE / EXPECTED[name], delimiter=",")
    assert scores.shape == (30, 8)
    assert iqm(scores) == pytest.approx(EXPECTED[f"{name}_point"]["iqm"], abs=1e-10)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 10])
def test_iqm_cuts_a_quarter_rounded_down(count: int) -> None:
    expected = EXPECTED["iqm_edge_cases"][f"trim_mean_n{count}"]
    assert iqm(np.arange(count) ** 2) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_iqm_equals_scipy_and_a_plain_statement(values: list[float]) -> None:
    result = iqm(values)
    assert result == pytest.approx(plain_iqm(values), rel=1e-9, abs=1e-6)
    assert result == pytest.approx(scipy_stats.trim_mean(values, 0.25), rel=1e-9, abs=1e-6)


def test_iqm_pools_runs_and_environments() -> None:
    scores = np.array([[0.0, 100.0], [10.0, 90.0], [20.0, 80.0], [30.0, 70.0]])
    assert iqm(scores) == np.mean([20.0, 30.0, 70.0, 80.0])


def test_iqm_of_equal_scores_is_that_score() -> None:
    assert iqm(np.full((10, 3), 7.5)) == 7.5


def test_iqm_leaves_its_input_as_it_was() -> None:
    scores = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    iqm(scores)
    assert scores.tolist() == [5.0, 1.0, 4.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1.0, np.nan], "1 NaN"),
        ([], "empty"),
        (np.zeros((0, 3)), "empty"),
        (np.zeros((2, 2, 2)), "runs, environments"),
        (3.0, "runs, environments"),
    ],
)
def test_iqm_refuses_what_has_no_mean(scores: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        iqm(scores)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["X", "Y"])
@pytest.mark.parametrize("statistic", ["iqm", "mean", "median", "optimality_gap"])
def test_aggregates_equal_the_published_values(name: str, statistic: str) -> None:
    scores = np.loadtxt(REFERENCE / EXPECTED[name], delimiter=",")
    assert aggregate(scores, statistic=statistic) == pytest.approx(EXPECTED[f"{name}_point"][statistic], abs=1e-10)


def test_optimality_gap_counts_nothing_above_the_target() -> None:
    assert optimality_gap([0.25, 0.75, 3.0]) == pytest.approx((0.75 + 0.25) / 3)
    assert optimality_gap([0.25, 0.75, 3.0], target=2.0) == pytest.approx((1.75 + 1.25) / 3)
    assert aggregate([0.25, 0.75, 3.0], "optimality_gap", target=2.0) == optimality_gap([0.25, 0.75, 3.0], 2.0)


def test_aggregate_refuses_an_unknown_statistic() -> None:
    with pytest.raises(ValueError, match=f"unknown statistic 'max'; one of {', '.join(AGGREGATES)}"):
        aggregate([1.0], "max")


def plain_ragged_iqm(columns: list[list[float]]) -> float:
    """Every value as many copies as make all environments weigh the same; then the plain trimmed mean of the copies."""
    num_runs = sum(len(column) for column in columns)
    common = int(np.lcm.reduce([len(column) for column in columns]))
    copies = [value for column in columns for value in column for _ in range(num_runs * common // len(column))]
    ordered = sorted(copies)
    cut = len(ordered) * (num_runs // 4) // num_runs
    return float(np.mean(ordered[cut : len(ordered) - cut]))


@given(st.lists(st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=5), min_size=2, max_size=4))
def test_ragged_iqm_weighs_every_environment_the_same(columns: list[list[float]]) -> None:
    by_name = {str(place): column for place, column in enumerate(columns)}
    assert iqm(by_name) == pytest.approx(plain_ragged_iqm(columns), abs=1e-9)


def test_the_order_of_runs_and_environments_changes_nothing() -> None:
    scores = np.random.default_rng(0).normal(size=(9, 4))
    mixed = scores[::-1, [2, 0, 3, 1]]
    assert iqm(mixed) == iqm(scores)
    assert aggregate(mixed, "median") == pytest.approx(aggregate(scores, "median"), rel=1e-14)


def plain_bootstrap(scores: np.ndarray, resamples: int, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        columns = [[column[rng.integers(len(column))] for _ in column] for column in scores.T]
        drawn.append(plain_iqm([value for column in columns for value in column]))
    return drawn


def test_bootstrap_equals_a_slow_plain_statement() -> None:
    scores = np.random.default_rng(3).exponential(size=(6, 3))
    low, high = np.quantile(plain_bootstrap(scores, 4_000, seed=1), [0.1, 0.9])
    interval = bootstrap_interval(scores, resamples=20_000, level=0.8)
    assert interval.low == pytest.approx(low, abs=0.02)
    assert interval.high == pytest.approx(high, abs=0.02)
