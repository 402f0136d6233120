"""Estimators of the distribution of returns: probabilities on a fixed support, or quantiles of equal probability.

Their action values are the means of these distributions. Letters in shapes: N atoms or quantiles.
"""

import dataclasses
import math
from typing import Any, ClassVar

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.envs.scores import possible_returns
from rlbench.lanes.choices.bases import Estimator, Loss, Minibatch
from rlbench.lanes.choices.choice import number, structural
from rlbench.lanes.choices.estimators import refused_as_no_scalar
from rlbench.lanes.choices.losses import Squared


@dataclasses.dataclass(frozen=True)
class C51(Estimator):
    """Probabilities of evenly spaced returns, the atoms (Bellemare, Dabney and Munos, 2017)."""

    kind: ClassVar[str] = "c51"
    small_fields: ClassVar = {"atoms": 7, "v_min": -2.0, "v_max": 14.0}
    gives: ClassVar[str] = "log_probabilities"
    atoms: int = structural(51, "returns that have a probability", ">= 2")
    v_min: float = number(-10.0, "lowest atom; returns below it count as it")
    v_max: float = number(10.0, "highest atom; returns above it count as it")

    @property
    def width(self) -> int:
        """A logit for each atom."""
        return self.atoms

    def values(self, outputs: Tensor) -> Tensor:
        """Expected returns [..., A] of logits [..., A * N]."""
        atoms, _, _ = self._support()
        atoms = atoms[:, None, None] if atoms.dim() == 2 else atoms
        return exact.sums(exact.softmax(outputs.unflatten(-1, (-1, self.atoms))) * atoms)

    def goal(self, batch: Minibatch, outputs_t: Tensor, a_t: Tensor) -> Tensor:
        """Probabilities [L, B, N] of reward and discounted atoms, each shared by the two atoms between which it lies (algorithm 1)."""
        probabilities = exact.softmax(of_action(outputs_t, a_t, self.atoms))
        atoms, lowest, gap = self._support()
        reached = batch.r_t[..., None] + batch.discount_t[..., None] * atoms[:, None]
        place = ((reached - lowest[..., None]) / gap[..., None]).clamp(0, self.atoms - 1)
        return exact.shared(probabilities, place)

    def losses(self, loss: Loss, outputs_tm1: Tensor, a_tm1: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """The cross-entropy of goal and predicted probabilities, which is the error too, as in Dopamine's Rainbow. Hessel et al.
        (2018) take the divergence, which is less by the entropy of the goal."""
        logits = of_action(outputs_tm1, a_tm1, self.atoms)
        log_probability = logits - exact.spread(exact.log_sum_exp(logits), self.atoms)
        losses = exact.sums(goal * loss(log_probability.flatten(1)).view_as(goal))
        return losses, losses

    def _support(self) -> tuple[Tensor, Tensor, Tensor]:
        """The atoms [L, N], the lowest one [L, 1] and their distance [L, 1]; of one run without lanes [N], [] and []."""
        lowest, highest = torch.as_tensor(self.v_min), torch.as_tensor(self.v_max)
        gap = (highest - lowest) / (self.atoms - 1)
        return exact.kept(lowest + torch.arange(self.atoms) * gap), lowest, gap

    def refused(self) -> str | None:
        """The support has to be one."""
        if self.v_min < self.v_max:
            return None
        return (
            f"estimator.v_min {self.v_min:g} must be below estimator.v_max {self.v_max:g}: the support would be empty"
        )

    def doubted(self, run: Any) -> str | None:
        """A support that does not hold the environment's discounted returns counts them as its nearest end.

        Where an episode that the limit cuts still bootstraps, values are those of episodes without end.
        """
        endless = run.variant.bootstrap_on_truncation and run.variant.discount < 1
        bounds = possible_returns(run.env.id, math.inf if endless else run.env.max_env_steps, run.variant.discount)
        if bounds is None or (self.v_min <= bounds[0] and bounds[1] <= self.v_max):
            return None
        return (
            f"estimator.v_min {self.v_min:g} to estimator.v_max {self.v_max:g} does not hold the discounted returns of {run.env.id},"
            f" {bounds[0]:.4g} to {bounds[1]:.4g}: what lies outside counts as the nearest end"
        )

    def refused_beside(self, variant: Any) -> str | None:
        """Its loss is one of probabilities."""
        if variant.loss.takes != self.gives:
            return f"estimator=c51 learns probabilities: give loss=cross_entropy; got loss={variant.loss.kind}"
        return refused_as_no_scalar(self.kind, variant)


@dataclasses.dataclass(frozen=True)
class QR(Estimator):
    """Quantiles of the return at the middles of equal probabilities (Dabney, Rowland, Bellemare and Munos, 2018).

    The loss weighs errors by how often they should have either sign: with Huber it is the paper's rho of equation 10, kappa its delta.
    """

    kind: ClassVar[str] = "qr"
    small_fields: ClassVar = {"quantiles": 5}
    quantiles: int = structural(51, "quantiles of equal probability", ">= 1")

    @property
    def width(self) -> int:
        """A number for each quantile."""
        return self.quantiles

    def values(self, outputs: Tensor) -> Tensor:
        """Means [..., A] of quantiles [..., A * N]."""
        return exact.sums(outputs.unflatten(-1, (-1, self.quantiles))) / self.quantiles

    def goal(self, batch: Minibatch, outputs_t: Tensor, a_t: Tensor) -> Tensor:
        """Reward and discounted quantiles of the next action, [L, B, N]."""
        return batch.r_t[..., None] + batch.discount_t[..., None] * of_action(outputs_t, a_t, self.quantiles)

    def losses(self, loss: Loss, outputs_tm1: Tensor, a_tm1: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """The sum over quantiles of their mean loss over those of the goal, and the mean distance of both."""
        count = self.quantiles
        td_error = exact.spread(of_action(outputs_tm1, a_tm1, count), count) - exact.kept(goal)[..., None, :]
        probability = exact.kept((2 * torch.arange(count) + 1) / (2 * count))[:, None]
        weight = torch.where(td_error > 0, 1 - probability, probability)
        losses = exact.sums((weight * loss(td_error.flatten(1)).view_as(td_error)).flatten(2)) / count
        return losses, exact.sums(td_error.detach().abs().flatten(2)) / count**2

    def refused_beside(self, variant: Any) -> str | None:
        """The loss has to grow as the distance does."""
        if variant.loss.takes != self.gives or isinstance(variant.loss, Squared):
            return f"estimator={self.kind} learns quantiles: give loss=huber, its delta is kappa; got loss={variant.loss.kind}"
        return refused_as_no_scalar(self.kind, variant)


def of_action(outputs: Tensor, action: Tensor, width: int) -> Tensor:
    """The outputs [L, B, width] of actions [L, B] int64, of outputs [L, B, A * width]."""
    by_number = outputs.unflatten(2, (-1, width)).transpose(2, 3)
    return exact.pick(by_number, action[..., None].expand(*action.shape, width))
