"""Permutation tests against SciPy's exact ones, by hand, and where no data could reject."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from rlbench.stats import iqm, paired_permutation_test, permutation_test, smallest_sign_flip_p, welch_test

REFERENCE = Path(__file__).parent / "reference"
EXPECTED = json.loads((REFERENCE / "stat_reference.json").read_text())
X = np.loadtxt(REFERENCE / "ref_X_30x8.csv", delimiter=",")
Y = np.loadtxt(REFERENCE / "ref_Y_30x8.csv", delimiter=",")
FEW = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=5)


@given(FEW, FEW, st.sampled_from(["two-sided", "greater", "less"]))
def test_small_tests_are_exact(x: list[float], y: list[float], alternative: str) -> None:
    result = permutation_test(x, y, alternative=alternative)
    expected = scipy_stats.permutation_test(
        (x, y), lambda a, b, axis: np.mean(a, axis) - np.mean(b, axis), n_resamples=np.inf, alternative=alternative
    )
    # SciPy doubles the smaller tail; the law of |T| is counted here, so the two-sided p-values may differ.
    if alternative != "two-sided":
        assert result.p_value == pytest.approx(expected.pvalue, abs=1e-12)
    null = np.abs(expected.null_distribution)
    if alternative == "two-sided":
        assert result.p_value == pytest.approx((null >= abs(expected.statistic) - 1e-9).mean(), abs=1e-12)
    assert result.resamples is None
    assert result.method == "permutation test (exact)"


def test_a_permutation_test_worked_by_hand() -> None:
    # 6 ways to choose 2 of 1, 2, 3, 10; |T| is largest for {3, 10} and {1, 2}.
    result = permutation_test([3.0, 10.0], [1.0, 2.0])
    assert (result.estimate, result.p_value, result.smallest_p) == (5.0, 2 / 6, 2 / 6)
    assert permutation_test([3.0, 10.0], [1.0, 2.0], alternative="greater").p_value == 1 / 6
    assert permutation_test([3.0, 10.0], [1.0, 2.0], alternative="less").p_value == 1.0


@given(FEW, FEW, st.sampled_from(["two-sided", "greater", "less"]))
def test_studentised_tests_are_exact(x: list[float], y: list[float], alternative: str) -> None:
    def measure(a: np.ndarray, b: np.ndarray) -> float:
        difference, variance = a.mean() - b.mean(), a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)
        if abs(difference) < 1e-12:
            return 0.0
        return float(difference / np.sqrt(variance)) if variance > 1e-12 else float(np.copysign(np.inf, difference))

    both = np.array(x + y)
    drawn = []
    for chosen in itertools.combinations(range(len(both)), len(x)):
        is_chosen = np.isin(np.arange(len(both)), chosen)
        drawn.append(measure(both[is_chosen], both[~is_chosen]))
    signed = np.array(drawn) * {"two-sided": 1.0, "greater": 1.0, "less": -1.0}[alternative]
    sizes = np.abs(signed) if alternative == "two-sided" else signed
    result = permutation_test(x, y, statistic="welch_t", alternative=alternative)
    expected = np.mean([size >= sizes[0] or size == pytest.approx(sizes[0], rel=1e-9) for size in sizes])
    assert result.p_value == pytest.approx(expected, abs=1e-12)
    assert result.estimate == pytest.approx(np.mean(x) - np.mean(y), abs=1e-12)
    assert (result.statistic, result.method) == ("mean", "permutation test of Welch t (exact)")


def test_studentised_test_is_that_of_welch_with_many_runs() -> None:
    rng = np.random.default_rng(5)
    x, y = 3.0 * rng.normal(size=40) + 1.9, rng.normal(size=160)
    result = permutation_test(x, y, statistic="welch_t", resamples=20_000)
    assert result.p_value == pytest.approx(welch_test(x, y).p_value, abs=0.015)
    # The plain difference takes the smaller spread of the larger side for that of both.
    assert permutation_test(x, y, resamples=20_000).p_value < 0.5 * result.p_value
    with pytest.raises(ValueError, match="at least 2 runs"):
        permutation_test([1.0], y, statistic="welch_t")


@pytest.mark.parametrize("statistic", ["mean", "welch_t", "iqm", "probability_of_improvement"])
def test_random_arrangements_agree_with_all_of_them(statistic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = {"a": X[:5, 0], "b": X[:3, 1]}, {"a": Y[:4, 0] + 0.4, "b": Y[:3, 1]}
    exact = permutation_test(x, y, statistic=statistic)
    monkeypatch.setattr("rlbench.stats.permutation.MAX_EXACT", 0)
    drawn = permutation_test(x, y, statistic=statistic, resamples=20_000)
    assert drawn.method == exact.method.replace("exact", "Monte Carlo") != exact.method
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.012)
    assert drawn.estimate == exact.estimate


def test_rank_statistic_equals_the_published_mann_whitney_test() -> None:
    result = permutation_test(Y[:, 0], X[:, 0], statistic="probability_of_improvement", resamples=100_000)
    assert result.p_value == pytest.approx(EXPECTED["task0"]["mwu_p"], abs=0.004)
    assert 2 * result.estimate - 1 == pytest.approx(EXPECTED["task0"]["cliffs_delta_Y_X"], abs=1e-10)


def test_iqm_statistic_is_the_difference_of_the_iqms() -> None:
    assert permutation_test(Y, X, statistic="iqm", resamples=50).estimate == pytest.approx(iqm(Y) - iqm(X), abs=1e-12)


def test_runs_never_change_environments() -> None:
    # All the difference is between the environments: within each nothing can be exchanged.
    scores = np.tile([0.0, 100.0], (6, 1))
    assert permutation_test(scores, scores, resamples=99).p_value == 1.0
    assert permutation_test(scores, scores, statistic="welch_t", resamples=99).p_value == 1.0


@pytest.mark.parametrize("test", [permutation_test, paired_permutation_test])
def test_a_monte_carlo_p_value_is_never_0_and_reproducible(test: object) -> None:
    first = test(X + 9.0, X, resamples=99, seed=4)  # type: ignore[operator]
    assert first.p_value == first.smallest_p == 0.01
    assert first == test(X + 9.0, X, resamples=99, seed=4)  # type: ignore[operator]
    assert first.seed == 4


@pytest.mark.parametrize("statistic", ["mean", "welch_t"])
@pytest.mark.parametrize("offset", [0.0, 0.1, 1e8])
def test_ties_survive_rounding(offset: float, statistic: str) -> None:
    # Every arrangement ties up to the last bits, which depend on the order of the sums.
    values = offset + np.array([0.1, 0.2, 0.3, 0.1, 0.2])
    result = permutation_test(values, values[::-1], statistic=statistic)
    assert result.p_value == 1.0
    assert paired_permutation_test(values, np.roll(values, 3)).p_value > 0.0


@given(st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=8))
def test_sign_flips_equal_scipy(differences: list[float]) -> None:
    result = paired_permutation_test(differences, np.zeros(len(differences)), alternative="greater")
    flips = np.array(np.meshgrid(*[[-1.0, 1.0]] * len(differences))).reshape(len(differences), -1)
    expected = (differences @ flips >= np.sum(differences) - 1e-9).mean()
    assert result.p_value == pytest.approx(expected, abs=1e-12)


def test_five_shared_seeds_cannot_reject() -> None:
    result = paired_permutation_test([9.0, 8.0, 7.0, 9.0, 8.0], np.zeros(5))
    assert result.p_value == result.smallest_p == 0.0625
    assert not result.can_reject(0.05)
    assert paired_permutation_test(np.arange(1.0, 7.0), np.zeros(6)).can_reject(0.05)
    assert paired_permutation_test(np.ones(5), np.zeros(5), alternative="greater").p_value == 1 / 32
    # Holm's first step over seven contrasts: nine seeds, not eight.
    assert [smallest_sign_flip_p(n) <= 0.05 / 7 for n in (8, 9)] == [False, True]


def test_a_seed_flips_on_all_environments_at_once() -> None:
    # One difference a seed: two seeds have two-sided p-values of 1/2 and 1, however many environments there are.
    assert paired_permutation_test(np.ones((2, 50)), np.zeros((2, 50))).p_value == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"statistic": "max"}, "unknown statistic 'max'"),
        ({"alternative": "bigger"}, "unknown alternative 'bigger'"),
        ({"resamples": 0}, "at least 1"),
    ],
)
def test_permutation_test_refuses_impossible_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        permutation_test(X, Y, **arguments)  # type: ignore[arg-type]


def test_paired_sides_need_the_same_seeds() -> None:
    with pytest.raises(ValueError, match=r"same seeds and environments: shapes \(30, 8\) and \(29, 8\)"):
        paired_permutation_test(X, Y[:29])
    with pytest.raises(ValueError, match="NaN"):
        paired_permutation_test([1.0, np.nan], [0.0, 0.0])


def test_diverged_runs_have_an_order_but_no_mean() -> None:
    x, y = [1.0, 2.0, 3.0], [0.0, -np.inf, 0.5]
    assert permutation_test(x, y, statistic="probability_of_improvement").p_value == 2 / 20
    with pytest.raises(ValueError, match="infinity, which has no mean"):
        permutation_test(x, y)
    with pytest.raises(ValueError, match="infinity, which has no mean"):
        paired_permutation_test(x, y)
