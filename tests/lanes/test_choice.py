"""Choices: stacked for many lanes, compared by structure, taken apart into numbers and back, refused when impossible."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lane_runs import SMALL, small_run, with_fields

from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import Choice, check, number, numbers, stack, structural, structure, with_numbers
from rlbench.lanes.choices.clipping import ClipNorm
from rlbench.lanes.choices.exploration import Constant, Linear
from rlbench.lanes.choices.losses import Huber, Squared
from rlbench.lanes.choices.networks import MLP, UniformPolicy
from rlbench.lanes.choices.optimizers import SGD, Adam, RMSprop
from rlbench.lanes.choices.registry import CLASSES
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.targets import NoTarget, Periodic
from rlbench.lanes.choices.variant import Budget, Environment, Evaluation, Variant, check_run

ALL_CHOICES = [*(cls for members in CLASSES.values() for cls in members), Variant]


@pytest.mark.parametrize("choice", ALL_CHOICES)
def test_every_field_says_what_it_is(choice: Any) -> None:
    """A number or structure, with a meaning; or itself a choice. The defaults are possible, and frozen."""
    for field in dataclasses.fields(choice):
        if isinstance(field.default, Choice):
            continue
        assert field.metadata["role"] in ("number", "structure")
        assert field.metadata["meaning"]
    check(choice())
    assert hash(choice()) == hash(choice())


def test_stacking_makes_a_tensor_of_each_number() -> None:
    stacked = stack([Huber(0.5), Huber(1.0)])
    assert isinstance(stacked, Huber)
    assert torch.equal(torch.as_tensor(stacked.delta), torch.tensor([[0.5], [1.0]]))


def test_numbers_of_precise_choices_are_float64() -> None:
    """0.999 in float32 would give another second moment after thousands of steps."""
    stacked = stack([Adam(beta2=0.999), Adam(beta2=0.9)])
    assert torch.as_tensor(stacked.beta2).tolist() == [[0.999], [0.9]]
    assert torch.as_tensor(stack([Variant()]).discount).dtype == torch.float32


def test_stacking_reaches_nested_choices_and_turns_none_into_nan() -> None:
    lanes = [with_fields(SMALL, optimizer__lr=0.1), with_fields(SMALL, optimizer__lr=0.2, final_reward=-1.0)]
    stacked = stack(lanes)
    assert torch.as_tensor(stacked.optimizer.lr).tolist() == [[0.1], [0.2]]
    final_reward = torch.as_tensor(stacked.final_reward)[:, 0].tolist()
    assert math.isnan(final_reward[0])
    assert final_reward[1] == -1.0
    assert stacked.batch_size == SMALL.batch_size
    assert torch.as_tensor(stacked.bootstrap_on_truncation).tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Squared(), Huber()),
        (Adam(), Adam(amsgrad=True)),
        (Adam(), RMSprop()),
        (MLP((64, 64)), MLP((64,))),
        (Variant(), Variant(batch_size=32)),
        (Variant(), Variant(double=True)),
        (Variant(), Variant(loss=Huber())),
        (Variant(), Variant(replay=Uniform(capacity=77))),
        (Variant(), Variant(target=Periodic(unit="steps"))),
    ],
)
def test_different_structures_cannot_be_stacked(one: Any, other: Any) -> None:
    assert structure(one) != structure(other)
    with pytest.raises(ValueError, match="one structure"):
        stack([one, other])


def test_hard_and_soft_targets_are_one_structure() -> None:
    hard, soft = Variant(target=Periodic(every=250)), Variant(target=Periodic(every=1, tau=0.005))
    assert structure(hard) == structure(soft)


def test_numbers_do_not_change_the_structure() -> None:
    changed = Variant(loss=Huber(3.0), optimizer=Adam(lr=1.0, beta1=0.1), discount=0.5, exploration=Linear(start=0.3))
    assert structure(changed) == structure(Variant(loss=Huber()))


def test_what_makes_a_cohort() -> None:
    run = small_run()
    same = [
        dataclasses.replace(run, seed=9),
        dataclasses.replace(run, budget=Budget(steps=None, episodes=5)),
        dataclasses.replace(run, evaluation=Evaluation(period=7, episodes=run.evaluation.episodes)),
        dataclasses.replace(run, namespace="tune"),
        dataclasses.replace(run, variant=with_fields(SMALL, optimizer__lr=0.3)),
    ]
    other = [
        dataclasses.replace(run, env=Environment("CartPole-v1")),
        dataclasses.replace(run, evaluation=Evaluation(period=50, episodes=9)),
        dataclasses.replace(run, variant=with_fields(SMALL, batch_size=9)),
    ]
    assert all(one.cohort_key() == run.cohort_key() for one in same)
    assert all(one.cohort_key() != run.cohort_key() for one in other)


@given(
    lr=st.floats(1e-6, 1.0),
    delta=st.floats(0.1, 10.0),
    every=st.integers(1, 1000),
    final_reward=st.none() | st.integers(-5, 5),
)
def test_numbers_and_with_numbers_are_inverse(lr: float, delta: float, every: int, final_reward: int | None) -> None:
    full = Variant(
        loss=Huber(delta),
        optimizer=SGD(lr=lr),
        target=Periodic(every=every),
        final_reward=final_reward,
        clip=ClipNorm(2),
    )
    values = numbers(full)
    assert values["loss.delta"] == delta
    assert values["final_reward"] == final_reward
    assert "batch_size" not in values
    blank = Variant(loss=Huber(), optimizer=SGD(), clip=ClipNorm())
    assert with_numbers(blank, values) == full
    assert numbers(with_numbers(blank, values)) == values


def test_a_lane_of_a_stack_is_the_choice_that_went_in() -> None:
    lanes = [with_fields(SMALL, optimizer__lr=value, target__every=3) for value in (0.25, 0.5)]
    values = {name: tensor[1:2] for name, tensor in numbers(stack(lanes)).items()}
    again, expected = numbers(with_numbers(SMALL, values)), numbers(stack([lanes[1]]))
    assert again.keys() == expected.keys()
    for name, tensor in again.items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0, equal_nan=True)


@dataclasses.dataclass(frozen=True)
class Sample(Choice):
    """A choice with every kind of bound."""

    kind = "sample"
    open: float = number(0.5, "between 0 and 1, exclusive", "0 < x < 1")
    free: float = number(0.0, "anything finite")
    sizes: tuple[int, ...] = structural((1,), "sizes", ">= 1")
    word: str = structural("a", "a word", allowed=("a", "b"))
    inner: Huber = Huber()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"open": 0.0}, "open must be 0 < x < 1; got 0.0"),
        ({"open": 1.0}, "open must be 0 < x < 1; got 1.0"),
        ({"open": math.nan}, "open must be 0 < x < 1; got nan"),
        ({"free": math.inf}, "free must be finite; got inf"),
        ({"sizes": (3, 0)}, "sizes must be >= 1; got 0"),
        ({"word": "c"}, "word must be one of a, b; got 'c'"),
        ({"inner": Huber(-2.0)}, "inner.delta must be > 0; got -2.0"),
    ],
)
def test_the_first_impossible_value_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(Sample(**changes))
    assert str(caught.value) == message


def test_possible_values_pass() -> None:
    check(Sample(open=0.999, free=-1e30, sizes=(), word="b", inner=Huber(1e-9)))


def test_a_prefix_is_part_of_the_name() -> None:
    with pytest.raises(ConfigError, match=r"^env\.max_env_steps must be >= 1; got 0$"):
        check(Environment(max_env_steps=0), "env.")


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (with_fields(SMALL, batch_size=201), "batch_size 201 is larger than replay.capacity 200"),
        (with_fields(SMALL, replay__warmup=201), "replay.warmup 201 is larger than replay.capacity 200"),
        (
            with_fields(SMALL, batch_size=21, replay__replacement=False),
            "replay.replacement=false needs replay.warmup of at least batch_size 21; got 20",
        ),
        (with_fields(SMALL, optimizer=SGD(nesterov=True)), "optimizer.nesterov needs optimizer.momentum above 0"),
        (
            with_fields(SMALL, optimizer=SGD(momentum=0.5, dampening=0.1, nesterov=True)),
            "optimizer.nesterov needs optimizer.momentum above 0 and optimizer.dampening 0",
        ),
        (with_fields(SMALL, discount=1.01), "discount must be 0 <= x <= 1; got 1.01"),
        (with_fields(SMALL, update_period=0), "update_period must be >= 1; got 0"),
        (with_fields(SMALL, optimizer__lr=-1.0), "optimizer.lr must be > 0; got -1.0"),
        (with_fields(SMALL, target=Periodic(tau=0.0)), "target.tau must be 0 < x <= 1; got 0.0"),
        (with_fields(SMALL, target=Periodic(unit="days")), "target.unit must be one of steps, updates, episodes"),
    ],
)
def test_impossible_runs_are_refused(variant: Variant, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_run(small_run(variant, steps=2000))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("steps", "episodes"), [(None, None), (10, 10)])
def test_a_budget_is_in_steps_or_in_episodes(steps: int | None, episodes: int | None) -> None:
    with pytest.raises(ConfigError, match="exactly one of them"):
        check_run(small_run(steps=steps, episodes=episodes))


@pytest.mark.parametrize(
    "variant",
    [
        SMALL,
        Variant(network=UniformPolicy()),
        Variant(target=NoTarget(), exploration=Constant(0.0)),
        with_fields(SMALL, batch_size=20, replay__replacement=False),
        with_fields(SMALL, replay__warmup=200, batch_size=200),
        with_fields(SMALL, optimizer=SGD(momentum=0.5, nesterov=True)),
    ],
)
def test_possible_runs_pass(variant: Variant) -> None:
    check_run(small_run(variant, steps=2000))


@pytest.mark.parametrize(("key", "value"), [("evaluation", 121), ("warmup", 121)])
def test_a_budget_must_leave_something_to_see(key: str, value: int) -> None:
    if key == "warmup":
        run = small_run(with_fields(SMALL, replay__warmup=value), steps=120)
    else:
        run = small_run(SMALL, steps=120, evaluation=with_fields(small_run().evaluation, period=value))
    with pytest.raises(ConfigError, match=f"{value} is larger than steps 120"):
        check_run(run)
