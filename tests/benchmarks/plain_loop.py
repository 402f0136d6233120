"""A plain single-run DQN in PyTorch, as one writes it: one environment, one network, torch.optim. The yardstick of the benchmark.

The same algorithm, minibatch, network and schedule as one lane, on one core, with two replay memories: transitions of tensors in a deque,
concatenated for each minibatch, as the published tutorials have it; and preallocated arrays, which is as fast as a plain loop gets.
"""

import collections
import math
import random
import time
from typing import Protocol

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.optimizers import AdamW
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.variant import Run


class Memory(Protocol):
    """A replay memory; `sample` gives obs_tm1 [B, D], action [B, 1], reward [B], 1 - terminated [B], obs_t [B, D]."""

    def __init__(self, capacity: int) -> None: ...
    def add(self, obs_tm1: np.ndarray, action: int, reward: float, obs_t: np.ndarray, terminated: bool) -> None: ...
    def sample(self, batch_size: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]: ...


class DequeMemory:
    """Tuples of one-row tensors, drawn without replacement, as in PyTorch's DQN tutorial."""

    def __init__(self, capacity: int) -> None:
        self.transitions: collections.deque[tuple[Tensor, ...]] = collections.deque(maxlen=capacity)

    def add(self, obs_tm1: np.ndarray, action: int, reward: float, obs_t: np.ndarray, terminated: bool) -> None:
        row = (
            torch.tensor(obs_tm1, dtype=torch.float32)[None],
            torch.tensor([[action]], dtype=torch.long),
            torch.tensor([reward], dtype=torch.float32),
            torch.tensor([not terminated], dtype=torch.float32),
            torch.tensor(obs_t, dtype=torch.float32)[None],
        )
        self.transitions.append(row)

    def sample(self, batch_size: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        obs_tm1, action, reward, goes_on, obs_t = zip(*random.sample(self.transitions, batch_size), strict=True)
        return torch.cat(obs_tm1), torch.cat(action), torch.cat(reward), torch.cat(goes_on), torch.cat(obs_t)


class ArrayMemory:
    """Preallocated arrays, drawn with replacement."""

    def __init__(self, capacity: int) -> None:
        self.obs_tm1, self.obs_t = np.zeros((capacity, 4), np.float32), np.zeros((capacity, 4), np.float32)
        self.action, self.reward = np.zeros((capacity, 1), np.int64), np.zeros(capacity, np.float32)
        self.goes_on, self.added = np.zeros(capacity, np.float32), 0

    def add(self, obs_tm1: np.ndarray, action: int, reward: float, obs_t: np.ndarray, terminated: bool) -> None:
        place = self.added % len(self.reward)
        self.obs_tm1[place], self.action[place], self.reward[place] = obs_tm1, action, reward
        self.obs_t[place], self.goes_on[place] = obs_t, not terminated
        self.added += 1

    def sample(self, batch_size: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        index = np.random.randint(0, min(self.added, len(self.reward)), batch_size)
        obs_tm1, action, reward = self.obs_tm1[index], self.action[index], self.reward[index]
        arrays = (obs_tm1, action, reward, self.goes_on[index], self.obs_t[index])
        found = [torch.from_numpy(array) for array in arrays]
        return found[0], found[1], found[2], found[3], found[4]


MEMORIES: dict[str, type[Memory]] = {"deque": DequeMemory, "arrays": ArrayMemory}


def steps_per_second(run: Run, memory: str, steps: int, untimed: int) -> float:
    """Train `untimed` + `steps` steps of the run's algorithm (Huber, AdamW, value clipping, soft target); time the last `steps`."""
    variant = run.variant
    assert isinstance(variant.network, MLP)
    assert isinstance(variant.optimizer, AdamW)
    assert isinstance(variant.target, Periodic)
    torch.manual_seed(run.seed)
    env = gymnasium.make(run.env.id)
    obs, _ = env.reset(seed=run.seed)
    online = variant.network.module(obs_shape=(4,), num_actions=2)
    target = variant.network.module(obs_shape=(4,), num_actions=2)
    target.load_state_dict(online.state_dict())
    optimizer = torch.optim.AdamW(online.parameters(), lr=variant.optimizer.lr, amsgrad=variant.optimizer.amsgrad)
    loss_of = nn.SmoothL1Loss()
    replay = MEMORIES[memory](variant.replay.capacity)
    begin = time.perf_counter()
    for step in range(untimed + steps):
        if step == untimed:
            begin = time.perf_counter()
        if random.random() < 0.05 + 0.85 * math.exp(-step / 1000):
            action = random.randrange(2)
        else:
            with torch.no_grad():
                action = int(online(torch.from_numpy(obs)).argmax())
        after, reward, terminated, truncated, _ = env.step(action)
        replay.add(obs, action, float(reward), after, terminated)
        obs = env.reset()[0] if terminated or truncated else after
        if step + 1 < variant.replay.warmup or (step + 1) % variant.update_period:
            continue
        obs_tm1, taken, r_t, goes_on, obs_t = replay.sample(variant.batch_size)
        with torch.no_grad():
            goal = r_t + 0.99 * goes_on * target(obs_t).amax(1)
        q = online(obs_tm1).gather(1, taken)[:, 0]
        optimizer.zero_grad()
        loss_of(q, goal).backward()
        nn.utils.clip_grad_value_(online.parameters(), 100)
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(target.parameters(), online.parameters(), strict=True):
                old.lerp_(new, variant.target.tau)
    return steps / (time.perf_counter() - begin)
