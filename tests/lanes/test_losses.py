"""Losses against torch.nn, values and gradients, with another delta in each lane."""

import math

import pytest
import torch
from torch import nn

from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import check, stack
from rlbench.lanes.choices.losses import Huber, Squared

DELTAS = (0.5, 1.0, 3.0)


def td_errors() -> torch.Tensor:
    """[3, 41] from -4 to 4, with 0 and every delta, positive and negative, among them."""
    return torch.linspace(-4, 4, 41).repeat(3, 1)


def test_squared_is_mse() -> None:
    ours, theirs = td_errors().requires_grad_(), td_errors().requires_grad_()
    loss, expected = Squared()(ours), nn.MSELoss(reduction="none")(theirs, torch.zeros(3, 41))
    assert torch.equal(loss, expected)
    loss.sum().backward()
    expected.sum().backward()
    assert ours.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


def test_huber_is_huber_with_each_lanes_own_delta() -> None:
    ours = td_errors().requires_grad_()
    loss = stack([Huber(delta) for delta in DELTAS])(ours)
    loss.sum().backward()
    assert ours.grad is not None
    for lane, delta in enumerate(DELTAS):
        theirs = td_errors()[lane].requires_grad_()
        expected = nn.HuberLoss(reduction="none", delta=delta)(theirs, torch.zeros(41))
        expected.sum().backward()
        torch.testing.assert_close(loss[lane], expected)
        torch.testing.assert_close(ours.grad[lane], theirs.grad)


def test_huber_by_hand() -> None:
    loss = Huber(2.0)(torch.tensor([[0.0, 1.0, -2.0, 3.0, -10.0]]))
    assert loss.tolist() == [[0.0, 0.5, 2.0, 4.0, 18.0]]


def test_a_single_choice_and_a_stack_of_it_agree() -> None:
    assert torch.equal(Huber(0.7)(td_errors()), stack([Huber(0.7)] * 3)(td_errors()))


def test_huge_errors_keep_a_finite_huber_gradient() -> None:
    """The quadratic branch overflows there, and must not leak into the linear one."""
    td_error = torch.tensor([[1e30, -1e30]], requires_grad=True)
    loss = Huber(1.0)(td_error)
    loss.sum().backward()
    assert bool(loss.isfinite().all())
    assert td_error.grad is not None
    assert td_error.grad.tolist() == [[1.0, -1.0]]


@pytest.mark.parametrize("delta", [0.0, -1.0, math.inf, math.nan])
def test_an_impossible_delta_is_refused(delta: float) -> None:
    with pytest.raises(ConfigError, match=r"^delta must be > 0; got"):
        check(Huber(delta))
