"""One environment step of all lanes: explore or act greedily, step, keep the episode's books, make the transition row.

Two halves around the environment: `choose` before it, `absorb` after it; `tick` joins them around a tensor environment as one computation.
In go the trainer's tensors (leading axis lanes); counters and observations are changed in place. Every lane steps at each call; the
counters of a lane that is not active stand still, and its rows are not recorded.
"""

import torch
from torch import Tensor

from rlbench.envs.lane_env import LaneEnv
from rlbench.lanes.networks import MLP
from rlbench.lanes.update import Tensors, group
from rlbench.lanes.variant import Variant


def choose(lanes: Tensors, variant: Variant, explores: Tensor, uniform_action: Tensor, obs: Tensor) -> Tensor:
    """Actions [L] int64 for obs [L, D]: the uniform one [L] where a lane explores [L] bool, else the greedy one.

    For other networks than an MLP, `uniform_action` has been decided already.
    """
    if not isinstance(variant.network, MLP):
        return uniform_action
    greedy = variant.network.q_values(group(lanes, "online"), obs[:, None])[:, 0].argmax(1)
    return torch.where(explores, uniform_action, greedy)


def active_lanes(lanes: Tensors) -> Tensor:
    """Which lanes step now [L] bool: alive, and within their budgets."""
    within = (lanes["env_steps"] < lanes["budget_steps"]) & (lanes["episodes"] < lanes["budget_episodes"])
    return lanes["alive"] & within


def absorb(
    lanes: Tensors,
    variant: Variant,
    obs_tm1: Tensor,
    action: Tensor,
    reward: Tensor,
    obs_t: Tensor,
    terminated: Tensor,
    truncated: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Count the step and describe it.

    Args:
        obs_tm1, obs_t: [L, D] float32 before the step and after it (before any reset). action: [L] int64. reward: [L] float64.
        terminated, truncated: [L] bool.

    Returns:
        The transition rows [L, 2 D + 3] float32, their places in the replay flattened over lanes [L] int64, and the record [L, 4] float64
        of finished, length, episode return, terminated.
    """
    env_steps, episodes = lanes["env_steps"], lanes["episodes"]
    active = active_lanes(lanes)
    done = terminated | truncated
    length = lanes["length"] + 1
    episode_return = lanes["episode_return"] + reward
    final_reward = torch.as_tensor(variant.final_reward)[:, 0]
    stored_reward = torch.where(done & ~final_reward.isnan(), final_reward.double(), reward)
    bootstraps = torch.as_tensor(variant.bootstrap_on_truncation)[:, 0] > 0
    masked = truncated & ~bootstraps
    if not variant.bootstrap_on_termination:
        masked = terminated | masked
    extras = torch.stack([action.float(), stored_reward.float(), masked.float()], 1)
    row = torch.cat([obs_tm1, obs_t, extras], 1)
    capacity = variant.replay.capacity
    place = torch.arange(row.shape[0]) * capacity + env_steps % capacity
    finished = done & active
    record = torch.stack([finished.double(), length.double(), episode_return, terminated.double()], 1)
    lanes["active"].copy_(active)
    lanes["env_steps"].copy_(env_steps + active)
    lanes["episodes"].copy_(episodes + finished)
    lanes["length"].copy_(torch.where(done, 0, length))
    lanes["episode_return"].copy_(torch.where(done, 0.0, episode_return))
    return row, place, record


def tick(
    lanes: Tensors,
    variant: Variant,
    env: LaneEnv,
    explores: Tensor,
    uniform_action: Tensor,
    first_states: Tensor,
    base_episodes: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of a tensor environment for all lanes; returns what `absorb` returns. A finished episode is reset in the same step.

    first_states: [L, K, S], where episode `base_episodes + 1 + k` begins.
    """
    state = lanes["env"]
    obs_tm1 = env.observe(state)
    action = choose(lanes, variant, explores, uniform_action, obs_tm1)
    after, reward, terminated = env.step(state, action)
    truncated = lanes["length"] + 1 >= env.max_episode_steps
    described = absorb(lanes, variant, obs_tm1, action, reward, env.observe(after), terminated, truncated)
    upcoming = (lanes["episodes"] - base_episodes - 1).clamp(min=0)
    first = first_states.gather(1, upcoming[:, None, None].expand(-1, 1, state.shape[1]))[:, 0]
    lanes["env"].copy_(torch.where((terminated | truncated)[:, None], first, after))
    return described
