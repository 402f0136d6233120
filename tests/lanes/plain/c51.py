"""Probabilities of evenly spaced returns in PyTorch, algorithm 1 of Bellemare, Dabney and Munos (2017) for a whole minibatch."""

from typing import Any

import torch
from torch import Tensor

from .agent import Batch


class Plain:
    """Logits [B, A * N] of N atoms."""

    def __init__(self, variant: Any) -> None:
        self.choice, self.floor = variant.estimator, variant.loss.floor
        self.atoms = torch.linspace(self.choice.v_min, self.choice.v_max, self.choice.atoms)

    def _by_action(self, outputs: Tensor) -> Tensor:
        return outputs.unflatten(1, (-1, self.choice.atoms))

    def values(self, outputs: Tensor) -> Tensor:
        return self._by_action(outputs).softmax(2) @ self.atoms

    def losses(self, outputs_tm1: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        rows, choice = torch.arange(len(batch.a_t)), self.choice
        p = self._by_action(batch.outputs_t)[rows, batch.a_t].softmax(1)
        reached = (batch.r_t[:, None] + batch.discount_t[:, None] * self.atoms).clamp(choice.v_min, choice.v_max)
        place = (reached - choice.v_min) / ((choice.v_max - choice.v_min) / (choice.atoms - 1))
        low, high = place.floor().long(), place.ceil().long()
        wanted = torch.zeros_like(p)
        wanted.scatter_add_(1, low, p * (high - place + (low == high)))
        wanted.scatter_add_(1, high, p * (place - low))
        predicted = self._by_action(outputs_tm1)[rows, batch.a_tm1].log_softmax(1)
        if self.floor > 0:
            predicted = predicted.exp().clamp(self.floor, 1 - self.floor).log()
        losses = -(wanted * predicted).sum(1)
        return losses, losses.detach()
