"""A DQN agent in plain PyTorch, as one writes it: one network, `torch.optim`, one minibatch at a time.

What a member of returns, replay or estimator does stands in a module of this package that is named after it.
"""

import copy
import importlib
from typing import Any, NamedTuple

import numpy as np
import torch
from plain_dqn import torch_optimizer
from torch import Tensor, nn

from rlbench.lanes.choices.clipping import ClipNorm, ClipValue
from rlbench.lanes.choices.layers import NoisyLinear
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.variant import Variant

Transition = tuple[np.ndarray, int, float, float, np.ndarray]
"""obs_tm1 [D], action, reward, discount of what comes after, obs_t [D]."""


class Batch(NamedTuple):
    """What an estimator learns from, besides the outputs [B, A * width] of the online network for obs_tm1."""

    a_tm1: Tensor  # [B]
    r_t: Tensor  # [B]
    discount_t: Tensor  # [B]
    outputs_t: Tensor  # [B, A * width] of the target network
    a_t: Tensor  # [B], the best of them, or of the online network's
    before: Tensor | None  # [B, A * width] of the target network for obs_tm1, where the estimator looks back


class OneStep:
    """A transition is a step."""

    def completed(self, step: Transition, is_last: bool) -> list[Transition]:
        return [step]


class Uniform:
    """A ring of transitions in arrays, drawn with replacement."""

    def __init__(self, variant: Variant) -> None:
        self.capacity, self.added = variant.replay.capacity, 0
        self.columns: list[np.ndarray] = []

    def add(self, transition: Transition) -> None:
        if not self.columns:
            self.columns = [np.zeros((self.capacity, *np.shape(x)), np.asarray(x).dtype) for x in transition]
        for column, value in zip(self.columns, transition, strict=True):
            column[self.added % self.capacity] = value
        self.added += 1

    def sample(self, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        index = (uniforms * min(self.added, self.capacity)).astype(np.int64)
        return index, np.ones(len(index))

    def learned(self, index: np.ndarray, errors: np.ndarray) -> None:
        """Nothing hangs on it."""

    def rows(self, index: np.ndarray) -> list[np.ndarray]:
        return [column[index] for column in self.columns]


class Scalar:
    """Values of actions, with the loss of the temporal-difference error."""

    def __init__(self, variant: Variant) -> None:
        is_huber = isinstance(variant.loss, Huber)
        self.loss = (
            nn.HuberLoss(reduction="none", delta=variant.loss.delta) if is_huber else nn.MSELoss(reduction="none")
        )

    def values(self, outputs: Tensor) -> Tensor:
        return outputs

    def losses(self, outputs_tm1: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        goal = batch.r_t + batch.discount_t * batch.outputs_t.gather(1, batch.a_t[:, None])[:, 0]
        taken = outputs_tm1.gather(1, batch.a_tm1[:, None])[:, 0]
        return self.loss(taken, goal), (taken - goal).detach()


def plain(group: str, variant: Variant) -> Any:
    """What a variant's member of a group does, in plain code. ModuleNotFoundError where nobody has written it."""
    kind = getattr(variant, group).kind
    here: dict[str, Any] = {"one_step": lambda _: OneStep(), "uniform": Uniform, "scalar": Scalar}
    return (here.get(kind) or importlib.import_module(f".{kind}", __package__).Plain)(variant)


class PlainAgent:
    """One run's learner: `act`, `store`, `update`. Its target network moves by tau every `target.every` updates."""

    def __init__(self, variant: Variant, *, obs_size: int, num_actions: int) -> None:
        self.variant = variant
        self.returns, self.replay, self.estimator = (
            plain(name, variant) for name in ("returns", "replay", "estimator")
        )
        self.online = variant.network.module(
            obs_shape=(obs_size,), num_actions=num_actions, width=variant.estimator.width
        )
        self.target = copy.deepcopy(self.online)
        self.noisy = {
            network: [layer for layer in network.modules() if isinstance(layer, NoisyLinear)]
            for network in (self.online, self.target)
        }
        self.optimizer = torch_optimizer(variant.optimizer, list(self.online.parameters()))
        self.updates = 0

    def outputs(self, network: nn.Module, obs: Tensor) -> Tensor:
        """Outputs [B, A * width]; layers with noise draw it anew (Fortunato et al., 2018, equation 11)."""
        for layer in self.noisy[network]:
            layer.noise = tuple(
                e.sign() * e.abs().sqrt() for e in (torch.randn(layer.in_features), torch.randn(layer.out_features))
            )
        return network(obs)

    @torch.no_grad()
    def act(self, obs: np.ndarray) -> int:
        """The greedy action."""
        return int(self.estimator.values(self.outputs(self.online, torch.from_numpy(obs)[None])).argmax())

    def store(
        self, obs_tm1: np.ndarray, action: int, reward: float, obs_t: np.ndarray, terminated: bool, truncated: bool
    ) -> None:
        """Keep a step."""
        discount = 0.0 if terminated else self.variant.discount
        step = (obs_tm1, action, np.float32(reward), np.float32(discount), obs_t)
        for transition in self.returns.completed(step, terminated or truncated):
            self.replay.add(transition)

    def update(self, uniforms: np.ndarray | None = None) -> None:
        """One update on a minibatch drawn by uniform numbers [B] in [0, 1), by those of NumPy where none are given."""
        variant = self.variant
        index, weights = self.replay.sample(np.random.rand(variant.batch_size) if uniforms is None else uniforms)
        obs_tm1, a_tm1, r_t, discount_t, obs_t = (torch.from_numpy(column) for column in self.replay.rows(index))
        with torch.no_grad():
            outputs_t = self.outputs(self.target, obs_t)
            chosen_by = self.outputs(self.online, obs_t) if variant.double else outputs_t
            a_t = self.estimator.values(chosen_by).argmax(1)
            before = self.outputs(self.target, obs_tm1) if variant.estimator.looks_back else None
        batch = Batch(a_tm1, r_t, discount_t, outputs_t, a_t, before)
        losses, errors = self.estimator.losses(self.outputs(self.online, obs_tm1), batch)
        self.optimizer.zero_grad()
        (losses * torch.from_numpy(weights).float()).mean().backward()
        if isinstance(variant.clip, ClipNorm):
            nn.utils.clip_grad_norm_(self.online.parameters(), variant.clip.max_norm)
        elif isinstance(variant.clip, ClipValue):
            nn.utils.clip_grad_value_(self.online.parameters(), variant.clip.limit)
        self.optimizer.step()
        self.replay.learned(index, errors.numpy())
        self.updates += 1
        if self.updates % variant.target.every == 0:
            with torch.no_grad():
                for old, new in zip(self.target.parameters(), self.online.parameters(), strict=True):
                    old.lerp_(new, variant.target.tau)
