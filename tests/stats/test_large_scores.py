"""Scores so large or so small that their squares are no floats: every statistic has the digits that it has elsewhere."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from rlbench.stats import (
    aggregate,
    equivalence_test,
    factorial_effects,
    hodges_lehmann,
    paired_permutation_test,
    permutation_test,
    pilot_sd,
    smallest_sign_flip_p,
    welch_test,
)

RNG = np.random.default_rng(8)
X, Y = RNG.normal(2.0, 1.0, 9), RNG.normal(1.0, 1.0, 9)
SCALES = [2.0**-560, 2.0**515, 2.0**1000]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("statistic", ["mean", "iqm", "welch_t", "probability_of_improvement"])
def test_permutation_tests(statistic: str, scale: float) -> None:
    plain, large = (
        permutation_test(X * factor, Y * factor, statistic=statistic, resamples=500) for factor in (1, scale)
    )
    assert large.p_value == plain.p_value
    unit = 1.0 if statistic == "probability_of_improvement" else scale
    assert large.estimate / unit == pytest.approx(plain.estimate, rel=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_the_paired_test_the_shift_the_spread_and_welch(scale: float) -> None:
    plain, large = (paired_permutation_test(X * factor, Y * factor) for factor in (1, scale))
    assert (large.p_value, large.estimate / scale) == pytest.approx((plain.p_value, plain.estimate), rel=1e-12)
    welch, huge = welch_test(X, Y), welch_test(X * scale, Y * scale)
    assert huge.p_value == pytest.approx(welch.p_value, rel=1e-12)
    assert huge.low is not None
    assert welch.low is not None
    assert huge.low / scale == pytest.approx(welch.low, rel=1e-12)
    assert hodges_lehmann(X * scale, Y * scale) / scale == pytest.approx(hodges_lehmann(X, Y), rel=1e-12)
    for paired in (True, False):
        sd = pilot_sd(X * scale, Y * scale, paired=paired) / scale
        assert sd == pytest.approx(pilot_sd(X, Y, paired=paired), rel=1e-12)
        same = equivalence_test(X * scale, Y * scale, 3.0 * scale, paired=paired)
        assert same.p_value == pytest.approx(equivalence_test(X, Y, 3.0, paired=paired).p_value, rel=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_effects(scale: float) -> None:
    cells = itertools.product((0, 1), (0, 1), range(7))
    frame = pd.DataFrame(list(cells), columns=["a", "b", "seed"])
    frame["env"] = "E"
    frame["score"] = RNG.normal(size=len(frame)) + frame["a"]
    plain = factorial_effects(frame, {"a": (0, 1), "b": (0, 1)})
    large = factorial_effects(frame.assign(score=frame["score"] * scale), {"a": (0, 1), "b": (0, 1)})
    for one, other in zip(plain.effects, large.effects, strict=True):
        assert other.p_adjusted == one.p_adjusted
        ends = (other.estimate, other.paired_low, other.unpaired_high, other.paired_error)
        assert [end / scale for end in ends] == pytest.approx(
            [one.estimate, one.paired_low, one.unpaired_high, one.paired_error], rel=1e-12
        )


def test_a_mean_of_the_largest_floats_is_a_float() -> None:
    assert aggregate([1.5e308, 1.0e308, 1.6e308], "mean") == pytest.approx(1.3667e308, rel=1e-4)
    assert math.isfinite(aggregate([1.5e308] * 9, "iqm"))


def test_the_smallest_p_of_very_many_seeds_is_a_number_above_0() -> None:
    assert smallest_sign_flip_p(5) == 0.0625
    assert smallest_sign_flip_p(2_500) > 0.0


def test_scores_without_spread_show_equivalence_only_where_others_would_have_been_seen() -> None:
    same = np.full(5, 500.0)
    assert equivalence_test(same, same, 25.0, paired=True).is_equivalent
    # A share of 25 / 500 of runs that differ by 500 is missed by 5 seeds with the chance 0.95^5.
    found = equivalence_test(same, same, 25.0, paired=True, reach=500.0)
    assert found.p_value == pytest.approx(0.95**5)
    many = np.full(80, 500.0)
    assert equivalence_test(many, many, 25.0, paired=True, reach=500.0).is_equivalent
    assert not equivalence_test(same, same, 25.0, reach=500.0).is_equivalent
