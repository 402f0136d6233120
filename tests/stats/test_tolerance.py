"""Tolerance intervals against the binomial law, published sample sizes, and what too few runs can claim."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from rlbench.stats import tolerance_interval


@pytest.mark.parametrize(
    ("content", "confidence", "side", "needed"),
    # Published first sizes of Wilks: two-sided 93 and 46, one-sided 59 and 29.
    [(0.95, 0.95, "both", 93), (0.9, 0.95, "both", 46), (0.95, 0.95, "lower", 59), (0.9, 0.95, "upper", 29)],
)
def test_the_smallest_sizes_are_wilks(content: float, confidence: float, side: str, needed: int) -> None:
    assert not tolerance_interval(np.arange(needed), content, confidence, side=side).is_short
    with pytest.raises(ValueError, match=f"{needed - 1} runs cannot bound .* it takes {needed};"):
        tolerance_interval(np.arange(needed - 1), content, confidence, side=side)


@given(st.integers(1, 200), st.floats(0.3, 0.99), st.floats(0.5, 0.99), st.sampled_from(["both", "lower", "upper"]))
def test_confidence_is_exact_and_the_interval_the_narrowest(
    n: int, content: float, confidence: float, side: str
) -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    result = tolerance_interval(values, content, confidence, side=side, too_few="relabel")
    low, high = max(result.low, 0.0), min(result.high, n + 1.0)
    gap = round(high - low)
    # The content between order statistics `gap` ranks apart exceeds c with the chance that fewer than gap of n fall in c.
    assert result.confidence == pytest.approx(scipy_stats.binom.cdf(gap - 1, n, content), abs=1e-9)
    if result.is_short:
        assert result.confidence < confidence
        assert gap == (n - 1 if side == "both" else n)
    else:
        assert result.confidence >= confidence
        assert scipy_stats.binom.cdf(gap - 2, n, content) < confidence + 1e-12


def test_sides_leave_the_other_end_open() -> None:
    lower, upper = (tolerance_interval(np.arange(100.0), 0.8, 0.9, side=side) for side in ("lower", "upper"))
    assert lower.high == np.inf
    assert upper.low == -np.inf
    assert 0.0 < lower.low < 20.0
    assert upper.high == 99.0 - lower.low


def test_a_two_sided_interval_cuts_both_ends_alike() -> None:
    result = tolerance_interval(np.arange(1.0, 201.0), 0.8, 0.9)
    assert abs((result.low - 1.0) - (200.0 - result.high)) <= 1.0
    assert result.low > 1.0


def test_too_few_runs_are_relabelled_with_what_they_can_claim() -> None:
    result = tolerance_interval([3.0, 1.0, 2.0], 0.9, 0.95, too_few="relabel")
    assert (result.low, result.high, result.is_short) == (1.0, 3.0, True)
    assert result.confidence == pytest.approx(1 - 3 * 0.9**2 + 2 * 0.9**3)  # 1 - n c^(n-1) + (n-1) c^n
    single = tolerance_interval([3.0], too_few="relabel")
    assert (single.low, single.high, single.confidence) == (3.0, 3.0, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"content": 1.0}, "content must lie between"),
        ({"confidence": 95}, "confidence must lie between"),
        ({"side": "left"}, "unknown side 'left'"),
        ({"too_few": "ignore"}, "unknown too_few 'ignore'"),
        ({"values": [1.0, np.nan]}, "NaN"),
    ],
)
def test_tolerance_refuses_impossible_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tolerance_interval(**{"values": np.arange(100.0), **arguments})  # type: ignore[arg-type]
