"""What is listed as exact is exact, against NumPy; what is not is refused, with its place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rlbench import exact
from rlbench.errors import ConfigError
from rlbench.exact.operations import inexact, traced
from rlbench.lanes.fast.compiling import Computation

GENERATOR = torch.Generator().manual_seed(0)
X, Y = (torch.rand(10_007, generator=GENERATOR) * 100 - 50 for _ in range(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (torch.add, np.add), (torch.sub, np.subtract), (torch.mul, np.multiply), (torch.div, np.divide),
        (torch.maximum, np.maximum), (torch.minimum, np.minimum),
        (lambda x, y: torch.reciprocal(x), lambda x, y: 1 / x), (lambda x, y: torch.round(x), lambda x, y: np.round(x)),
        (lambda x, y: torch.floor(x), lambda x, y: np.floor(x)), (lambda x, y: torch.ceil(x), lambda x, y: np.ceil(x)),
        (lambda x, y: torch.trunc(x), lambda x, y: np.trunc(x)), (lambda x, y: x / 3, lambda x, y: x / x.dtype.type(3)),
        (lambda x, y: x * 0.1, lambda x, y: x * x.dtype.type(0.1)), (lambda x, y: x**2, lambda x, y: x * x),
        (lambda x, y: 1 - x, lambda x, y: 1 - x), (lambda x, y: x.clamp(-3, 0.1), lambda x, y: np.clip(x, x.dtype.type(-3), x.dtype.type(0.1))),
        (lambda x, y: exact.sqrt(x.abs()), lambda x, y: np.sqrt(np.abs(x))),
    ],
)  # fmt: skip
def test_operations_round_once(ours: Callable[..., Tensor], theirs: Callable[..., Any], dtype: torch.dtype) -> None:
    x, y = X.to(dtype), Y.to(dtype)
    assert np.array_equal(ours(x, y).numpy(), theirs(x.numpy(), y.numpy()))


def only(function: Callable[[Tensor], Tensor]) -> list[str]:
    return list(inexact(traced(lambda x: [function(x)], [torch.rand(3, 4, 5)])))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (torch.exp, "torch.exp may round differently elsewhere: use exact.exp of rlbench"),
        (torch.sqrt, "use exact.sqrt"),
        (lambda x: x.mean(), "torch.mean may"),
        (lambda x: x.sum(1), "use exact.sums"),
        (lambda x: torch.bmm(x, x.mT), "use exact.affine"),
        (lambda x: torch.lerp(x, x, 0.5), "use exact.lerp"),
        (lambda x: torch.add(x, x, alpha=0.3), "torch.add may"),
        (lambda x: x**3, "use exact.power"),
        (lambda x: torch.addcmul(x, x, x), "torch.addcmul may"),
        (lambda x: torch.nn.functional.softplus(x), "torch.softplus may"),
        (lambda x: torch.rsub(x, 1.0, alpha=0.3), "torch.rsub may"),
        (lambda x: x.round(decimals=3), "torch.round may"),
        (lambda x: torch.arange(0, 0.5, 0.1), "torch.arange may"),
        (lambda x: x.bfloat16(), "torch.to_copy may"),
        (lambda x: x.long().sum(1, dtype=torch.float32), "torch.sum may"),
        (lambda x: x.long().cumsum(1, dtype=torch.float32), "torch.cumsum may"),
        (lambda x: x.long().prod(1, dtype=torch.float32), "torch.prod may"),
        (lambda x: torch.remainder(x.long(), x), "torch.remainder may"),
        (lambda x: x.sort(-1).indices, "torch.sort may"),
        (lambda x: torch.zeros(3, 4, 5).scatter(-1, torch.zeros(3, 4, 5, dtype=torch.long), x), "torch.scatter may"),
    ],
)  # fmt: skip
def test_what_is_not_exact_is_named(function: Callable[[Tensor], Tensor], message: str) -> None:
    (line,) = only(function)
    assert message in line
    assert "test_operations.py" in line


@pytest.mark.parametrize(
    "function",
    [
        exact.exp, exact.tanh, exact.softmax, exact.sqrt, lambda x: exact.affine(x, x.mT), lambda x: x.argmax(1),
        lambda x: torch.where(x > 0, x, -x).clamp(max=1), lambda x: x.long().sum(1), lambda x: (x > 0.5).any(1),
        lambda x: x.sort(dim=-1, stable=True).indices, lambda x: x * torch.arange(5), lambda x: torch.arange(5, dtype=torch.float64) * x,
        lambda x: x.scatter(2, torch.ones(3, 4, 1, dtype=torch.long), x[..., :1]), lambda x: x.round(), lambda x: 1 - x,
    ],
)  # fmt: skip
def test_what_is_exact_passes(function: Callable[[Tensor], Tensor]) -> None:
    assert only(function) == []


def test_complex_numbers_are_refused() -> None:
    assert only(lambda x: (x * 1j).abs())


def stretched(x: Tensor, weight: Tensor) -> Tensor:
    return (x * weight)[0, 0]


def indexed(x: Tensor, weight: Tensor) -> Tensor:
    return (weight[torch.zeros(3, dtype=torch.long)] * x)[0, 0]


@pytest.mark.parametrize(("function", "name"), [(stretched, "sum"), (indexed, "index_put")])
@pytest.mark.parametrize("functional", [True, False])
def test_a_derivative_that_is_not_exact_is_found(
    function: Callable[[Tensor, Tensor], Tensor], name: str, functional: bool
) -> None:
    """Broadcasting a weight is exact, and the sum that is its derivative is not: the line that is to be changed is that of the first."""

    def computed(x: Tensor, weight: Tensor) -> list[Tensor]:
        if functional:
            return [torch.func.grad(function, argnums=1)(x, weight)]
        leaf = weight.detach().requires_grad_()
        with torch.enable_grad():
            return list(torch.autograd.grad(function(x, leaf), [leaf]))

    line = next(inexact(traced(computed, [torch.rand(3, 4), torch.rand(1, 4)])))
    assert f"torch.{name} may round differently elsewhere: use exact." in line
    assert f"(in the derivative of {__file__}, line {function.__code__.co_firstlineno + 1})" in line


class _Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * torch.exp(ctx.saved_tensors[0])


def test_a_backward_of_ones_own_is_named_by_its_own_line() -> None:
    def computed(x: Tensor) -> list[Tensor]:
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():
            return list(torch.autograd.grad(_Own.apply(leaf)[0, 0], [leaf]))

    (line,) = inexact(traced(computed, [torch.rand(3, 4)]))
    where = _Own.backward.__code__.co_firstlineno + 2
    assert line == f"torch.exp may round differently elsewhere: use exact.exp of rlbench ({__file__}, line {where})"


def test_an_exact_use_of_the_same_operation_is_not_blamed() -> None:
    def computed(x: Tensor) -> list[Tensor]:
        count = (x > 0).sum(0)
        return [count, x.sum(0)]

    (line,) = inexact(traced(computed, [torch.rand(3, 4)]))
    assert f"line {computed.__code__.co_firstlineno + 2})" in line


@pytest.mark.slow
def test_compiled_code_is_refused_where_it_is_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLBENCH_COMPILE", "1")
    with pytest.raises(ConfigError, match=r"torch\.exp may round differently elsewhere"):
        Computation(torch.exp).bind()(torch.rand(3))
