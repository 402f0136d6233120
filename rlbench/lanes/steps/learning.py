"""What an update differentiates: forward passes, the goal, the loss of each transition, and the gradients of its mean.

In go a chunk's tensors, its stacked variant, and a minibatch; nothing is changed. Knows neither how outputs are made nor what they mean:
that is the network's and the estimator's. What one recipe does in its own way is in `rlbench.lanes.steps.recipes`.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from rlbench.lanes.choices.bases import Minibatch
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.steps.weight_noise import Pass, drawn
from rlbench.lanes.tensors import Tensors, group

Params = list[Tensor]


class Passes:
    """The forward passes of one update. Those of the online network hand the statistics on; those of the target network leave none."""

    def __init__(self, lanes: Tensors, variant: Variant) -> None:
        self.variant, self._lanes = variant, lanes
        self._passed: list[Pass] = []
        self.online_params = group(lanes, "online")
        has_target = variant.target.keeps_network
        self.target_params = group(lanes, "target") if has_target else self.online_params
        self.statistics = group(lanes, "online_norm")
        self._target_statistics = group(lanes, "target_norm") if has_target else self.statistics

    def online(self, params: Params, obs: Tensor) -> Tensor:
        """Outputs [L, B, A * width] of the online network."""
        which = Pass.CHOOSING if params is self.online_params else Pass.LEARNING
        normals = self._drawn(params, which)
        outputs, self.statistics = self.variant.network.outputs(params, self.statistics, obs, "learning", *normals)
        return outputs

    def target(self, params: Params, obs: Tensor) -> Tensor:
        """Outputs [L, B, A * width] of the target network."""
        normals = self._drawn(params, Pass.TARGET)
        return self.variant.network.outputs(params, self._target_statistics, obs, "target", *normals)[0]

    def _drawn(self, params: Params, which: Pass) -> tuple[Tensor, ...]:
        earlier = self._passed.count(which)
        self._passed.append(which)
        return drawn(self.variant.network, self._lanes, params, which, earlier)


class TakenAction:
    """The output of the taken action is fitted to its goal, as DQN does (Mnih et al., 2015)."""

    def goal(self, passes: Passes, target_params: Params, batch: Minibatch) -> Tensor:
        """The goal [L, B, ...]: of the next action, the best by the target network, or by the online one (van Hasselt et al., 2016)."""
        variant = passes.variant
        outputs_t = passes.target(target_params, batch.obs_t)
        if variant.estimator.looks_back:
            before = passes.target(target_params, batch.obs_tm1)
            batch = dataclasses.replace(batch, target_outputs_tm1=before)
        chosen_by = passes.online(passes.online_params, batch.obs_t) if variant.double else outputs_t
        return variant.estimator.goal(batch, outputs_t, variant.estimator.values(chosen_by).argmax(2))

    def losses(self, variant: Variant, outputs_tm1: Tensor, batch: Minibatch, goal: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and the error of each transition, [L, B] each."""
        return variant.estimator.losses(variant.loss, outputs_tm1, batch.a_tm1, goal)


@dataclasses.dataclass(frozen=True)
class Found:
    """What was found for a minibatch. `beside` are gradients of other parameters than the online network's, which are clipped along."""

    losses: Tensor
    """[L, B]"""
    errors: Tensor
    """[L, B]"""
    outputs: Tensor
    """[L, B, A * width] of the online network before the step"""
    statistics: list[Tensor]
    gradients: list[Tensor]
    beside: list[Tensor]


Weights = Callable[[Tensor], Tensor]
"""What the loss of each transition counts, from the losses [L, B]."""


def differentiated(lanes: Tensors, variant: Variant, fit: TakenAction, batch: Minibatch, weights: Weights) -> Found:
    """With the goal cut from the gradient graph. Each lane's loss is a sum over its rows; lanes have no weight in common."""
    passes = Passes(lanes, variant)
    goal = fit.goal(passes, passes.target_params, batch)
    learned = [p.detach().requires_grad_() for p in passes.online_params]
    with torch.enable_grad():
        outputs = passes.online(learned, batch.obs_tm1)
        losses, errors = fit.losses(variant, outputs, batch, goal)
        gradients = gradients_of(losses, learned, weights)
    return Found(losses.detach(), errors.detach(), outputs.detach(), passes.statistics, gradients, [])


def gradients_of(losses: Tensor, wanted: Params, weights: Weights) -> Params:
    """The gradients of the weighted losses [L, B]; a bias ahead of a batch norm has none, and gets zeros."""
    return list(torch.autograd.grad(losses, wanted, weights(losses), materialize_grads=True))
