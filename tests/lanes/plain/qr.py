"""Quantiles of the return in PyTorch, equations 9 and 10 and algorithm 1 of Dabney, Rowland, Bellemare and Munos (2018)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .agent import Batch


class Plain:
    """Quantiles [B, A * N]."""

    def __init__(self, variant: Any) -> None:
        self.count, self.kappa = variant.estimator.quantiles, variant.loss.delta
        self.tau = (torch.arange(self.count) + 0.5) / self.count

    def _by_action(self, outputs: Tensor) -> Tensor:
        return outputs.unflatten(1, (-1, self.count))

    def values(self, outputs: Tensor) -> Tensor:
        return self._by_action(outputs).mean(2)

    def losses(self, outputs_tm1: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(batch.a_t))
        wanted = batch.r_t[:, None] + batch.discount_t[:, None] * self._by_action(batch.outputs_t)[rows, batch.a_t]
        theta = self._by_action(outputs_tm1)[rows, batch.a_tm1]
        td_error = wanted[:, None] - theta[:, :, None]
        huber = F.huber_loss(
            theta[:, :, None].expand_as(td_error),
            wanted[:, None].expand_as(td_error),
            reduction="none",
            delta=self.kappa,
        )
        weight = (self.tau[:, None] - (td_error.detach() < 0).float()).abs()
        return (weight * huber).mean(2).sum(1), td_error.detach().abs().mean((1, 2))
