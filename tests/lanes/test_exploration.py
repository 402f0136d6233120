"""Exploration schedules before, at, between and after every breakpoint, and the actions that follow from them."""

import math
from typing import Any

import pytest
import torch
from lane_runs import SMALL, fresh, small_run, with_fields

from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import check, stack
from rlbench.lanes.choices.exploration import Constant, Exponential, Linear, Multiplicative
from rlbench.lanes.steps.noise import acting_noise
from rlbench.lanes.training.lane_state import join


def epsilon(choice: Any, *n: int) -> list[float]:
    """Epsilon after n earlier actions, for each n; `choice` as the lane between two others with other numbers."""
    at = torch.tensor([n] * 3, dtype=torch.float64)
    other = with_fields(choice, **{name: getattr(choice, name) * 0.9 for name in OTHER[type(choice)]})
    return stack([other, choice, other]).epsilon(at)[1].tolist()


OTHER = {
    Constant: ("value",),
    Linear: ("start", "decay_steps"),
    Exponential: ("start", "decay_steps"),
    Multiplicative: ("start", "factor"),
}


def test_constant() -> None:
    assert epsilon(Constant(0.3), 0, 1, 10**9) == [0.3, 0.3, 0.3]


def test_linear() -> None:
    schedule = Linear(start=1.0, end=0.2, decay_fraction=None, decay_steps=100)
    found = epsilon(schedule, 0, 1, 25, 50, 99, 100, 101, 10**9)
    assert found == pytest.approx([1.0, 0.992, 0.8, 0.6, 0.208, 0.2, 0.2, 0.2], abs=1e-15)
    assert found[0] == 1.0


def test_linear_may_rise() -> None:
    schedule = Linear(start=0.1, end=0.9, decay_fraction=None, decay_steps=4)
    assert epsilon(schedule, 0, 2, 4, 8) == pytest.approx([0.1, 0.5, 0.9, 0.9])


def test_exponential() -> None:
    schedule = Exponential(start=0.9, end=0.1, decay_steps=50.0)
    expected = [0.9, 0.1 + 0.8 * math.exp(-0.02), 0.1 + 0.8 / math.e, 0.1 + 0.8 * math.exp(-4), 0.1]
    assert epsilon(schedule, 0, 1, 50, 200, 10**6) == pytest.approx(expected, abs=1e-12)


def test_multiplicative() -> None:
    """0.5**n meets the floor of 0.1 between n = 3 (0.125) and n = 4 (0.0625)."""
    schedule = Multiplicative(start=1.0, factor=0.5, floor=0.1)
    expected = [1.0, 0.5, 0.25, 0.125, 0.1, 0.1, 0.1]
    assert epsilon(schedule, 0, 1, 2, 3, 4, 5, 10**6) == pytest.approx(expected, rel=1e-15)


def test_multiplicative_agrees_with_repeated_products() -> None:
    schedule, value = Multiplicative(start=0.8, factor=0.995, floor=0.01), 0.8
    found = epsilon(schedule, *range(1000))
    for one in found:
        assert one == pytest.approx(max(0.01, value), rel=1e-12)
        value *= 0.995


def test_a_fraction_of_the_budget_is_written_out() -> None:
    found = Linear(decay_fraction=0.2).resolved(50_000)
    assert (found.decay_steps, found.decay_fraction) == (10_000, None)
    assert Linear(decay_fraction=1e-9).resolved(10).decay_steps == 1


def test_steps_of_the_decay_replace_its_fraction() -> None:
    found = Linear(decay_fraction=0.2, decay_steps=7).resolved(None)
    assert (found.decay_steps, found.decay_fraction) == (7, None)


def test_a_fraction_of_a_budget_in_episodes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"with episodes=N set exploration\.decay_steps"):
        Linear(decay_fraction=0.2).resolved(None)


def test_a_decay_of_unknown_length_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs exploration\.decay_steps or exploration\.decay_fraction"):
        Linear(decay_fraction=None).resolved(1000)


@pytest.mark.parametrize("schedule", [Constant(0.3), Exponential(), Multiplicative()])
def test_other_schedules_do_not_depend_on_the_budget(schedule: Any) -> None:
    assert schedule.resolved(1000) is schedule


@pytest.mark.parametrize(
    ("schedule", "name"),
    [
        (Constant(1.5), "value"),
        (Linear(start=-0.1), "start"),
        (Linear(decay_fraction=0.0), "decay_fraction"),
        (Linear(decay_steps=0), "decay_steps"),
        (Exponential(decay_steps=0.0), "decay_steps"),
        (Multiplicative(factor=1.01), "factor"),
        (Multiplicative(floor=2.0), "floor"),
    ],
)
def test_impossible_numbers_are_refused(schedule: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} must be"):
        check(schedule)


def test_a_lane_explores_as_often_as_epsilon_says() -> None:
    """Lanes with epsilon 0, 0.25, 0.75 and 1 over 1000 steps; the standard error of a share is at most 0.014."""
    runs = [small_run(with_fields(SMALL, exploration=Constant(value)), seed=5) for value in (0.0, 0.25, 0.75, 1.0)]
    state = join([fresh(run).state for run in runs])
    noise = acting_noise(state, stack([run.variant for run in runs]), 1000, 3, None)
    assert noise.explores.shape == noise.uniform_action.shape == (1000, 4)
    assert noise.explores.double().mean(0).tolist() == pytest.approx([0.0, 0.25, 0.75, 1.0], abs=0.05)
    assert not noise.explores[:, 0].any()
    assert bool(noise.explores[:, 3].all())
    shares = torch.bincount(noise.uniform_action[:, 0], minlength=3) / 1000
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.06)


def test_each_lane_is_at_its_own_place_of_the_schedule() -> None:
    schedule = Linear(start=1.0, end=0.0, decay_fraction=None, decay_steps=100)
    runs = [small_run(with_fields(SMALL, exploration=schedule), seed=seed) for seed in (0, 1)]
    state = join([fresh(run).state for run in runs])
    state["env_steps"][1] = 60
    noise = acting_noise(state, stack([run.variant for run in runs]), 50, 2, None)
    assert noise.epsilon[0].tolist() == pytest.approx([1 - n / 100 for n in range(50)])
    assert noise.epsilon[1].tolist() == pytest.approx([max(0.0, 0.4 - n / 100) for n in range(50)])
