"""Softmax of rows: the operator against plain PyTorch, to the bit, against float64, and for numbers that are none."""

import pytest
import torch

from rlbench import exact
from rlbench.exact import building, emulation

WIDTHS = (1, 2, 5, 31, 32, 33, 51, 64, 101)


@pytest.fixture(scope="module", autouse=True)
def _ready() -> None:
    building.load()


def _rows(width: int) -> torch.Tensor:
    """Rows from nearly equal numbers to some of which nothing is left."""
    spread = torch.logspace(-3, 2, 200)[:, None]
    return torch.randn(200, width, generator=torch.Generator().manual_seed(width)) * spread


@pytest.mark.parametrize("width", WIDTHS)
def test_both_ways_of_computing_it_have_the_same_bits(width: int) -> None:
    for found, plain in zip(torch.ops.rlbench.softmax(_rows(width)), emulation.softmax(_rows(width)), strict=True):
        assert torch.equal(found, plain)


@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_as_near_as_float32_allows(width: int) -> None:
    x = _rows(width)
    wanted = torch.softmax(x.double(), 1)
    counts = wanted > 1e-35
    assert ((exact.softmax(x) - wanted).abs() / wanted)[counts].max() < 5e-6
    near = counts & (x > x.amax(1, keepdim=True) - 1)
    assert ((exact.softmax(x) - wanted).abs() / wanted)[near].max() < 4e-7
    assert (exact.log_sum_exp(x) - torch.logsumexp(x.double(), 1)).abs().max() < 2e-5


def test_numbers_that_are_none_stay_in_their_row() -> None:
    x = torch.zeros(4, 40)
    x[0, 3], x[1, 2], x[2, 0] = torch.nan, torch.inf, -torch.inf
    for softmax in (torch.ops.rlbench.softmax, emulation.softmax):
        assert softmax(x)[0].isnan().any(1).tolist() == [True, True, False, False]
    assert exact.log_sum_exp(x).isnan().tolist() == [True, True, False, False]


@pytest.mark.parametrize("softmax", [lambda x: torch.ops.rlbench.softmax(x), emulation.softmax])
@pytest.mark.parametrize("x", [torch.zeros(2, 0), torch.zeros(3), torch.zeros(2, 2, dtype=torch.float64)])
def test_what_it_does_not_take_is_an_error(softmax: object, x: torch.Tensor) -> None:
    assert callable(softmax)
    with pytest.raises(RuntimeError, match="softmax of"):
        softmax(x)
