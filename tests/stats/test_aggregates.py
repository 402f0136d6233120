"""The IQM against published reference values, SciPy and a slow plain statement."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from rlbench.stats import iqm

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
