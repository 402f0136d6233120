"""Corrections for many tests by hand and against their step-down procedures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlbench.stats import holm


def test_holm_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9]).tolist() == [0.8, 0.9]
    assert holm([0.7, 0.6]).tolist() == [1.0, 1.0]
    assert holm([0.2]).tolist() == [0.2]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float], level: float) -> None:
    rejected = set()
    for step, place in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[place] * (len(p_values) - step) > level:
            break
        rejected.add(int(place))
    assert set(np.flatnonzero(holm(p_values) <= level).tolist()) == rejected


@pytest.mark.parametrize("p_values", [[], [0.5, np.nan], [1.5], [-0.1], [[0.5]]])
def test_holm_refuses_what_are_no_p_values(p_values: object) -> None:
    with pytest.raises(ValueError, match="p-values must"):
        holm(p_values)  # type: ignore[arg-type]
