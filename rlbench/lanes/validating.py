"""One validation episode of some lanes: by the exploration schedule or greedily, without learning and without storing transitions.

In go the trainer's tensors (leading axis lanes) and which lanes validate; out come returns and lengths [L]. Every lane is stepped by the
elementwise form of its network, so that its bits do not depend on which others validate. Writes nothing into the trainer's state.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rlbench.envs.gymnasium_lanes import GymnasiumLanes
from rlbench.envs.lane_env import LaneEnv
from rlbench.lanes.acting import choose
from rlbench.lanes.noise import by_step, first_states
from rlbench.lanes.streams import TWO32, Stream, reset_seed, words
from rlbench.lanes.update import Tensors
from rlbench.lanes.validation import EpisodeValidation
from rlbench.lanes.variant import Variant

STEPS_AHEAD = 32  # steps whose noise is drawn at once: whole rows of `noise.TABLE_STRIDE`
RESET_INDEX = 1  # a validation episode begins elsewhere than the training episode of its number, whose index is 0


def validation_step(
    lanes: Tensors,
    variant: Variant,
    env: LaneEnv,
    state: Tensor,
    going: Tensor,
    returns: Tensor,
    lengths: Tensor,
    explores: Tensor,
    uniform_action: Tensor,
) -> None:
    """One step of the validation episodes, in place: state [L, S], going [L] bool, returns [L] float64, lengths [L] int64."""
    action = choose(lanes, variant, explores, uniform_action, env.observe(state))
    after, reward, terminated = env.step(state, action)
    returns.copy_(torch.where(going, returns + reward, returns))
    lengths.copy_(lengths + going)
    still = going & ~terminated & (lengths < env.max_episode_steps)
    state.copy_(torch.where(still[:, None], after, state))
    going.copy_(still)


Step = Callable[[Tensor, Tensor], None]
"""A step of all episodes: explores [L] bool, uniform actions [L] int64."""
Steps = Callable[[Tensors, Variant, LaneEnv, Tensor, Tensor, Tensor, Tensor], Step]
"""`validation_step` with its first arguments given."""


@dataclasses.dataclass
class Validation:
    """Validation episodes under way: of the lanes `who` [L] bool."""

    lanes: Tensors
    variant: Variant
    who: Tensor
    num_actions: int

    def __post_init__(self) -> None:
        self.returns = torch.zeros(len(self.who), dtype=torch.float64)
        self.lengths = torch.zeros(len(self.who), dtype=torch.int64)

    def noise(self, elapsed: int) -> tuple[Tensor, Tensor]:
        """Whether lanes explore, and the uniform actions, [STEPS_AHEAD, L] each, from a step of the episodes on."""
        lanes, rule = self.lanes, self.variant.validation
        assert isinstance(rule, EpisodeValidation)
        ahead = elapsed + torch.arange(STEPS_AHEAD)
        step = lanes["validation_steps"][:, None] + ahead
        seed, namespace = lanes["seed"][:, None], lanes["namespace"][:, None]
        draw, pick, _, _ = words(seed, namespace, Stream.VALIDATION, step, torch.zeros_like(step))
        n = lanes["env_steps"].double()[:, None] * torch.as_tensor(self.variant.epsilon_draws)
        n = n + (lanes["validation_draws"][:, None] + ahead).double()
        epsilon = self.variant.exploration.epsilon(n)
        explores = (draw < (epsilon * TWO32).floor().long()) & ~(torch.as_tensor(rule.greedy) > 0)
        return by_step(explores), by_step((pick * self.num_actions) >> 32)


def validate_tensor_env(steps: Steps, episodes: Validation, env: LaneEnv) -> None:
    """Play the episodes to their ends."""
    lanes = episodes.lanes
    index = torch.full_like(lanes["validations"], RESET_INDEX)
    state = first_states(env, lanes["seed"], lanes["namespace"], lanes["validations"], index)
    going = episodes.who.clone()
    step = steps(lanes, episodes.variant, env, state, going, episodes.returns, episodes.lengths)
    for elapsed in range(env.max_episode_steps):
        if elapsed % STEPS_AHEAD == 0:
            if not going.any():
                break
            explores, uniform_action = episodes.noise(elapsed)
        now = elapsed % STEPS_AHEAD
        step(explores[now], uniform_action[now])


def validate_gymnasium(choose_actions: Callable[..., Tensor], episodes: Validation, envs: GymnasiumLanes) -> None:
    """The same through Gymnasium: `envs` has a slot a lane; `choose_actions` is `choose` with its first arguments given."""
    lanes, going = episodes.lanes, episodes.who.numpy().copy()
    obs = np.zeros((len(going), envs.obs_size), np.float32)
    for slot in np.flatnonzero(going).tolist():
        seed, namespace, number = (int(lanes[name][slot]) for name in ("seed", "namespace", "validations"))
        obs[slot] = envs.reset(slot, reset_seed(seed, namespace, number, RESET_INDEX))
    elapsed = 0
    while going.any():
        if elapsed % STEPS_AHEAD == 0:
            explores, uniform_action = episodes.noise(elapsed)
        now = elapsed % STEPS_AHEAD
        # Nobody needs a greedy action where an episode is over.
        drawn = explores[now] | torch.from_numpy(~going)
        action = choose_actions(drawn, uniform_action[now], torch.from_numpy(obs))
        obs_t, reward, terminated, truncated = envs.step(action.numpy(), going)
        episodes.returns += torch.from_numpy(np.where(going, reward, 0.0))
        episodes.lengths += torch.from_numpy(going)
        obs = np.where(going[:, None], obs_t, obs)
        going = going & ~terminated & ~truncated
        elapsed += 1
