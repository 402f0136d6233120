"""Greedy evaluation of lanes: E episodes each, on environment seeds of their own namespace, without exploration and without learning.

In go the online parameters of the lanes to evaluate, their seeds, and the ordinal of the evaluation; out come returns and lengths [L, E].
Each evaluation has fresh episodes, so the evaluations of a run are independent given its weights. Writes nothing into the trainer's state.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rlbench.envs.gymnasium_lanes import GymnasiumLanes
from rlbench.envs.lane_env import LaneEnv
from rlbench.lanes.networks import MLP
from rlbench.lanes.noise import first_states
from rlbench.lanes.streams import EVALUATION, Stream, reset_seed, words
from rlbench.lanes.update import Tensors, group
from rlbench.lanes.variant import Variant

STEPS_AHEAD = 25  # steps between two looks at whether every episode has ended, and for which actions are drawn ahead
STEPS_PER_ORDINAL = 1 << 32  # draws of one evaluation never meet those of the next


def greedy_actions(lanes: Tensors, variant: Variant, obs: Tensor, uniform_action: Tensor) -> Tensor:
    """Actions [L, E] for obs [L, E, D]; other networks than an MLP take the given ones [L, E]."""
    if isinstance(variant.network, MLP):
        return variant.network.q_values(group(lanes, "online"), obs).argmax(2)
    return uniform_action


def uniform_actions(lanes: Tensors, begin: int, num_episodes: int, num_actions: int) -> Tensor:
    """Uniform random actions [STEPS_AHEAD, L, E] of the steps from `begin` on of one evaluation."""
    episode = torch.arange(num_episodes)[None]
    step = torch.arange(begin, begin + STEPS_AHEAD)[:, None, None]
    draw_at = lanes["ordinal"][:, None] * STEPS_PER_ORDINAL + step + 0 * episode
    seed, namespace = lanes["seed"][:, None], lanes["evaluation_namespace"][:, None]
    pick, *_ = words(seed, namespace, Stream.UNIFORM_POLICY, draw_at, episode)
    return (pick * num_actions) >> 32


def evaluation_step(
    lanes: Tensors,
    variant: Variant,
    env: LaneEnv,
    state: Tensor,
    going: Tensor,
    returns: Tensor,
    lengths: Tensor,
    uniform_action: Tensor,
) -> None:
    """One step of all evaluation episodes, in place: state [L, E, S], going [L, E] bool, returns [L, E] float64, lengths [L, E] int64."""
    action = greedy_actions(lanes, variant, env.observe(state), uniform_action)
    after, reward, terminated = env.step(state, action)
    returns.copy_(torch.where(going, returns + reward, returns))
    lengths.copy_(lengths + going)
    still = going & ~terminated & (lengths < env.max_episode_steps)
    state.copy_(torch.where(still[..., None], after, state))
    going.copy_(still)


Actions = Callable[[Tensor, Tensor], Tensor]
"""Greedy actions [L, E] of obs [L, E, D], or the given uniform ones [L, E] where the policy is uniform."""
Step = Callable[[Tensor], None]
"""A step of all episodes, with these uniform actions [L, E]."""
Steps = Callable[[Tensors, Variant, LaneEnv, Tensor, Tensor, Tensor, Tensor], Step]
"""`evaluation_step` with its first arguments given."""


def evaluation_lanes(state: Tensors, chosen: Tensor, ordinal: Tensor) -> Tensors:
    """A copy of what evaluation needs of the chosen lanes ([n] int64), with the ordinal [n] of each lane's evaluation."""
    lanes = {name: tensor[chosen].contiguous() for name, tensor in state.items() if name.startswith("online")}
    lanes["seed"] = state["seed"][chosen]
    lanes["evaluation_namespace"] = state["namespace"][chosen] + EVALUATION
    lanes["ordinal"] = ordinal
    return lanes


def evaluate_tensor_env(
    steps: Steps, lanes: Tensors, variant: Variant, env: LaneEnv, num_episodes: int
) -> tuple[Tensor, Tensor]:
    """Returns [L, E] float64 and lengths [L, E] int64 of one evaluation."""
    episode = torch.arange(num_episodes)[None]
    seed, namespace = lanes["seed"][:, None], lanes["evaluation_namespace"][:, None]
    state = first_states(env, seed, namespace, lanes["ordinal"][:, None] + 0 * episode, episode)
    going = torch.ones(state.shape[:2], dtype=torch.bool)
    returns, lengths = (
        torch.zeros(state.shape[:2], dtype=torch.float64),
        torch.zeros(state.shape[:2], dtype=torch.int64),
    )
    step = steps(lanes, variant, env, state, going, returns, lengths)
    for elapsed in range(env.max_episode_steps):
        if elapsed % STEPS_AHEAD == 0:
            if not going.any():
                break
            drawn = _drawn(variant, lanes, elapsed, num_episodes, env.num_actions)
        step(drawn[elapsed % STEPS_AHEAD])
    return returns, lengths


def _drawn(variant: Variant, lanes: Tensors, begin: int, num_episodes: int, num_actions: int) -> Tensor:
    """Uniform actions where the policy is uniform, else as many zeros."""
    if variant.network.learns:
        return torch.zeros(STEPS_AHEAD, len(lanes["seed"]), num_episodes, dtype=torch.int64)
    return uniform_actions(lanes, begin, num_episodes, num_actions)


def evaluate_gymnasium(
    actions: Actions,
    lanes: Tensors,
    variant: Variant,
    envs: GymnasiumLanes,
    num_episodes: int,
) -> tuple[Tensor, Tensor]:
    """The same through Gymnasium: `envs` has a slot for each of the L x E episodes."""
    count = len(lanes["seed"])
    seeds, namespaces, ordinals = (lanes[name].tolist() for name in ("seed", "evaluation_namespace", "ordinal"))
    obs = np.stack(
        [
            envs.reset(
                lane * num_episodes + episode, reset_seed(seeds[lane], namespaces[lane], ordinals[lane], episode)
            )
            for lane in range(count)
            for episode in range(num_episodes)
        ]
    )
    going = np.ones(count * num_episodes, dtype=bool)
    returns, lengths = np.zeros(count * num_episodes), np.zeros(count * num_episodes, dtype=np.int64)
    elapsed = 0
    while going.any():
        if elapsed % STEPS_AHEAD == 0:
            drawn = _drawn(variant, lanes, elapsed, num_episodes, envs.num_actions)
        shaped = torch.from_numpy(obs).reshape(count, num_episodes, obs.shape[1])
        action = actions(shaped, drawn[elapsed % STEPS_AHEAD]).reshape(-1).numpy()
        # The pool may hold more environments than this evaluation needs.
        spare = envs.num_lanes - len(action)
        obs_t, reward, terminated, truncated = envs.step(np.pad(action, (0, spare)), np.pad(going, (0, spare)))
        obs_t, reward = obs_t[: len(action)], reward[: len(action)]
        terminated, truncated = terminated[: len(action)], truncated[: len(action)]
        returns += np.where(going, reward, 0.0)
        lengths += going
        obs = np.where(going[:, None], obs_t, obs)
        going = going & ~terminated & ~truncated
        elapsed += 1
    return torch.from_numpy(returns).reshape(count, -1), torch.from_numpy(lengths).reshape(count, -1)
