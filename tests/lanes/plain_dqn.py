"""DQN in plain PyTorch, one run at a time: the statement that the engine's update is held against.

`nn.Sequential`, `torch.optim`, `torch.nn` losses, `torch.nn.utils` clipping, a Python list for the replay memory; the random numbers are
those of the run, computed by `plain_philox`. In go transitions, one a step; the networks learn from them as the variant says.
"""

import copy
import math
from collections.abc import Mapping

import torch
from plain_networks import PlainNetwork
from plain_philox import stream_words
from torch import Tensor, nn

from rlbench.lanes.choices.clipping import ClipNorm, ClipValue
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.optimizers import SGD, Adam, AdamW, RMSprop
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.variant import Variant

REPLAY_STREAM = 4


def torch_optimizer(choice: Adam | RMSprop | SGD, params: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The stock optimiser that a choice names."""
    match choice:
        case Adam():
            stock = torch.optim.AdamW if isinstance(choice, AdamW) else torch.optim.Adam
            betas = (choice.beta1, choice.beta2)
            return stock(
                params,
                lr=choice.lr,
                betas=betas,
                eps=choice.eps,
                weight_decay=choice.weight_decay,
                amsgrad=choice.amsgrad,
            )
        case RMSprop():
            return torch.optim.RMSprop(
                params,
                lr=choice.lr,
                alpha=choice.alpha,
                eps=choice.eps,
                weight_decay=choice.weight_decay,
                momentum=choice.momentum,
                centered=choice.centered,
            )
        case SGD():
            return torch.optim.SGD(
                params,
                lr=choice.lr,
                momentum=choice.momentum,
                dampening=choice.dampening,
                weight_decay=choice.weight_decay,
                nesterov=choice.nesterov,
            )


def minibatch(words: list[int], size: int, *, replacement: bool) -> list[int]:
    """Indices below `size`, one a word: independent draws, or the first entries of Fisher and Yates' shuffle, swap by swap."""
    if replacement:
        return [word * size // 2**32 for word in words]
    cards = list(range(size))
    for j, word in enumerate(words):
        r = j + word * (size - j) // 2**32
        cards[j], cards[r] = cards[r], cards[j]
    return cards[: len(words)]


class PlainDQN:
    """One run's learner. `store` a transition, then `learn`."""

    def __init__(
        self,
        variant: Variant,
        *,
        weights: Mapping[str, Tensor],
        obs_size: int,
        num_actions: int,
        seed: int,
        namespace: int,
    ) -> None:
        assert isinstance(variant.network, MLP)
        self.variant, self.seed, self.namespace = variant, seed, namespace
        self.online: nn.Module = PlainNetwork(variant.network, obs_size, num_actions)
        if variant.network.activation != "relu":
            self.online = variant.network.module(obs_shape=(obs_size,), num_actions=num_actions)
        self.online.load_state_dict(dict(weights))
        self.target = copy.deepcopy(self.online) if isinstance(variant.target, Periodic) else self.online
        self.optimizer = torch_optimizer(variant.optimizer, list(self.online.parameters()))
        self.loss = nn.HuberLoss(delta=variant.loss.delta) if isinstance(variant.loss, Huber) else nn.MSELoss()
        self.memory: list[Tensor] = []
        self.env_steps = self.updates = self.episodes = 0
        self.disagreements = 0  # next states at which the two networks prefer different actions
        self.last = dict.fromkeys(("loss", "q_mean", "q_max", "grad_norm"), math.nan)

    def store(self, transition: Tensor) -> None:
        """Keep a transition (observation, next observation, action, reward, discount) in the place of the oldest."""
        place = self.env_steps % self.variant.replay.capacity
        assert float(transition[-1]) in (0.0, float(torch.tensor(self.variant.discount)))
        self.memory[place : place + 1] = [transition.clone()]
        self.env_steps += 1

    def learn(self, *, episode_ended: bool) -> None:
        """The updates that are due after this step, and the move of the target network."""
        variant, rule = self.variant, self.variant.target
        self.episodes += episode_ended
        if self.env_steps >= variant.replay.warmup and self.env_steps % variant.update_period == 0:
            for _ in range(variant.updates_per_period):
                self._update()
                if isinstance(rule, Periodic) and rule.unit == "updates" and self.updates % rule.every == 0:
                    self._move_target(rule.tau)
        if isinstance(rule, Periodic):
            if rule.unit == "steps" and self.env_steps % rule.every == 0:
                self._move_target(rule.tau)
            if rule.unit == "episodes" and episode_ended and self.episodes % rule.every == 0:
                self._move_target(rule.tau)

    def target_distance(self) -> float:
        """Euclidean distance between the weights of the two networks."""
        pairs = zip(self.online.parameters(), self.target.parameters(), strict=True)
        return math.sqrt(sum(float(((o - t).double() ** 2).sum()) for o, t in pairs))

    def _words(self) -> list[int]:
        blocks = range(math.ceil(self.variant.batch_size / 4))
        at = {"seed": self.seed, "namespace": self.namespace, "stream": REPLAY_STREAM, "step": self.updates}
        return [word for block in blocks for word in stream_words(**at, index=block)][: self.variant.batch_size]

    def _update(self) -> None:
        variant = self.variant
        chosen = minibatch(self._words(), len(self.memory), replacement=variant.replay.replacement)
        rows = torch.stack([self.memory[i] for i in chosen])
        features = (rows.shape[1] - 3) // 2
        obs_tm1, obs_t = rows[:, :features], rows[:, features : 2 * features]
        a_tm1, r_t, discount_t = rows[:, -3].long(), rows[:, -2], rows[:, -1]
        with torch.no_grad():
            q_t = self._pass(self.target, obs_t, "target")
            preferred = self._pass(self.online, obs_t, "choosing").argmax(1)
            self.disagreements += int((preferred != q_t.argmax(1)).sum())
            best = preferred if variant.double else q_t.argmax(1)
            goal = r_t + discount_t * q_t[torch.arange(len(best)), best]
        q_tm1 = self._pass(self.online, obs_tm1, "learning")
        taken = q_tm1[torch.arange(len(a_tm1)), a_tm1]
        loss = self.loss(taken, goal)
        self.optimizer.zero_grad()
        loss.backward()
        params = list(self.online.parameters())
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in params if p.grad is not None))
        if isinstance(variant.clip, ClipNorm):
            nn.utils.clip_grad_norm_(params, variant.clip.max_norm)
        elif isinstance(variant.clip, ClipValue):
            nn.utils.clip_grad_value_(params, variant.clip.limit)
        self.optimizer.step()
        self.updates += 1
        self.last = {
            "loss": float(loss.detach()),
            "q_mean": float(taken.detach().mean()),
            "q_max": float(q_tm1.detach().max()),
            "grad_norm": norm,
        }

    def _pass(self, network: nn.Module, obs: Tensor, which: str) -> Tensor:
        """A forward pass, with noise of its own where the network has some."""
        if isinstance(network, PlainNetwork) and network.choice.noise == "fresh":
            network.draw(seed=self.seed, namespace=self.namespace, step=self.updates, which=which)
        q: Tensor = network(obs)
        return q

    def _move_target(self, tau: float) -> None:
        with torch.no_grad():
            for t, o in zip(self.target.parameters(), self.online.parameters(), strict=True):
                t.copy_(o if tau == 1 else (1 - tau) * t + tau * o)
