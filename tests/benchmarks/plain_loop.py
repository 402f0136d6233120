"""A plain single-run DQN in PyTorch, as one writes it: one environment, one network, torch.optim, a replay of arrays.

The yardstick of the benchmark: the same algorithm, minibatch, network and schedule as one lane, on one core.
"""

import math
import random
import time

import gymnasium
import numpy as np
import torch
from torch import nn

from rlbench.lanes.networks import MLP
from rlbench.lanes.optimizers import AdamW
from rlbench.lanes.targets import Periodic
from rlbench.lanes.variant import Run


def steps_per_second(run: Run, steps: int, untimed: int) -> float:
    """Train `untimed` + `steps` steps of the run's algorithm (Huber, AdamW, value clipping, soft target); time the last `steps`."""
    variant = run.variant
    assert isinstance(variant.network, MLP)
    assert isinstance(variant.optimizer, AdamW)
    assert isinstance(variant.target, Periodic)
    torch.manual_seed(run.seed)
    env = gymnasium.make(run.env.id)
    obs, _ = env.reset(seed=run.seed)
    online = variant.network.module(obs_size=4, num_actions=2)
    target = variant.network.module(obs_size=4, num_actions=2)
    target.load_state_dict(online.state_dict())
    optimizer = torch.optim.AdamW(online.parameters(), lr=variant.optimizer.lr, amsgrad=variant.optimizer.amsgrad)
    loss_of = nn.SmoothL1Loss()
    capacity = variant.replay.capacity
    obs_tm1, obs_t = np.zeros((capacity, 4), np.float32), np.zeros((capacity, 4), np.float32)
    actions, rewards = np.zeros(capacity, np.int64), np.zeros(capacity, np.float32)
    terminals = np.zeros(capacity, np.float32)
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
        place = step % capacity
        obs_tm1[place], obs_t[place], actions[place] = obs, after, action
        rewards[place], terminals[place] = reward, terminated
        obs = env.reset()[0] if terminated or truncated else after
        if step + 1 < variant.replay.warmup or (step + 1) % variant.update_period:
            continue
        index = np.random.randint(0, min(step + 1, capacity), variant.batch_size)
        with torch.no_grad():
            best = target(torch.from_numpy(obs_t[index])).amax(1)
            goal = torch.from_numpy(rewards[index]) + 0.99 * (1 - torch.from_numpy(terminals[index])) * best
        taken = torch.from_numpy(actions[index])[:, None]
        q = online(torch.from_numpy(obs_tm1[index])).gather(1, taken)[:, 0]
        optimizer.zero_grad()
        loss_of(q, goal).backward()
        nn.utils.clip_grad_value_(online.parameters(), 100)
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(target.parameters(), online.parameters(), strict=True):
                old.lerp_(new, variant.target.tau)
    return steps / (time.perf_counter() - begin)
