"""Curves reduced to one number a run by hand, and the simultaneous band against one-point intervals."""

import numpy as np
import pytest

from rlbench.stats import align_previous, iqm, simultaneous_band, student_interval
from rlbench.stats import welch_test as welch

CURVES = np.cumsum(np.random.default_rng(0).normal(size=(12, 15)), axis=1)


def test_alignment_takes_the_previous_value_and_never_the_next() -> None:
    aligned = align_previous([10, 25, 25, 40], [1.0, 2.0, 3.0, 4.0], [0, 10, 24, 25, 39, 100])
    assert aligned.tolist() == pytest.approx([np.nan, 1.0, 1.0, 3.0, 3.0, 4.0], nan_ok=True)
    assert np.isnan(align_previous([], [], [5])).all()
    with pytest.raises(ValueError, match="ascend"):
        align_previous([2, 1], [0.0, 0.0], [3])
    with pytest.raises(ValueError, match="both"):
        align_previous([1, 2], [0.0], [3])


def test_a_band_of_one_point_is_student_t() -> None:
    column = CURVES[:, 3]
    band = simultaneous_band(column, resamples=60_000)
    single = student_interval(column)
    assert band.estimate[0] == pytest.approx(single.estimate, rel=1e-12)
    assert band.high[0] - band.low[0] == pytest.approx(single.high - single.low, rel=0.02)


def test_a_band_of_one_point_of_a_difference_is_welch() -> None:
    x, y = CURVES[:, 3], 2 * CURVES[:9, 4]
    band = simultaneous_band(x, y, resamples=60_000)
    single = welch(x, y)
    assert band.estimate[0] == pytest.approx(single.estimate, rel=1e-12)
    assert (band.low[0], band.high[0]) == pytest.approx((single.low, single.high), abs=0.1)


def test_equal_curves_at_all_points_need_no_more_than_one_point() -> None:
    one, many = (simultaneous_band(np.tile(CURVES[:, [3]], (1, k)), resamples=20_000) for k in (1, 30))
    assert many.high[7] - many.low[7] == pytest.approx(one.high[0] - one.low[0], rel=0.03)


def test_more_independent_points_need_a_wider_band() -> None:
    noise = np.random.default_rng(1).normal(size=(12, 40))
    wide, narrow = simultaneous_band(noise), simultaneous_band(noise[:, :2])
    # Bonferroni's Student quantiles: 3.9 standard errors for 40 points, 2.6 for 2.
    ratio = (wide.high[0] - wide.low[0]) / (narrow.high[0] - narrow.low[0])
    assert 1.3 < ratio < 1.7


@pytest.mark.parametrize("statistic", ["mean", "iqm"])
def test_band_is_around_its_statistic_and_reproducible(statistic: str) -> None:
    band = simultaneous_band(CURVES, statistic=statistic, resamples=300, seed=2)
    expected = CURVES.mean(axis=0) if statistic == "mean" else [iqm(column) for column in CURVES.T]
    assert band.estimate.tolist() == pytest.approx(list(expected), rel=1e-12)
    assert (band.low < band.estimate).all()
    again = simultaneous_band(CURVES, statistic=statistic, resamples=300, seed=2)
    assert (band.low == again.low).all()
    assert (band.method, band.n, band.statistic) == ("simultaneous sup-t", 12, statistic)


def test_a_wild_run_moves_the_iqm_band_less() -> None:
    wild = CURVES.copy()
    wild[0] += 1_000.0
    mean, middle = (simultaneous_band(wild, statistic=name, resamples=300) for name in ("mean", "iqm"))
    assert (middle.high - middle.low < 0.1 * (mean.high - mean.low)).all()


def test_points_where_all_runs_agree_have_no_width_and_change_no_other() -> None:
    with_start = np.concatenate([np.zeros((12, 1)), CURVES], axis=1)
    band = simultaneous_band(with_start, resamples=500)
    assert band.low[0] == band.high[0] == 0.0
    assert np.isfinite(band.low).all()


def test_band_refuses_what_it_cannot_cover() -> None:
    with pytest.raises(ValueError, match="at least 3 runs"):
        simultaneous_band(CURVES, CURVES[:2])
    with pytest.raises(ValueError, match="grids differ: 15 and 14"):
        simultaneous_band(CURVES, CURVES[:, 1:])
    with pytest.raises(ValueError, match="NaN"):
        simultaneous_band([[1.0, np.nan]] * 4)
    with pytest.raises(ValueError, match="unknown statistic 'median'"):
        simultaneous_band(CURVES, statistic="median")
