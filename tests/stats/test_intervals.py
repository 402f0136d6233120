"""Intervals against published reference values and SciPy, and their coverage by simulation."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from rlbench.stats import (
    bootstrap_interval,
    bootstrap_intervals,
    run_interval,
    simultaneous_band,
    student_interval,
    wilson_interval,
)
from rlbench.stats.aggregates import trimmed_mean
from rlbench.stats.bootstrap import resampled_columns

REFERENCE = Path(__file__).parent / "reference"
EXPECTED = json.loads((REFERENCE / "stat_reference.json").read_text())
SCORES = np.loadtxt(REFERENCE / "ref_X_30x8.csv", delimiter=",")


@pytest.mark.parametrize("statistic", ["iqm", "mean", "median", "optimality_gap"])
def test_bootstrap_interval_equals_the_published_one(statistic: str) -> None:
    interval = bootstrap_interval(SCORES, statistic=statistic, resamples=50_000, seed=1)
    low, high = EXPECTED["X_ci95_percentile_50k_rliable"][statistic]
    assert interval.estimate == pytest.approx(EXPECTED["X_point"][statistic], abs=1e-10)
    assert interval.low == pytest.approx(low, abs=0.003)
    assert interval.high == pytest.approx(high, abs=0.003)
    assert (interval.n, interval.resamples, interval.seed) == (30, 50_000, 1)
    assert (interval.statistic, interval.method, interval.level) == (statistic, "percentile bootstrap", 0.95)


def test_bootstrap_interval_agrees_with_scipy_on_one_environment() -> None:
    column = SCORES[:, 0]
    expected = scipy_stats.bootstrap(
        (column,),
        lambda x, axis: scipy_stats.trim_mean(x, 0.25, axis=axis),
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(5),
    ).confidence_interval
    interval = bootstrap_interval(column, resamples=20_000)
    assert interval.low == pytest.approx(expected.low, abs=0.02)
    assert interval.high == pytest.approx(expected.high, abs=0.02)


def test_bootstrap_resamples_within_each_environment() -> None:
    # Constant columns leave nothing to draw; mixing the environments would give an interval of width above 0.
    scores = np.tile([1.0, 5.0, 9.0], (12, 1))
    interval = bootstrap_interval(scores, statistic="mean", resamples=200)
    assert (interval.low, interval.estimate, interval.high) == (5.0, 5.0, 5.0)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    first = bootstrap_interval(SCORES, resamples=500, seed=3)
    assert bootstrap_interval(SCORES, resamples=500, seed=3) == first
    assert bootstrap_interval(SCORES, resamples=500, seed=4).low != first.low


def test_bootstrap_does_not_read_global_random_state() -> None:
    before = repr(np.random.get_state(legacy=False))
    bootstrap_interval(SCORES, resamples=100)
    assert repr(np.random.get_state(legacy=False)) == before


def test_wider_level_gives_wider_interval() -> None:
    wide, narrow = (bootstrap_interval(SCORES, resamples=2_000, level=level) for level in (0.99, 0.8))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"statistic": "imq"}, "unknown statistic 'imq'; one of iqm, median"),
        ({"method": "bcaa"}, "unknown method 'bcaa'; one of percentile, basic, bca"),
        ({"resamples": 0}, "at least 1"),
        ({"level": 95}, "between 0 and 1"),
    ],
)
def test_bootstrap_refuses_impossible_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(SCORES, **arguments)  # type: ignore[arg-type]


def test_bootstrap_refuses_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        bootstrap_interval([1.0, np.nan, 2.0])


@pytest.mark.parametrize("count", [2, 3, 9, 40])
def test_student_interval_equals_scipy(count: int) -> None:
    values = SCORES.ravel()[:count]
    expected = scipy_stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    interval = student_interval(values, level=0.9)
    assert interval.low == pytest.approx(expected.low, rel=1e-12)
    assert interval.high == pytest.approx(expected.high, rel=1e-12)
    assert interval.estimate == values.mean()
    assert (interval.statistic, interval.method, interval.n) == ("mean", "Student t", count)


def test_student_interval_needs_two_runs() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        student_interval([1.0])


def test_student_interval_refuses_a_table() -> None:
    with pytest.raises(ValueError, match="one number a run"):
        student_interval(SCORES)


def test_run_interval_is_student_below_ten_runs_and_bootstrap_from_ten() -> None:
    assert run_interval(SCORES[:9, 0]) == student_interval(SCORES[:9, 0])
    assert run_interval(SCORES[:10, 0]) == bootstrap_interval(SCORES[:10, 0])


def test_one_run_has_an_estimate_and_no_interval() -> None:
    interval = run_interval([4.0])
    assert interval.estimate == 4.0
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)
    assert interval.method == "none (one run)"


def test_equal_runs_have_an_interval_of_width_zero() -> None:
    for count in (5, 20):
        interval = run_interval(np.full(count, 500.0))
        assert (interval.low, interval.estimate, interval.high) == (500.0, 500.0, 500.0)


def test_results_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        run_interval([1.0, 2.0]).low = 0.0  # type: ignore[misc]


@pytest.mark.parametrize(("count", "least"), [(3, 0.93), (5, 0.93), (9, 0.93), (10, 0.90), (30, 0.92)])
def test_coverage_of_run_interval(count: int, least: float) -> None:
    # 600 data sets from a normal law: Monte-Carlo error 0.009. The IQM of a symmetric law is its mean.
    rng = np.random.default_rng(count)
    covered = 0
    for _ in range(600):
        interval = run_interval(rng.normal(size=count), resamples=400)
        covered += interval.low <= 0.0 <= interval.high
    assert least <= covered / 600 <= 0.98


@pytest.mark.parametrize("method", ["percentile", "basic", "BCa"])
def test_every_bootstrap_method_equals_scipy(method: str) -> None:
    low, high = EXPECTED["X_iqm_ci_scipy_stratified"][method]
    interval = bootstrap_interval(SCORES, "iqm", method.lower(), resamples=50_000)
    assert interval.low == pytest.approx(low, abs=0.003)
    assert interval.high == pytest.approx(high, abs=0.003)
    assert interval.method == f"{method} bootstrap"


def test_bca_of_a_skewed_mean_equals_scipy() -> None:
    # Here bias and acceleration move the upper end by 0.2: a percentile interval fails this test.
    values = np.random.default_rng(2).exponential(size=12) ** 2
    expected = scipy_stats.bootstrap((values,), np.mean, method="BCa", n_resamples=40_000, rng=np.random.default_rng(1))
    interval = bootstrap_interval(values, "mean", "bca", resamples=40_000)
    plain = bootstrap_interval(values, "mean", "percentile", resamples=40_000)
    assert interval.low == pytest.approx(expected.confidence_interval.low, abs=0.05)
    assert interval.high == pytest.approx(expected.confidence_interval.high, abs=0.15)
    assert interval.high - plain.high > 0.18


def test_basic_mirrors_the_percentile_interval_at_the_estimate() -> None:
    percentile, basic = (bootstrap_interval(SCORES, "mean", method) for method in ("percentile", "basic"))
    assert basic.low == pytest.approx(2 * percentile.estimate - percentile.high, rel=1e-12)
    assert basic.high == pytest.approx(2 * percentile.estimate - percentile.low, rel=1e-12)


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
def test_one_run_and_equal_runs_leave_nothing_to_draw(method: str) -> None:
    for scores in ([0.1], np.full((7, 3), 0.1)):
        interval = bootstrap_interval(scores, method=method, resamples=50)
        assert (interval.low, interval.high) == pytest.approx((0.1, 0.1), rel=1e-12)


def test_statistics_asked_for_together_equal_those_asked_for_alone() -> None:
    together = bootstrap_intervals(SCORES, resamples=3_000, seed=8, target=0.5)
    assert list(together) == ["iqm", "median", "mean", "optimality_gap"]
    for name, interval in together.items():
        assert interval == bootstrap_interval(SCORES, name, resamples=3_000, seed=8, target=0.5)


def test_ragged_runs_are_resampled_within_their_environment() -> None:
    ragged = {"a": [1.0] * 4, "b": [7.0] * 9}
    interval = bootstrap_interval(ragged, "mean", resamples=100)
    assert (interval.low, interval.high, interval.n) == (4.0, 4.0, 4)
    equal = {str(place): column for place, column in enumerate(SCORES.T)}
    assert bootstrap_interval(equal, resamples=500) == bootstrap_interval(SCORES, resamples=500)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (10, 10), (1, 1), (40, 320)])
def test_wilson_interval_equals_scipy(successes: int, n: int) -> None:
    expected = scipy_stats.binomtest(successes, n).proportion_ci(0.9, method="wilson")
    interval = wilson_interval(successes, n, level=0.9)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert interval.estimate == successes / n


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_interval_refuses_what_is_no_rate(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(successes, n)


CARTPOLE = (0.0, 500.0)


def test_an_interval_is_cut_where_no_score_can_be() -> None:
    values = [10.0, 20.0, 30.0, 90.0]
    free, cut = student_interval(values), student_interval(values, possible=CARTPOLE)
    assert free.low < 0.0
    assert (cut.low, cut.high, cut.is_cut) == (0.0, free.high, True)
    assert student_interval(values, possible=(-1e3, 1e3)) == free
    assert run_interval(values, possible=CARTPOLE) == cut


def test_few_equal_runs_do_not_show_that_all_are_equal() -> None:
    # Of 5 runs at 500, up to 1 - 0.025^(1/5) = 0.522 of all runs may be at 0.
    interval = student_interval([500.0] * 5, possible=CARTPOLE)
    assert interval.method == "exact binomial (all runs equal)"
    assert (interval.low, interval.estimate, interval.high) == (pytest.approx(239.1, abs=0.1), 500.0, 500.0)
    expected = scipy_stats.binomtest(5, 5).proportion_ci(0.95, method="exact")
    assert interval.low == pytest.approx(500.0 * expected.low, rel=1e-12)
    middle = student_interval([100.0] * 5, possible=CARTPOLE)
    assert (middle.low, middle.high) == pytest.approx((47.8, 308.7), abs=0.1)


def test_a_score_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="leave the possible range"):
        student_interval([1.0, 501.0], possible=CARTPOLE)


@pytest.mark.parametrize("power", [-560, 515, 1000])
def test_scores_at_the_ends_of_the_floats_have_the_same_intervals(power: int) -> None:
    scale = 2.0**power
    for values in (SCORES[:5, 0], SCORES[:12, 0]):
        plain, large = run_interval(values, resamples=300), run_interval(values * scale, resamples=300)
        ends = (large.estimate / scale, large.low / scale, large.high / scale)
        assert ends == pytest.approx((plain.estimate, plain.low, plain.high), rel=1e-14)
    for name in ("mean", "iqm"):
        plain_band, large_band = (
            simultaneous_band(SCORES[:9] * factor, statistic=name, resamples=50) for factor in (1.0, scale)
        )
        assert np.allclose(large_band.low / scale, plain_band.low, rtol=1e-12)
        assert np.allclose(large_band.estimate / scale, plain_band.estimate, rtol=1e-12)


def test_a_band_is_cut_where_no_score_can_be() -> None:
    curves = np.clip(400.0 + 150.0 * SCORES[:6], 0.0, 500.0)
    free, cut = simultaneous_band(curves, resamples=200), simultaneous_band(curves, resamples=200, possible=CARTPOLE)
    assert free.high.max() > 500.0
    assert cut.is_cut
    assert (cut.high == np.minimum(free.high, 500.0)).all()
    assert not free.is_cut


@pytest.mark.parametrize("method", ["percentile", "basic"])
def test_resamples_of_many_runs_are_ordered_by_ranks_without_another_bit(method: str) -> None:
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=400), np.round(rng.uniform(0.0, 5.0, 300)), np.full(257, 3.7)):
        drawn = [trimmed_mean(one) for (one,) in resampled_columns([values], 500, np.random.default_rng(3))]
        low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
        if method == "basic":
            low, high = 2.0 * trimmed_mean(values) - high, 2.0 * trimmed_mean(values) - low
        found = bootstrap_interval(values, "iqm", method, resamples=500, seed=3)
        assert (found.low, found.high) == (low, high)
