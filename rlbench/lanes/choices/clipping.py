"""Gradient clipping: `clip(gradients, norm)` with gradients [L, ...] each and the lane's own global norm [L, 1]."""

import dataclasses
from typing import ClassVar

from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices.bases import Clip
from rlbench.lanes.choices.choice import number


@dataclasses.dataclass(frozen=True)
class NoClip(Clip):
    """Gradients as they are."""

    kind: ClassVar[str] = "none"

    def __call__(self, gradients: list[Tensor], norm: Tensor) -> list[Tensor]:
        """gradients [L, ...] each -> the same."""
        return gradients


@dataclasses.dataclass(frozen=True)
class ClipValue(Clip):
    """Every element to [-limit, limit], as `torch.nn.utils.clip_grad_value_`."""

    kind: ClassVar[str] = "value"
    limit: float = number(1.0, "largest absolute value of a gradient element", "> 0")

    def __call__(self, gradients: list[Tensor], norm: Tensor) -> list[Tensor]:
        """gradients [L, ...] each -> clipped, same shapes."""
        limit = torch.as_tensor(self.limit)[..., None]
        return [torch.maximum(torch.minimum(g, limit), -limit) for g in gradients]


@dataclasses.dataclass(frozen=True)
class ClipNorm(Clip):
    """Scaled down to a global norm over all parameters of the lane, as `torch.nn.utils.clip_grad_norm_`."""

    kind: ClassVar[str] = "norm"
    max_norm: float = number(10.0, "largest global norm of a lane's gradient", "> 0")

    def __call__(self, gradients: list[Tensor], norm: Tensor) -> list[Tensor]:
        """gradients [L, ...] each, norm [L, 1] -> scaled, same shapes."""
        scale = (self.max_norm / (norm + 1e-6)).clamp(max=1.0)[..., None]
        return [g * scale for g in gradients]
