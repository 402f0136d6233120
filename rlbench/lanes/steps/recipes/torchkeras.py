"""The `torchkeras` script: the target stays in the gradient graph, so that gradients pile up in the target network."""

from rlbench.deferred import torch
from rlbench.lanes.choices.bases import Minibatch
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.steps.learning import Found, Passes, TakenAction, Weights, gradients_of
from rlbench.lanes.tensors import Tensors, group


def differentiated_with_target(
    lanes: Tensors, variant: Variant, fit: TakenAction, batch: Minibatch, weights: Weights
) -> Found:
    """`detach_target=false`: the target network's gradients are never zeroed; their pile takes its share of the clipped norm."""
    passes = Passes(lanes, variant)
    learned = [p.detach().requires_grad_() for p in passes.online_params]
    bent = [p.detach().requires_grad_() for p in passes.target_params]
    with torch.enable_grad():
        goal = fit.goal(passes, bent, batch)
        outputs = passes.online(learned, batch.obs_tm1)
        losses, errors = fit.losses(variant, outputs, batch, goal)
        found = gradients_of(losses, [*learned, *bent], weights)
    gradients, in_target = found[: len(learned)], found[len(learned) :]
    piled = [old + g for old, g in zip(group(lanes, "target_gradient"), in_target, strict=True)]
    return Found(losses.detach(), errors.detach(), outputs.detach(), passes.statistics, gradients, piled)
