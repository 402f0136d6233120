"""Mass at fractional places: by hand, against the kernel that defines it, and with the same bits without a compiler."""

import pytest
import torch

from rlbench import exact
from rlbench.exact import emulation


def drawn(rows: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Masses, and places of which some are whole, outside, or on the edges."""
    generator = torch.Generator().manual_seed(count)
    mass = torch.rand(rows, count, generator=generator)
    place = torch.rand(rows, count, generator=generator) * (count + 3) - 2
    return mass, torch.where(torch.rand(rows, count, generator=generator) < 0.3, place.round(), place)


def test_by_hand() -> None:
    mass, place = torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([[0.5, 2.0, 7.0]])
    assert exact.shared(mass, place).tolist() == [[0.25, 0.25, 0.5]]


@pytest.mark.parametrize("count", [1, 2, 51])
def test_it_is_the_triangular_kernel_and_loses_no_mass(count: int) -> None:
    mass, place = drawn(40, count)
    kernel = (1 - (place.clamp(0, count - 1)[:, None] - torch.arange(count)[:, None]).abs()).clamp(min=0)
    found = exact.shared(mass, place)
    torch.testing.assert_close(found, (kernel * mass[:, None]).sum(2))
    torch.testing.assert_close(found.sum(1), mass.sum(1))


@pytest.mark.parametrize("count", [1, 2, 51])
def test_the_same_bits_without_a_compiler_alone_and_from_any_strides(count: int) -> None:
    mass, place = drawn(40, count)
    place[3, 0] = torch.nan
    found = exact.shared(mass, place)
    assert torch.equal(found.nan_to_num(-1), emulation.shared(mass, place).nan_to_num(-1))
    assert found[3, 0].isnan()
    assert found.isnan().sum() == 1
    assert torch.equal(exact.shared(mass[7:8], place[7:8]), found[7:8])
    assert torch.equal(exact.shared(mass.T.contiguous().T, place)[8:], found[8:])


@pytest.mark.parametrize("operator", [exact.shared, emulation.shared])
def test_what_does_not_fit_is_refused(operator: object) -> None:
    assert callable(operator)
    with pytest.raises((RuntimeError, TypeError)):
        operator(torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises((RuntimeError, TypeError)):
        operator(torch.ones(2, 3).double(), torch.ones(2, 3))
