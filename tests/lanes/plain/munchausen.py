"""Values of a policy that is rewarded for its log-policy, in PyTorch (Vieillard, Pietquin and Geist, 2020, equation 1 and figure 2)."""

from typing import Any

from torch import Tensor

from .agent import Batch, Scalar


class Plain(Scalar):
    """Values [B, A]."""

    def __init__(self, variant: Any) -> None:
        super().__init__(variant)
        self.choice = variant.estimator

    def losses(self, outputs_tm1: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        assert batch.before is not None
        tau = self.choice.temperature
        log_policy = tau * (batch.before / tau).log_softmax(1).gather(1, batch.a_tm1[:, None])[:, 0]
        pi, log_pi = (batch.outputs_t / tau).softmax(1), tau * (batch.outputs_t / tau).log_softmax(1)
        soft_value = (pi * (batch.outputs_t - log_pi)).sum(1)
        goal = batch.r_t + self.choice.alpha * log_policy.clamp(self.choice.floor, 0) + batch.discount_t * soft_value
        taken = outputs_tm1.gather(1, batch.a_tm1[:, None])[:, 0]
        return self.loss(taken, goal), (taken - goal).detach()
