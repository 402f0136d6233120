"""Optimisers step by step against torch.optim, with other numbers in each lane."""

import dataclasses
from typing import Any

import pytest
import torch
from plain_dqn import torch_optimizer

from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import check, stack
from rlbench.lanes.choices.optimizers import SGD, Adam, AdamW, RMSprop
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.training.lane_state import initial_state

from lane_runs import small_run  # isort: skip

NUM_STEPS = 25
SHAPES = ((6, 5), (1, 5), (3, 5))

# One cohort each: lanes differ in numbers, agree in structure.
COHORTS: dict[str, list[Any]] = {
    "adam": [Adam(), Adam(lr=0.1, beta1=0.5, beta2=0.9), Adam(lr=0.01, eps=1e-2, weight_decay=0.3), Adam(beta1=0.0)],
    "adam_amsgrad": [Adam(lr=0.02, beta2=0.5, amsgrad=True), Adam(weight_decay=0.1, beta2=0.0, amsgrad=True)],
    "adamw": [AdamW(), AdamW(lr=0.1, weight_decay=0.5), AdamW(lr=0.03, beta1=0.8, beta2=0.95, eps=1e-3)],
    "adamw_amsgrad": [AdamW(lr=0.02, beta2=0.5, amsgrad=True), AdamW(lr=1e-3, amsgrad=True)],
    "rmsprop": [RMSprop(), RMSprop(lr=1e-3, alpha=0.9, eps=0.01), RMSprop(weight_decay=0.2), RMSprop(momentum=0.9)],
    "rmsprop_centered": [RMSprop(centered=True), RMSprop(lr=1e-3, alpha=0.5, momentum=0.5, centered=True)],
    "sgd": [SGD(lr=0.1), SGD(lr=0.1, momentum=0.9), SGD(momentum=0.5, dampening=0.3), SGD(lr=0.2, weight_decay=0.1)],
    "sgd_without_momentum": [SGD(lr=0.1, dampening=0.5), SGD(lr=0.1, momentum=0.5, dampening=1.0)],
    "sgd_nesterov": [SGD(lr=0.1, momentum=0.9, nesterov=True), SGD(momentum=0.5, weight_decay=0.1, nesterov=True)],
}


def gradients_at(step: int, num_lanes: int) -> list[torch.Tensor]:
    """Gradients of very different sizes, growing and shrinking, some elements always zero."""
    generator = torch.Generator().manual_seed(step)
    found = []
    for shape in SHAPES:
        gradient = torch.randn(num_lanes, *shape, generator=generator)
        gradient *= 10.0 ** torch.randint(-3, 2, gradient.shape, generator=generator)
        gradient[..., 0] = 0.0
        found.append(gradient)
    return found


@pytest.mark.parametrize("cohort", COHORTS)
def test_every_step_is_that_of_torch(cohort: str) -> None:
    choices = COHORTS[cohort]
    generator = torch.Generator().manual_seed(99)
    params = [torch.randn(len(choices), *shape, generator=generator) for shape in SHAPES]
    theirs = [[torch.nn.Parameter(p[lane].clone()) for p in params] for lane in range(len(choices))]
    stock = [torch_optimizer(choice, own) for choice, own in zip(choices, theirs, strict=True)]

    stacked = stack(choices)
    slots = stacked.slots(params)
    powers = {name: torch.ones(len(choices), 1, dtype=torch.float64) for name in stacked.power_names}
    before = [p.clone() for p in params]
    for step in range(NUM_STEPS):
        gradients = gradients_at(step, len(choices))
        params, slots, powers = stacked.step(params, gradients, slots, powers)
        for lane, own in enumerate(theirs):
            for p, g in zip(own, gradients, strict=True):
                p.grad = g[lane].clone()
            stock[lane].step()
            for p, expected in zip(params, own, strict=True):
                torch.testing.assert_close(
                    p[lane], expected.detach(), rtol=1e-5, atol=2e-6, msg=f"step {step}, lane {lane}"
                )
    moved = [(p - old).abs().amax((1, 2)) for p, old in zip(params, before, strict=True)]
    assert all(bool((distance > 1e-3).all()) for distance in moved)


@pytest.mark.parametrize("cohort", COHORTS)
def test_a_step_leaves_what_it_was_given(cohort: str) -> None:
    """Parameters, gradients, slots and powers are new tensors: the update may still refuse the step."""
    stacked = stack(COHORTS[cohort])
    num_lanes = len(COHORTS[cohort])
    params = [torch.ones(num_lanes, *shape) for shape in SHAPES]
    slots = stacked.slots(params)
    powers = {name: torch.ones(num_lanes, 1, dtype=torch.float64) for name in stacked.power_names}
    gradients = gradients_at(0, num_lanes)
    stacked.step(params, gradients, slots, powers)
    assert all(bool((p == 1).all()) for p in params)
    assert all(not tensor.any() for tensors in slots.values() for tensor in tensors)
    assert all(bool((power == 1).all()) for power in powers.values())
    assert all(torch.equal(g, same) for g, same in zip(gradients, gradients_at(0, num_lanes), strict=True))


def test_defaults_are_torchs_apart_from_the_learning_rate() -> None:
    """The house's learning rate of 5e-4 for Adam and AdamW; everything else as in torch.optim."""
    names = {"lr", "eps", "weight_decay", "amsgrad", "alpha", "momentum", "centered", "dampening", "nesterov"}
    for choice in (Adam(), AdamW(), RMSprop(), SGD()):
        stock = type(torch_optimizer(choice, [torch.nn.Parameter(torch.zeros(1))]))
        defaults = stock([torch.nn.Parameter(torch.zeros(1))]).defaults
        ours = {f.name: getattr(choice, f.name) for f in dataclasses.fields(choice) if f.name in names}
        changed = {name for name, value in ours.items() if defaults[name] != value}
        assert changed == ({"lr"} if isinstance(choice, Adam) else set())
        if isinstance(choice, Adam):
            assert (choice.beta1, choice.beta2) == defaults["betas"]


@pytest.mark.parametrize("choice", [Adam(), AdamW(amsgrad=True), RMSprop(centered=True), SGD()])
def test_all_state_is_part_of_a_lanes_state(choice: Any) -> None:
    state = initial_state(small_run(Variant(optimizer=choice)))
    for name, tensors in choice.slots([state["online.0"]]).items():
        assert state[f"optimizer.{name}.0"].shape == state["online.0"].shape == tensors[0].shape
    assert [name for name in state if name.startswith("power.")] == [f"power.{name}" for name in choice.power_names]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Adam(lr=0.0), "lr must be > 0; got 0.0"),
        (Adam(lr=-1e-3), "lr must be > 0; got -0.001"),
        (AdamW(beta2=1.0), "beta2 must be 0 <= x < 1; got 1.0"),
        (RMSprop(eps=-1.0), "eps must be >= 0; got -1.0"),
        (SGD(momentum=1.5), "momentum must be 0 <= x < 1; got 1.5"),
    ],
)
def test_impossible_numbers_are_refused(choice: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(choice)
    assert str(caught.value) == message
