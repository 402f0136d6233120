"""Time to threshold by hand, against SciPy's Kaplan-Meier, and without censoring against Student's t."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from rlbench.stats import student_interval, time_to_threshold

STEPS = np.array([10.0, 20.0, 30.0, 40.0])
# First at or above 5: at 20, at 40, never, at 20 (and below again), at 10.
CURVES = np.array(
    [[0.0, 5.0, 9.0, 9.0], [1.0, 2.0, 3.0, 5.0], [0.0, 4.9, 4.9, 4.9], [0.0, 6.0, 1.0, 1.0], [7.0, 0.0, 0.0, 0.0]]
)


def test_times_worked_by_hand() -> None:
    result = time_to_threshold(CURVES, STEPS, 5.0)
    assert result.times.tolist() == [20.0, 40.0, 40.0, 20.0, 10.0]
    assert result.reached.tolist() == [True, True, False, True, True]
    assert (result.n, result.num_reached, result.horizon) == (5, 4, 40.0)
    assert result.event_steps.tolist() == [10.0, 20.0, 40.0]
    assert result.waiting.tolist() == pytest.approx([0.8, 0.4, 0.2])
    assert result.median == 20.0
    assert result.restricted_mean == pytest.approx(np.mean([20, 40, 40, 20, 10]))


def test_with_no_run_lost_it_is_student_t_of_the_restricted_times() -> None:
    result = time_to_threshold(CURVES, STEPS, 5.0, level=0.9)
    expected = student_interval([20.0, 40.0, 40.0, 20.0, 10.0], level=0.9)
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    shorter = time_to_threshold(CURVES, STEPS, 5.0, horizon=25.0)
    expected = student_interval([20.0, 25.0, 25.0, 20.0, 10.0])
    assert shorter.restricted_mean == pytest.approx(expected.estimate, rel=1e-12)
    assert (shorter.low, shorter.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_runs_lost_on_the_way_are_censored_as_scipy_does() -> None:
    rng = np.random.default_rng(0)
    steps = np.arange(1.0, 41.0)
    times, ends = rng.integers(1, 40, size=60), rng.integers(5, 41, size=60)
    result = time_to_threshold((steps >= times[:, np.newaxis]) * 1.0, steps, 0.5, ends=ends)
    data = scipy_stats.CensoredData.right_censored(np.minimum(times, ends), times > ends)
    survival = scipy_stats.ecdf(data).sf
    assert result.num_reached == (times <= ends).sum()
    assert result.waiting.tolist() == pytest.approx(survival.evaluate(result.event_steps).tolist(), abs=1e-12)
    area = np.trapezoid(survival.evaluate(np.floor(np.linspace(0, 30, 300_001)[:-1])), dx=30 / 300_000)
    shorter = time_to_threshold((steps >= times[:, np.newaxis]) * 1.0, steps, 0.5, ends=ends, horizon=30.0)
    assert shorter.restricted_mean == pytest.approx(area, abs=0.01)


def test_greenwood_worked_by_hand() -> None:
    # Times 10 and 20 of 4 runs, one lost at 10 (still at risk there), one never: S = 3/4 then 3/8 up to 40.
    curves = [[9.0, 9.0, 9.0, 9.0], [0.0, 9.0, 9.0, 9.0], [0.0, np.nan, np.nan, np.nan], [0.0, 0.0, 0.0, 0.0]]
    result = time_to_threshold(curves, STEPS, 5.0, ends=[40, 40, 10, 40])
    assert result.waiting.tolist() == [0.75, 0.375]
    assert result.restricted_mean == pytest.approx(10 + 7.5 + 0.375 * 20)
    variance = (7.5 + 7.5) ** 2 * 1 / (4 * 3) + 7.5**2 * 1 / (2 * 1)
    half = scipy_stats.t.ppf(0.975, 3) * np.sqrt(variance * 4 / 3)
    assert result.high - result.restricted_mean == pytest.approx(half, rel=1e-12)


def test_the_horizon_is_the_end_of_the_grid_unless_all_were_lost_before() -> None:
    fast = time_to_threshold(np.full((3, 4), 9.0), STEPS, 5.0)
    assert (fast.horizon, fast.restricted_mean) == (40.0, 10.0)
    assert time_to_threshold(CURVES, STEPS, 5.0, ends=[20, 30, 30, 20, 40]).horizon == 30.0


def test_what_a_run_did_after_its_end_is_not_read() -> None:
    result = time_to_threshold([[0.0, 0.0, 9.0, 9.0]] * 2, STEPS, 5.0, ends=[20, 40])
    assert result.reached.tolist() == [False, True]
    assert result.times.tolist() == [20.0, 30.0]


def test_where_nobody_gets_there_the_median_is_none_and_the_mean_is_the_horizon() -> None:
    result = time_to_threshold(CURVES, STEPS, 100.0)
    assert (result.median, result.num_reached) == (None, 0)
    assert (result.restricted_mean, result.low, result.high) == (40.0, 40.0, 40.0)


def test_one_run_has_no_interval() -> None:
    result = time_to_threshold(CURVES[0], STEPS, 5.0)
    assert result.restricted_mean == 20.0
    assert np.isnan([result.low, result.high]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": [10, 20, 20, 30]}, "ascend"),
        ({"steps": [10, 20, 30]}, "must match"),
        ({"horizon": 41.0}, "horizon"),
        ({"horizon": 0.0}, "horizon"),
        ({"ends": [40, 40]}, "one step a run"),
        ({"ends": [40, 40, 40, 40, np.nan]}, "NaN"),
        ({"curves": np.where(CURVES == 9.0, np.nan, CURVES)}, "2 NaN"),
        ({"threshold": np.nan}, "threshold"),
    ],
)
def test_time_to_threshold_refuses_what_it_cannot_count(arguments: dict[str, object], message: str) -> None:
    given = {"curves": CURVES, "steps": STEPS, "threshold": 5.0, **arguments}
    with pytest.raises(ValueError, match=message):
        time_to_threshold(**given)  # type: ignore[arg-type]
