"""The `keras_mountaincar` script: a network is fitted to the target network's whole output vector with one entry replaced."""

from rlbench.deferred import Tensor
from rlbench.lanes.choices.bases import Minibatch
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.steps.learning import Params, Passes, TakenAction


class AllActions(TakenAction):
    """`loss_over=all`: the goals of the other actions are the target network's own values, and the loss averages over all of them."""

    def goal(self, passes: Passes, target_params: Params, batch: Minibatch) -> Tensor:
        """Goals of all actions [L, B, A]."""
        taken = super().goal(passes, target_params, batch)
        own = passes.target(target_params, batch.obs_tm1)
        return own.scatter(2, batch.a_tm1[..., None], taken[..., None])

    def losses(self, variant: Variant, outputs_tm1: Tensor, batch: Minibatch, goal: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each transition averaged over actions, and that loss as its error."""
        error = outputs_tm1 - goal
        each = variant.loss(error.flatten(1)).view_as(error)
        # A sum of slices and not `mean`, whose order could hang on the layout.
        losses = sum(each.unbind(2)[1:], each[..., 0]) / each.shape[2]
        return losses, losses
