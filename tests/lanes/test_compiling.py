"""Compiled code and what it checks of its arguments."""

import pytest
import torch
from torch import Tensor

from rlbench.lanes.compiling import can_compile, compiled


def twice(scale: Tensor, obs: Tensor) -> Tensor:
    return scale * obs * 2


def halved(scale: Tensor, obs: Tensor) -> Tensor:
    return scale / 2


@pytest.fixture(autouse=True)
def compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLBENCH_COMPILE", "1")
    if not can_compile():
        pytest.skip("no C++ compiler here: nothing is compiled")


def test_a_checked_argument_may_have_several_shapes() -> None:
    computation = compiled(twice, ("obs",))
    for size in (1, 3, 1, 5):
        assert torch.equal(computation(torch.ones(1), torch.arange(float(size))), 2 * torch.arange(float(size)))


def test_an_argument_that_the_compiler_does_not_check_is_an_error() -> None:
    with pytest.raises(Exception, match="halved: the compiler has no check of obs"):
        compiled(halved, ("obs",))(torch.ones(1), torch.ones(1))
