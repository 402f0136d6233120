"""Sine and cosine agree with the C library's, and are exact where they must be."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlbench.exact import cosine, sine, sine_cosine

ABSOLUTE_ERROR = 3e-16  # the C library's own value is within 1 unit in the last place, 1.1e-16 near 1


def reference(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    values = x.tolist()
    return (
        torch.tensor([math.sin(value) for value in values], dtype=torch.float64),
        torch.tensor([math.cos(value) for value in values], dtype=torch.float64),
    )


@pytest.mark.parametrize("span", [0.3, 4.0, 100.0, 1.6e6])
def test_agrees_with_the_c_library(span: float) -> None:
    x = (torch.rand(50_000, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1) * span
    expected_sine, expected_cosine = reference(x)
    sines, cosines = sine_cosine(x)
    assert (sines - expected_sine).abs().max() < ABSOLUTE_ERROR
    assert (cosines - expected_cosine).abs().max() < ABSOLUTE_ERROR


def test_agrees_around_every_border_between_octants() -> None:
    borders = torch.arange(-400, 401, dtype=torch.float64) * (math.pi / 4)
    infinity = torch.full_like(borders, math.inf)
    x = torch.cat([borders, torch.nextafter(borders, infinity), torch.nextafter(borders, -infinity)])
    expected_sine, expected_cosine = reference(x)
    assert (sine(x) - expected_sine).abs().max() < ABSOLUTE_ERROR
    assert (cosine(x) - expected_cosine).abs().max() < ABSOLUTE_ERROR


@given(st.floats(-1e6, 1e6))
def test_odd_and_even_symmetry_and_the_unit_circle(value: float) -> None:
    x = torch.tensor(value, dtype=torch.float64)
    sine_x, cosine_x = sine_cosine(x)
    assert sine(-x) == -sine_x
    assert cosine(-x) == cosine_x
    assert abs(sine_x * sine_x + cosine_x * cosine_x - 1) < 1e-15


def test_exact_values_and_what_is_not_a_number() -> None:
    zero = torch.zeros(3, dtype=torch.float64)
    assert torch.equal(sine(zero), zero)
    assert torch.equal(cosine(zero), zero + 1)
    tiny = torch.tensor([1e-300, -1e-200, 1e-10], dtype=torch.float64)
    assert torch.equal(sine(tiny), tiny)
    not_finite = torch.tensor([math.inf, -math.inf, math.nan], dtype=torch.float64)
    assert torch.isnan(sine(not_finite)).all()
    assert torch.isnan(cosine(not_finite)).all()


def test_float64_in_float64_out_for_any_leading_axes() -> None:
    x = torch.linspace(-3, 3, 24, dtype=torch.float64).reshape(2, 3, 4)
    sines, cosines = sine_cosine(x)
    assert sines.shape == cosines.shape == x.shape
    assert sines.dtype == cosines.dtype == torch.float64
    assert torch.equal(sines.flatten(), sine(x.flatten()))
    assert torch.equal(cosines[1, 2], cosine(x[1, 2]))
