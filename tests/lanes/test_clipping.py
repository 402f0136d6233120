"""Gradient clipping against torch.nn.utils, each lane by itself."""

import pytest
import torch

from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import check, stack
from rlbench.lanes.choices.clipping import ClipNorm, ClipValue, NoClip

SHAPES = ((4, 3), (1, 3), (2, 3))
SCALES = (0.01, 1.0, 100.0)


def gradients() -> list[torch.Tensor]:
    """Three lanes with small, middling and large gradients."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor(SCALES)[:, None, None]
    return [torch.randn(3, *shape, generator=generator) * scale for shape in SHAPES]


def norms(given: list[torch.Tensor]) -> torch.Tensor:
    """Global norms [3, 1]."""
    return torch.stack([torch.cat([g[lane].flatten() for g in given]).norm() for lane in range(3)])[:, None]


def parameters_with(given: list[torch.Tensor], lane: int) -> list[torch.nn.Parameter]:
    params = []
    for g in given:
        params.append(torch.nn.Parameter(torch.zeros(g.shape[1:])))
        params[-1].grad = g[lane].clone()
    return params


def assert_equal_to(params: list[torch.nn.Parameter], clipped: list[torch.Tensor], lane: int) -> None:
    for p, g in zip(params, clipped, strict=True):
        assert p.grad is not None
        torch.testing.assert_close(g[lane], p.grad)


def test_by_norm_with_each_lanes_own_threshold() -> None:
    thresholds = (10.0, 0.5, 3.0)
    clipped = stack([ClipNorm(value) for value in thresholds])(gradients(), norms(gradients()))
    for lane, threshold in enumerate(thresholds):
        params = parameters_with(gradients(), lane)
        torch.nn.utils.clip_grad_norm_(params, threshold)
        assert_equal_to(params, clipped, lane)
    assert all(torch.equal(g[0], own[0]) for g, own in zip(clipped, gradients(), strict=True))
    torch.testing.assert_close(norms(clipped)[1:], torch.tensor([[0.5], [3.0]]))


def test_by_value_with_each_lanes_own_limit() -> None:
    limits = (0.005, 0.5, 1e6)
    clipped = stack([ClipValue(value) for value in limits])(gradients(), norms(gradients()))
    for lane, limit in enumerate(limits):
        params = parameters_with(gradients(), lane)
        torch.nn.utils.clip_grad_value_(params, limit)
        assert_equal_to(params, clipped, lane)
        assert max(float(g[lane].abs().max()) for g in clipped) <= limit
    assert all(torch.equal(g[2], own[2]) for g, own in zip(clipped, gradients(), strict=True))


def test_none_changes_nothing() -> None:
    clipped = NoClip()(gradients(), norms(gradients()))
    assert all(torch.equal(g, own) for g, own in zip(clipped, gradients(), strict=True))


@pytest.mark.parametrize(("clip", "name"), [(ClipNorm(0.0), "max_norm"), (ClipValue(-1.0), "limit")])
def test_an_impossible_threshold_is_refused(clip: ClipNorm | ClipValue, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} must be > 0; got"):
        check(clip)
