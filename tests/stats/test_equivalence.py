"""Two one-sided tests against SciPy's one-sided tests and against their own interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from rlbench.stats import equivalence_test

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=20), RNG.normal(size=14) * 2


def test_unpaired_p_value_is_the_larger_of_scipys_two_one_sided_welch_tests() -> None:
    for margin in (0.3, 1.0, 2.0):
        above = scipy_stats.ttest_ind(X + margin, Y, equal_var=False, alternative="greater").pvalue
        below = scipy_stats.ttest_ind(X - margin, Y, equal_var=False, alternative="less").pvalue
        assert equivalence_test(X, Y, margin).p_value == pytest.approx(max(above, below), rel=1e-10)


def test_paired_p_value_is_the_larger_of_scipys_two_one_sided_t_tests() -> None:
    x, y = RNG.normal(size=(9, 3)), RNG.normal(size=(9, 3))
    differences = (x - y).mean(axis=1)
    above = scipy_stats.ttest_1samp(differences, -0.8, alternative="greater").pvalue
    below = scipy_stats.ttest_1samp(differences, 0.8, alternative="less").pvalue
    result = equivalence_test(x, y, 0.8, paired=True)
    assert result.p_value == pytest.approx(max(above, below), rel=1e-10)
    assert (result.method, result.n_x, result.n_y) == ("two one-sided paired t tests", 9, 9)


@given(st.floats(-3, 3), st.floats(0.01, 3), st.floats(0.01, 0.4), st.booleans())
def test_equivalent_is_an_interval_inside_the_margin(shift: float, margin: float, level: float, paired: bool) -> None:
    result = equivalence_test(X[:14] + shift, Y, margin, paired=paired, level=level)
    assert result.is_equivalent == (-margin <= result.low and result.high <= margin)


def test_no_difference_seen_in_few_runs_is_not_equivalence() -> None:
    assert not equivalence_test([0.0, 4.0, 8.0], [1.0, 4.0, 7.0], margin=1.0).is_equivalent


def test_sides_without_spread() -> None:
    assert equivalence_test([5.0, 5.0], [5.0, 5.0], 0.1).p_value == 0.0
    assert equivalence_test([6.0, 6.0], [5.0, 5.0], 0.5).p_value == 1.0
    # A difference of exactly the margin is not below it.
    assert not equivalence_test([6.0, 6.0], [5.0, 5.0], 1.0).is_equivalent


@pytest.mark.parametrize("margin", [0.0, -1.0, np.nan])
def test_margin_must_be_declared(margin: float) -> None:
    with pytest.raises(ValueError, match="margin must be above 0"):
        equivalence_test(X, Y, margin)


def test_equivalence_refuses_too_few_runs() -> None:
    with pytest.raises(ValueError, match="at least 2 runs on each side"):
        equivalence_test(X, [1.0], 0.5)
    with pytest.raises(ValueError, match="at least 2 shared seeds"):
        equivalence_test([1.0], [1.0], 0.5, paired=True)
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        equivalence_test(X, Y, 0.5, level=5)
