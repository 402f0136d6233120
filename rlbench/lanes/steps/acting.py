"""One environment step of all lanes: explore or act greedily, step, keep the episode's books, and say what is to be stored.

Two halves around the environment: `choose` before it, `absorb` after it; `tick` joins them around a tensor environment as one computation,
`decided_tick` where somebody else has chosen. In go the trainer's tensors (leading axis lanes); counters and observations are changed in
place. Every lane steps at each call; the counters of a lane that is not active stand still, and its rows are not recorded.
"""

import torch
from torch import Tensor

from rlbench.envs.lane_env import LaneEnv
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.steps.columns import ReplayColumns
from rlbench.lanes.steps.weight_noise import drawn_in
from rlbench.lanes.tensors import Tensors, group

Described = tuple[list[Tensor], Tensor, Tensor]
"""What `absorb` returns."""


def choose(
    lanes: Tensors, variant: Variant, role: str, explores: Tensor, uniform_action: Tensor, obs: Tensor
) -> Tensor:
    """Actions [L, E] int64 for obs [L, E, *shape]: the uniform one where explores [L, E] bool, else the greedy one.

    role: "acting" in training, or "evaluation". Without a network all actions are uniform.
    """
    if not variant.network.learns:
        return uniform_action
    params, network = group(lanes, "online"), variant.network
    normals = drawn_in(role, network, lanes, params)
    outputs, _ = network.outputs(params, group(lanes, "online_norm"), obs, role, *normals)
    return torch.where(explores, uniform_action, variant.estimator.values(outputs).argmax(2))


def acting_choice(lanes: Tensors, variant: Variant, explores: Tensor, uniform_action: Tensor, obs: Tensor) -> Tensor:
    """`choose` in training, one observation a lane: actions [L] for obs [L, *shape], explores and uniform_action [L]."""
    return choose(lanes, variant, "acting", explores[:, None], uniform_action[:, None], obs.float()[:, None])[:, 0]


def active_lanes(lanes: Tensors) -> Tensor:
    """Which lanes step now [L] bool: alive, and within their budgets."""
    within = (lanes["env_steps"] < lanes["budget_steps"]) & (lanes["episodes"] < lanes["budget_episodes"])
    return lanes["alive"] & within


def absorb(
    lanes: Tensors,
    variant: Variant,
    columns: ReplayColumns | None,
    obs_tm1: Tensor,
    action: Tensor,
    reward: Tensor,
    obs_t: Tensor,
    terminated: Tensor,
    truncated: Tensor,
) -> Described:
    """Count the step and describe it.

    Args:
        obs_tm1, obs_t: [L, *shape] before the step and after it (before any reset). action: [L] int64. reward: [L] float64.
        terminated, truncated: [L] bool.

    Returns:
        The rows of the step [L, width] for each dtype of the columns (none without columns), their places in the memory flattened over
        lanes [L] int64, and the record [L, 4] float64 of finished, length, episode return, terminated.
    """
    env_steps, episodes = lanes["env_steps"], lanes["episodes"]
    active = active_lanes(lanes)
    done = terminated | truncated
    length = lanes["length"] + 1
    episode_return = lanes["episode_return"] + reward
    rows: list[Tensor] = []
    if columns is not None:
        learned_from = {
            "reward": _stored_reward(variant, reward, done),
            "discount_t": _discount(variant, terminated, truncated),
        }
        seen = {"obs_tm1": obs_tm1, "obs_t": obs_t, "action": action, "is_last": done}
        rows = columns.packed(seen | learned_from)
    capacity = variant.replay.capacity
    place = torch.arange(len(action)) * capacity + env_steps % capacity
    finished = done & active
    record = torch.stack([finished.double(), length.double(), episode_return, terminated.double()], 1)
    lanes["active"].copy_(active)
    lanes["env_steps"].copy_(env_steps + active)
    lanes["episodes"].copy_(episodes + finished)
    lanes["length"].copy_(torch.where(done, 0, length))
    lanes["episode_return"].copy_(torch.where(done, 0.0, episode_return))
    return rows, place, record


def _stored_reward(variant: Variant, reward: Tensor, done: Tensor) -> Tensor:
    """The reward that is learned from [L]: at an episode's end the variant's own, where it has one."""
    final_reward = torch.as_tensor(variant.final_reward)[:, 0]
    return torch.where(done & ~final_reward.isnan(), final_reward.double(), reward)


def _discount(variant: Variant, terminated: Tensor, truncated: Tensor) -> Tensor:
    """What the value of the next observation counts [L]: the discount, or 0 where the variant lets nothing come after."""
    bootstraps = torch.as_tensor(variant.bootstrap_on_truncation)[:, 0] > 0
    ends = truncated & ~bootstraps
    if not variant.bootstrap_on_termination:
        ends = terminated | ends
    return torch.where(ends, 0.0, torch.as_tensor(variant.discount)[:, 0])


def tick(
    lanes: Tensors,
    variant: Variant,
    columns: ReplayColumns | None,
    env: LaneEnv,
    explores: Tensor,
    uniform_action: Tensor,
    first_states: Tensor,
    base_episodes: Tensor,
    *uniforms: Tensor,
) -> Described:
    """One step of a tensor environment for all lanes; returns what `absorb` returns. A finished episode is reset in the same step.

    first_states: [L, K, S], where episode `base_episodes + 1 + k` begins. uniforms: [L, U] where the environment draws.
    """
    action = acting_choice(lanes, variant, explores, uniform_action, env.observe(lanes["env"]))
    return decided_tick(lanes, variant, columns, env, action, first_states, base_episodes, *uniforms)


def decided_tick(
    lanes: Tensors,
    variant: Variant,
    columns: ReplayColumns | None,
    env: LaneEnv,
    action: Tensor,
    first_states: Tensor,
    base_episodes: Tensor,
    *uniforms: Tensor,
) -> Described:
    """The same with actions [L] int64."""
    state = lanes["env"]
    obs_tm1 = env.observe(state)
    after, reward, terminated = env.step(state, action, *uniforms)
    truncated = lanes["length"] + 1 >= env.max_episode_steps
    described = absorb(lanes, variant, columns, obs_tm1, action, reward, env.observe(after), terminated, truncated)
    upcoming = (lanes["episodes"] - base_episodes - 1).clamp(min=0)
    first = first_states.gather(1, upcoming[:, None, None].expand(-1, 1, state.shape[1]))[:, 0]
    lanes["env"].copy_(torch.where((terminated | truncated)[:, None], first, after))
    return described
