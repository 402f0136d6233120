"""Elementary functions against mpmath and PyTorch in float64, their derivatives, and their special values."""

import math
from collections.abc import Callable

import mpmath
import pytest
import torch
from torch import Tensor

from rlbench import exact

INF, NAN = math.inf, math.nan


def numbers(low: float, high: float) -> Tensor:
    return torch.rand(3_001, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * (high - low) + low


@pytest.mark.parametrize(
    ("ours", "true", "x"),
    [
        (exact.exp, mpmath.exp, numbers(-700, 700)),
        (exact.exp, mpmath.exp, numbers(-1, 1)),
        (exact.log, mpmath.log, numbers(0.3, 3)),
        (exact.log, mpmath.log, torch.exp(numbers(-700, 700))),
    ],
    ids=["exp", "exp near 0", "log near 1", "log"],
)
def test_float64_is_within_a_unit_in_the_last_place(
    ours: Callable[[Tensor], Tensor], true: Callable[[float], mpmath.mpf], x: Tensor
) -> None:
    with mpmath.workdps(40):
        for value, argument in zip(ours(x).tolist(), x.tolist(), strict=True):
            expected = true(argument)
            assert abs(value - expected) <= math.ulp(float(expected)), argument


@pytest.mark.parametrize(("ours", "theirs"), [(exact.exp, torch.exp), (exact.log, torch.log)], ids=["exp", "log"])
def test_float32_is_the_nearest(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor]) -> None:
    x = numbers(0.001, 80).float()
    assert torch.equal(ours(x), theirs(x.double()).float())


def test_special_values() -> None:
    x = torch.tensor([0.0, INF, -INF, NAN, 1000.0, -1000.0])
    assert exact.exp(x).tolist()[:3] == [1.0, INF, 0.0]
    assert exact.exp(x)[3].isnan()
    assert exact.exp(x).tolist()[4:] == [INF, 0.0]
    x = torch.tensor([0.0, 1.0, INF, -1.0, NAN])
    assert exact.log(x).tolist()[:3] == [-INF, 0.0, INF]
    assert exact.log(x)[3:].isnan().all()


def test_powers() -> None:
    factor, n = torch.tensor(0.995, dtype=torch.float64), torch.arange(0.0, 3000.0, dtype=torch.float64)
    expected = torch.tensor([math.pow(0.995, int(k)) for k in n], dtype=torch.float64)
    torch.testing.assert_close(exact.power(factor, n), expected, rtol=1e-13, atol=0)
    assert exact.power(torch.tensor(1.0, dtype=torch.float64), n).eq(1).all()


def test_powers_at_the_ends() -> None:
    base = torch.tensor([0.0, 0.0, -2.0, -2.0, INF, 2.0], dtype=torch.float64)
    found = exact.power(base, torch.tensor([0.0, 2.0, 0.0, 2.0, 0.0, 10.0], dtype=torch.float64))
    assert found[[0, 1, 2, 4]].tolist() == [1.0, 0.0, 1.0, 1.0]
    assert found[3].isnan()
    assert found[5].item() == pytest.approx(1024.0, rel=1e-14)


@pytest.mark.parametrize(
    "function",
    [exact.exp, exact.log, exact.sqrt, exact.sine, exact.cosine, exact.sine_cosine, exact.tanh, exact.softmax, exact.sums],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.bfloat16, torch.complex64], ids=str)
def test_numbers_of_other_types_are_refused(function: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=r"^exact\..* takes float32"):
        function(torch.ones(3).to(dtype))


def test_tanh_has_the_accuracy_of_float32_and_takes_nothing_else() -> None:
    with pytest.raises(TypeError, match=r"^exact\.tanh takes float32, got float64$"):
        exact.tanh(torch.ones(3, dtype=torch.float64))


def test_the_sine_of_float32_is_as_near_as_it_says() -> None:
    x = numbers(-1, 1).float()
    assert float((exact.sine(x).double() - torch.sin(x.double())).abs().max()) < 1e-7
    assert float((exact.cosine(x).double() - torch.cos(x.double())).abs().max()) < 1e-7


@pytest.mark.parametrize("function", [exact.exp, exact.sqrt, exact.sums, exact.softmax])
def test_torch_func_is_refused_in_one_line(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(RuntimeError, match=r"^rlbench\.exact has no derivatives under torch\.func .*$"):
        torch.func.grad(lambda x: function(x).flatten()[0])(torch.ones(1, 3))


def test_roots_are_rounded_exactly() -> None:
    for x in (numbers(0, 1e-3), numbers(0, 1e-3).float()):
        assert [float(y) for y in exact.sqrt(x)] == [float(y) for y in x.numpy() ** 0.5]


def test_softmax_and_log_sum_exp() -> None:
    x = torch.randn(4, 5, 51, generator=torch.Generator().manual_seed(0)) * 20
    torch.testing.assert_close(exact.softmax(x), torch.softmax(x, -1))
    torch.testing.assert_close(exact.log_sum_exp(x), torch.logsumexp(x, -1))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_lerp_ends_where_it_should(weight: float) -> None:
    start, end = torch.tensor([0.1, -INF, 3e38]), torch.tensor([0.7, 1.0, -3e38])
    assert torch.equal(exact.lerp(start, end, torch.tensor(weight)), end if weight else start)


def test_pick_takes_the_first_axis_element_it_is_told() -> None:
    x, index = torch.arange(12.0).view(2, 2, 3), torch.tensor([[0, 2], [1, 1]])
    assert exact.pick(x, index).tolist() == [[0.0, 5.0], [7.0, 10.0]]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (exact.exp, torch.exp),
        (exact.log, torch.log),
        (exact.sqrt, torch.sqrt),
        (exact.sine, torch.sin),
        (exact.cosine, torch.cos),
        (exact.softmax, lambda x: torch.softmax(x, -1)),
        (exact.log_sum_exp, lambda x: torch.logsumexp(x, -1)),
        (exact.sums, lambda x: x.sum(-1)),
        (lambda x: exact.tanh(x.float()).double(), torch.tanh),
        (lambda x: exact.pick(x, torch.tensor([3])), lambda x: x[:, 3]),
    ],
    ids=["exp", "log", "sqrt", "sine", "cosine", "softmax", "log_sum_exp", "sums", "tanh", "pick"],
)
def test_derivatives(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor]) -> None:
    found, expected = (numbers(0.1, 5).view(1, -1).requires_grad_() for _ in range(2))
    weight = numbers(-1, 1)
    (ours(found) * weight[: ours(found).shape[-1]]).sum().backward()
    (theirs(expected) * weight[: theirs(expected).shape[-1]]).sum().backward()
    assert found.grad is not None
    assert expected.grad is not None
    torch.testing.assert_close(found.grad, expected.grad, rtol=1e-6, atol=1e-6)
