"""Optimisers as pure functions over lanes, each with per-lane numbers; stock optimisers take one learning rate for all.

`slots(params)` makes the optimiser's state (one list of tensors per slot), `step(params, gradients, slots, powers)` returns new
parameters and slots. `powers` are running products of the betas, [L, 1] float64 each: products have the same bits at any vector width,
powers have not.
Every one is tested step by step against `torch.optim`.
"""

import dataclasses
from typing import ClassVar

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices.bases import Optimizer
from rlbench.lanes.choices.choice import number, structural

Slots = dict[str, list[Tensor]]
Powers = dict[str, Tensor]


def _broad(value: float | Tensor) -> Tensor:
    """A number [L, 1] ready to be multiplied with parameters [L, i, o]."""
    return torch.as_tensor(value)[..., None]


@dataclasses.dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015) with torch.optim.Adam's options; weight decay is added to the gradient."""

    kind: ClassVar[str] = "adam"
    precise: ClassVar[bool] = True
    decoupled: ClassVar[bool] = False
    lr: float = number(5e-4, "learning rate", "> 0")
    beta1: float = number(0.9, "decay of the first moment", "0 <= x < 1")
    beta2: float = number(0.999, "decay of the second moment", "0 <= x < 1")
    eps: float = number(1e-8, "added to the root of the second moment", ">= 0")
    weight_decay: float = number(0.0, "L2 penalty", ">= 0")
    amsgrad: bool = structural(False, "divide by the largest second moment so far")
    eps_hat: bool = structural(False, "add eps before the bias correction, as Keras does", later=True)

    power_names: ClassVar[tuple[str, ...]] = ("beta1", "beta2")

    def slots(self, params: list[Tensor]) -> Slots:
        """Zero moments, shaped as the parameters."""
        names = ("first", "second", "largest") if self.amsgrad else ("first", "second")
        return {name: [p.new_zeros(p.shape) for p in params] for name in names}

    def step(
        self, params: list[Tensor], gradients: list[Tensor], slots: Slots, powers: Powers
    ) -> tuple[list[Tensor], Slots, Powers]:
        """One step; all tensors [L, ...]."""
        lr, beta1, beta2 = _broad(self.lr), _broad(self.beta1), _broad(self.beta2)
        decay, eps = _broad(self.weight_decay), _broad(self.eps)
        powers = {"beta1": powers["beta1"] * self.beta1, "beta2": powers["beta2"] * self.beta2}
        # One number a lane each: without `kept` the compiler computes all of them again for every eight weights.
        step_size = exact.kept((lr / (1 - _broad(powers["beta1"]))).float())
        root_correction = exact.kept((1 / exact.sqrt(1 - _broad(powers["beta2"]))).float())
        lr, decay, eps = lr.float(), exact.kept(decay.float()), exact.kept(eps.float())
        shrinking = exact.kept(1 - lr * decay)
        rest1, rest2, beta2 = (exact.kept(each.float()) for each in (1 - beta1, 1 - beta2, beta2))
        new_params: list[Tensor] = []
        new_slots: Slots = {name: [] for name in slots}
        for index, (p, g) in enumerate(zip(params, gradients, strict=True)):
            if self.decoupled:
                p = p * shrinking
            else:
                g = g + decay * p
            first = slots["first"][index]
            first = first + rest1 * (g - first)
            second = slots["second"][index] * beta2 + rest2 * (g * g)
            new_slots["first"].append(first)
            new_slots["second"].append(second)
            if self.amsgrad:
                largest = torch.maximum(slots["largest"][index], second)
                new_slots["largest"].append(largest)
                second = largest
            root = exact.sqrt(second)
            root = (root + eps) * root_correction if self.eps_hat else root * root_correction + eps
            new_params.append(p - step_size * (first / root))
        return new_params, new_slots, powers


@dataclasses.dataclass(frozen=True)
class AdamW(Adam):
    """AdamW (Loshchilov & Hutter, 2019) with torch.optim.AdamW's options; weight decay is apart from the gradient."""

    kind: ClassVar[str] = "adamw"
    decoupled: ClassVar[bool] = True
    weight_decay: float = number(0.01, "decay of the weights, times the learning rate", ">= 0")


