"""Prioritised replay: transitions from which much is to be learned are drawn more often, and count less.

Source: Schaul, Quan, Antonoglou, Silver, "Prioritized Experience Replay", ICLR 2016: the proportional variant, algorithm 1.
"""

import dataclasses
from typing import ClassVar, Self

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices import sum_tree
from rlbench.lanes.choices.bases import Replay
from rlbench.lanes.choices.choice import number, structural, with_length_in_steps
from rlbench.lanes.tensors import Tensors, group, numbered


@dataclasses.dataclass(frozen=True)
class Prioritised(Replay):
    """Proportional prioritised replay over the last `capacity` transitions (Schaul et al., 2016).

    A transition is drawn with a probability in proportion to (|error| + eps)**alpha, the error being that of the last update that drew it.
    """

    kind: ClassVar[str] = "prioritised"
    small_fields: ClassVar = {"capacity": 43, "warmup": 24, "beta_fraction": None, "beta_steps": 60}
    precise: ClassVar[bool] = True
    remembers: ClassVar[bool] = True
    replacement = True
    capacity: int = structural(10_000, "transitions kept", ">= 1")
    warmup: int = structural(1_000, "transitions stored before the first update", ">= 1")
    alpha: float = number(0.6, "how much errors decide what is drawn: 0 is uniform, 1 in proportion", "0 <= x <= 1")
    beta: float = number(0.4, "how much of the bias of drawing is made good by weights, at first", "0 <= x <= 1")
    beta_end: float = number(1.0, "the same at the end of annealing", "0 <= x <= 1")
    beta_fraction: float | None = number(
        1.0, "length of beta's annealing as a fraction of the budget in steps", "0 < x <= 1"
    )
    beta_steps: int | None = number(None, "length of beta's annealing in steps; replaces beta_fraction", ">= 1")
    eps: float = number(1e-6, "added to the size of an error, so that every transition can be drawn", "> 0")
    warmup_ends: str = structural(
        "at_once", "when a full warm-up lets learning start: at once, or with the next episode",
        allowed=("at_once", "next_episode"),
    )  # fmt: skip

    def resolved(self, budget_steps: int | None) -> Self:
        """With `beta_steps` written out; ConfigError when the budget is in episodes and only a fraction is given."""
        return with_length_in_steps(self, "replay", "beta", budget_steps)

    def indices(self, words: Tensor, size: Tensor) -> Tensor:
        """Not asked: rows hang on what was learned."""
        raise NotImplementedError

    def memory(self) -> Tensors:
        """The sum tree of the priorities, each already to the power alpha, and the largest of them that ever was, at first 1."""
        tree = numbered("priority", sum_tree.empty(self.capacity))
        return {**tree, "largest": torch.ones(1, dtype=torch.float64)}

    def stored(self, memory: Tensors, newest: Tensor, complete: Tensor, where: Tensor) -> None:
        """The row that was overwritten has no priority any more; a transition that may be drawn now has the largest."""
        tree, index = group(memory, "priority"), torch.stack([newest, complete], 1)
        largest = memory["largest"][:, None]
        values = torch.cat([torch.where((newest == complete)[:, None], largest, 0.0), largest], 1)
        sum_tree.write(tree, index, torch.where(where[:, None], values, sum_tree.leaves(tree, index)))

    def draw(self, memory: Tensors, words: Tensor, size: Tensor, lanes: Tensors) -> tuple[Tensor, Tensor]:
        """One row from each of B equal shares of the sum of all priorities, and (N P(row))**-beta over the largest of the minibatch."""
        tree, count = group(memory, "priority"), words.shape[1]
        share = (torch.arange(count) + words.double() / 2.0**32) / count
        index = sum_tree.find(tree, share * sum_tree.total(tree)[:, None])
        priority = sum_tree.leaves(tree, index)
        # N and the sum of priorities are the same for all: the ratio of two weights is one of priorities.
        ratio = torch.where(priority > 0, priority.amin(1, keepdim=True) / priority, 1.0)
        return index, exact.power(ratio, self.exponent(lanes["env_steps"])).float()

    def exponent(self, env_steps: Tensor) -> Tensor:
        """beta [L, 1] float64 after so many steps [L] int64."""
        assert self.beta_steps is not None
        share = (env_steps.double()[:, None] / self.beta_steps).clamp(max=1.0)
        return self.beta + (self.beta_end - self.beta) * share

    def learned(self, memory: Tensors, index: Tensor, error: Tensor, due: Tensor) -> None:
        """The rows have the priorities of these errors from now on."""
        tree = group(memory, "priority")
        priority = exact.power(error.double().abs() + self.eps, torch.as_tensor(self.alpha))
        sum_tree.write(tree, index, torch.where(due[:, None], priority, sum_tree.leaves(tree, index)))
        highest = torch.maximum(memory["largest"], priority.amax(1))
        memory["largest"].copy_(torch.where(due, highest, memory["largest"]))
