"""Estimators: what the outputs of a network mean. The rest of the engine acts on `values` and learns by `goal` and `losses`.

These have one number for each action; those of distributions are in `rlbench.lanes.choices.distributions`.
"""

import dataclasses
from typing import Any, ClassVar

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices.bases import Estimator, Loss, Minibatch
from rlbench.lanes.choices.choice import number


@dataclasses.dataclass(frozen=True)
class Scalar(Estimator):
    """One number for each action, its expected discounted return."""

    kind: ClassVar[str] = "scalar"

    def values(self, outputs: Tensor) -> Tensor:
        """The outputs [..., A] are the values."""
        return outputs

    def goal(self, batch: Minibatch, outputs_t: Tensor, a_t: Tensor) -> Tensor:
        """Reward and discounted value of the next action, [L, B]."""
        return batch.r_t + batch.discount_t * exact.pick(outputs_t, a_t)

    def losses(self, loss: Loss, outputs_tm1: Tensor, a_tm1: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of the temporal-difference error, and the error."""
        td_error = exact.pick(outputs_tm1, a_tm1) - goal
        return loss(td_error), td_error


@dataclasses.dataclass(frozen=True)
class Munchausen(Scalar):
    """Values of the policy softmax(values / temperature), which is rewarded for its own log-policy (Vieillard, Pietquin and Geist, 2020).

    The goal is r + alpha [temperature log pi(a|s)] + discount sum_b pi(b|s') (q(s', b) - temperature log pi(b|s')), with the policy of
    the target network and the bracket cut to [floor, 0]. Acting is greedy. Transitions of several steps have the bracket of the first.
    """

    kind: ClassVar[str] = "munchausen"
    looks_back: ClassVar[bool] = True
    temperature: float = number(0.03, "of the policy, the paper's tau", "> 0")
    alpha: float = number(0.9, "share of the log-policy that is added to the reward", "0 <= x <= 1")
    floor: float = number(-1.0, "smallest temperature * log-policy that counts, the paper's l_0", "<= 0")

    def goal(self, batch: Minibatch, outputs_t: Tensor, a_t: Tensor) -> Tensor:
        """Reward, cut log-policy of the taken action and discounted value of the next policy, [L, B]; no single action is next."""
        assert batch.target_outputs_tm1 is not None
        before = batch.target_outputs_tm1
        log_policy = exact.pick(before, batch.a_tm1) - self._soft_maximum(before)  # times the temperature
        bonus = torch.as_tensor(self.alpha) * log_policy.clamp(max=0).maximum(torch.as_tensor(self.floor))
        return batch.r_t + bonus + batch.discount_t * self._soft_maximum(outputs_t)

    def _soft_maximum(self, values: Tensor) -> Tensor:
        """temperature log sum exp(values / temperature) of values [L, B, A], [L, B]: what the policy expects, with its entropy."""
        temperature, largest = torch.as_tensor(self.temperature), values.amax(2, keepdim=True)
        return largest[..., 0] + temperature * exact.log_sum_exp((values - largest) / temperature[..., None])

    def refused_beside(self, variant: Any) -> str | None:
        """It takes no best action, so that there is nothing to do for double DQN; and what fits plain values only."""
        if variant.double:
            return "estimator=munchausen picks no next action that another network could choose: give double=false"
        return refused_as_no_scalar(self.kind, variant)


def refused_as_no_scalar(kind: str, variant: Any) -> str | None:
    """What of a variant fits plain values only, a line, or None."""
    told = f"needs estimator=scalar; got estimator={kind}"
    if variant.loss_over != "taken":
        return f"loss_over={variant.loss_over} {told}"
    return None if variant.detach_target else f"detach_target=false {told}"