@dataclasses.dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop (Hinton, 2012) with torch.optim.RMSprop's options."""

    kind: ClassVar[str] = "rmsprop"
    precise: ClassVar[bool] = True
    lr: float = number(0.01, "learning rate", "> 0")
    alpha: float = number(0.99, "decay of the squared gradient", "0 <= x < 1")
    eps: float = number(1e-8, "added to the root of the squared gradient", ">= 0")
    weight_decay: float = number(0.0, "L2 penalty", ">= 0")
    momentum: float = number(0.0, "momentum", "0 <= x < 1")
    centered: bool = structural(False, "normalise by an estimate of the gradient's variance")

    power_names: ClassVar[tuple[str, ...]] = ()

    def slots(self, params: list[Tensor]) -> Slots:
        """Zero averages, shaped as the parameters."""
        names = ("square", "momentum", "mean") if self.centered else ("square", "momentum")
        return {name: [p.new_zeros(p.shape) for p in params] for name in names}

    def step(
        self, params: list[Tensor], gradients: list[Tensor], slots: Slots, powers: Powers
    ) -> tuple[list[Tensor], Slots, Powers]:
        """One step; all tensors [L, ...]."""
        lr, alpha, rest = _broad(self.lr).float(), _broad(self.alpha).float(), (1 - _broad(self.alpha)).float()
        eps, decay, momentum = (
            _broad(self.eps).float(),
            _broad(self.weight_decay).float(),
            _broad(self.momentum).float(),
        )
        new_params: list[Tensor] = []
        new_slots: Slots = {name: [] for name in slots}
        for index, (p, g) in enumerate(zip(params, gradients, strict=True)):
            g = g + decay * p
            square = slots["square"][index] * alpha + rest * (g * g)
            new_slots["square"].append(square)
            if self.centered:
                mean = slots["mean"][index]
                mean = mean + rest * (g - mean)
                new_slots["mean"].append(mean)
                square = square - mean * mean
            velocity = momentum * slots["momentum"][index] + g / (exact.sqrt(square) + eps)
            new_slots["momentum"].append(velocity)
            new_params.append(p - lr * velocity)
        return new_params, new_slots, powers


@dataclasses.dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with torch.optim.SGD's options."""

    kind: ClassVar[str] = "sgd"
    precise: ClassVar[bool] = True
    lr: float = number(1e-3, "learning rate", "> 0")
    momentum: float = number(0.0, "momentum", "0 <= x < 1")
    dampening: float = number(0.0, "dampening of the momentum", "0 <= x <= 1")
    weight_decay: float = number(0.0, "L2 penalty", ">= 0")
    nesterov: bool = structural(False, "Nesterov momentum (needs momentum above 0 and no dampening)")

    power_names: ClassVar[tuple[str, ...]] = ("started",)

    def refused(self) -> str | None:
        """Nesterov momentum without momentum, or dampened."""
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            return "optimizer.nesterov needs optimizer.momentum above 0 and optimizer.dampening 0"
        return None

    def slots(self, params: list[Tensor]) -> Slots:
        """Zero velocity, shaped as the parameters."""
        return {"momentum": [p.new_zeros(p.shape) for p in params]}

    def step(
        self, params: list[Tensor], gradients: list[Tensor], slots: Slots, powers: Powers
    ) -> tuple[list[Tensor], Slots, Powers]:
        """One step; all tensors [L, ...]. The first step takes the whole gradient as velocity, as torch.optim.SGD does."""
        lr, momentum, decay = _broad(self.lr).float(), _broad(self.momentum).float(), _broad(self.weight_decay).float()
        is_first = _broad(powers["started"]) == 1.0  # powers start at 1
        whole = is_first | (_broad(self.momentum) == 0)  # without momentum there is nothing to dampen
        share = torch.where(whole, 1.0, 1 - _broad(self.dampening)).float()
        new_params: list[Tensor] = []
        velocities: list[Tensor] = []
        for p, g, v in zip(params, gradients, slots["momentum"], strict=True):
            g = g + decay * p
            velocity = momentum * v + share * g
            velocities.append(velocity)
            new_params.append(p - lr * (g + momentum * velocity if self.nesterov else velocity))
        return new_params, {"momentum": velocities}, {"started": torch.zeros_like(powers["started"])}
