"""Episodes beside training, played to their ends: in tensors or through Gymnasium, on numbers or on pixels.

In go lanes, their stacked variant and what episodes are to be played; out come their returns and lengths [L, E]. Evaluation and validation
are such episodes: they differ in where these begin and in who explores. A lane's bits do not depend on which others play. Writes nothing
into the trainer's state.
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rlbench.envs.gymnasium_lanes import GymnasiumLanes
from rlbench.envs.lane_env import LaneEnv
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.steps.acting import choose
from rlbench.lanes.steps.noise import first_states
from rlbench.lanes.streams import reset_seed
from rlbench.lanes.tensors import Tensors


class Noise(Protocol):
    """What episodes draw. `ahead` steps are drawn at once, and after as many it is looked at whether all episodes have ended."""

    ahead: int

    def actions(self, elapsed: int) -> tuple[Tensor, Tensor]:
        """Whether episodes explore, and uniform actions, [ahead, L, E] each, from a step of the episodes on."""

    def uniforms(self, elapsed: int) -> Tensor | None:
        """Numbers of an environment that draws, [ahead, L, E, U] float64."""


@dataclasses.dataclass
class Episodes:
    """Episodes of lanes, one for each of `who` [L, E] bool. An episode begins as (seed, namespace, number, index) say."""

    lanes: Tensors
    variant: Variant
    who: Tensor
    namespace: Tensor
    """[L] int64"""
    number: Tensor
    """[L] int64"""
    index: Tensor
    """[E] int64"""
    noise: Noise

    def __post_init__(self) -> None:
        self.returns = torch.zeros(self.who.shape, dtype=torch.float64)
        self.lengths = torch.zeros(self.who.shape, dtype=torch.int64)

    def first_states(self, env: LaneEnv) -> Tensor:
        """[L, E, S] float64."""
        seed, namespace, number = (t[:, None] for t in (self.lanes["seed"], self.namespace, self.number))
        index = self.index[None]
        return first_states(env, seed, namespace, number + 0 * index, index + 0 * number)

    def reset_seed(self, lane: int, episode: int) -> int:
        """The seed with which Gymnasium begins an episode."""
        seed, namespace, number = (int(t[lane]) for t in (self.lanes["seed"], self.namespace, self.number))
        return reset_seed(seed, namespace, number, int(self.index[episode]))


def episode_step(
    lanes: Tensors,
    variant: Variant,
    env: LaneEnv,
    state: Tensor,
    going: Tensor,
    returns: Tensor,
    lengths: Tensor,
    explores: Tensor,
    uniform_action: Tensor,
    *uniforms: Tensor,
) -> None:
    """One step of all episodes, in place: state [L, E, S], going [L, E] bool, returns [L, E] float64, lengths [L, E] int64."""
    action = choose(lanes, variant, "evaluation", explores, uniform_action, env.observe(state).float())
    decided_step(env, state, going, returns, lengths, action, *uniforms)


def decided_step(
    env: LaneEnv, state: Tensor, going: Tensor, returns: Tensor, lengths: Tensor, action: Tensor, *uniforms: Tensor
) -> None:
    """The same with actions [L, E] int64."""
    after, reward, terminated = env.step(state, action, *uniforms)
    returns.copy_(torch.where(going, returns + reward, returns))
    lengths.copy_(lengths + going)
    still = going & ~terminated & (lengths < env.max_episode_steps)
    state.copy_(torch.where(still[..., None], after, state))
    going.copy_(still)


Actions = Callable[[Tensor, Tensor, Tensor], Tensor]
"""`acting.choose` given explores, uniform actions and observations of all episodes."""
Step = Callable[..., None]
"""A step of all episodes: explores [L, E] bool, uniform actions [L, E] int64, and the numbers of an environment that draws."""


class Policy(Protocol):
    """Who chooses the actions of episodes."""

    def steps(self, episodes: Episodes, env: LaneEnv, state: Tensor, going: Tensor) -> Step:
        """Steps of episodes in a tensor environment that change state [L, E, S] and going [L, E] in place."""

    def actions(self, episodes: Episodes) -> Actions:
        """Actions of episodes that are played through Gymnasium."""


def play_in_tensors(policy: Policy, episodes: Episodes, env: LaneEnv) -> None:
    """Play the episodes to their ends."""
    state, going, noise = episodes.first_states(env), episodes.who.clone(), episodes.noise
    step = policy.steps(episodes, env, state, going)
    for elapsed in range(env.max_episode_steps):
        now = elapsed % noise.ahead
        if now == 0:
            if not going.any():
                break
            explores, uniform_action = noise.actions(elapsed)
            uniforms = noise.uniforms(elapsed)
        step(explores[now], uniform_action[now], *(() if uniforms is None else (uniforms[now],)))


def play_through_gymnasium(policy: Policy, episodes: Episodes, envs: GymnasiumLanes) -> None:
    """The same through Gymnasium: `envs` has a slot for each of the L x E episodes, and may have more."""
    shape, noise = episodes.who.shape, episodes.noise
    going = np.zeros(envs.num_lanes, bool)
    going[: episodes.who.numel()] = episodes.who.flatten().numpy()
    obs = np.zeros((envs.num_lanes, envs.obs_size), np.float32)
    for slot in np.flatnonzero(going).tolist():
        obs[slot] = envs.reset(slot, episodes.reset_seed(*divmod(slot, shape[1])))
    choose_actions, elapsed, action = policy.actions(episodes), 0, np.zeros(envs.num_lanes, np.int64)
    returns, lengths = episodes.returns.view(-1).numpy(), episodes.lengths.view(-1).numpy()
    count = len(returns)
    while going.any():
        if elapsed % noise.ahead == 0:
            explores, uniform_action = noise.actions(elapsed)
        now = elapsed % noise.ahead
        # Nobody needs a greedy action where an episode is over.
        drawn = explores[now] | torch.from_numpy(~going[:count]).view(shape)
        seen = torch.from_numpy(obs[:count]).view(*shape, envs.obs_size)
        action[:count] = choose_actions(drawn, uniform_action[now], seen).reshape(-1).numpy()
        obs_t, reward, terminated, truncated = envs.step(action, going)
        returns += np.where(going, reward, 0.0)[:count]
        lengths += going[:count]
        obs = np.where(going[:, None], obs_t, obs)
        going = going & ~terminated & ~truncated
        elapsed += 1
