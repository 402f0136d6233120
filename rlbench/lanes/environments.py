"""Gymnasium environments behind the lanes of a trainer: stepping, resetting, and the note from which a lane's environment is restored."""

import numpy as np
import torch
from torch import Tensor

from rlbench.envs.gymnasium_lanes import GymnasiumLanes, LaneSnapshot
from rlbench.lanes.streams import reset_seed
from rlbench.lanes.update import Tensors
from rlbench.lanes.variant import Environment


class HostEnvironments:
    """One environment per slot for training and for validation, and a pool for evaluation."""

    def __init__(
        self,
        env: Environment,
        num_slots: int,
        num_evaluated: int,
        evaluation_limit: int | None,
        validation_limit: int | None,
    ) -> None:
        """`num_evaluated` episodes are evaluated at once; the limits are those of an evaluation and of a validation episode."""
        self.training_envs = GymnasiumLanes(env.id, num_slots, env.max_env_steps)
        self.evaluation_envs = GymnasiumLanes(env.id, num_evaluated, evaluation_limit)
        self._validation = (env.id, num_slots, validation_limit)
        self._validation_envs: GymnasiumLanes | None = None

    @property
    def validation_envs(self) -> GymnasiumLanes:
        """One environment per slot for validation, made when the first lane validates."""
        if self._validation_envs is None:
            self._validation_envs = GymnasiumLanes(*self._validation)
        return self._validation_envs

    def place(self, slot: int, note: LaneSnapshot | None, state: Tensors) -> None:
        """Start a slot's environment: from the note of a checkpoint, or with the reset of the lane's first episode."""
        if note is None:
            self._reset(slot, state)
        else:
            self.training_envs.restore(slot, note, state["obs"][slot].numpy())

    def note(self, slot: int) -> LaneSnapshot:
        """What restores the slot's environment: the seed of its last reset and the actions since."""
        return self.training_envs.snapshot(slot)

    def step(self, action: Tensor, state: Tensors) -> dict[str, Tensor]:
        """Step the lanes that are within their budgets; returns reward, obs_t, terminated, truncated for `absorb`."""
        active = (
            state["alive"]
            & (state["env_steps"] < state["budget_steps"])
            & (state["episodes"] < state["budget_episodes"])
        )
        obs_t, reward, terminated, truncated = self.training_envs.step(action.numpy(), active.numpy())
        names = ("obs_t", "reward", "terminated", "truncated")
        return {
            name: torch.from_numpy(value)
            for name, value in zip(names, (obs_t, reward, terminated, truncated), strict=True)
        }

    def reset_ended(self, record: Tensor, state: Tensors, obs_t: Tensor) -> None:
        """Make the observations of the next step: a reset where the record [L, 4] says that an episode ended."""
        active = state["active"]
        state["obs"].copy_(torch.where(active[:, None], obs_t, state["obs"]))
        for slot in np.flatnonzero(record[:, 0].numpy()):
            self._reset(int(slot), state)

    def _reset(self, slot: int, state: Tensors) -> None:
        seed, namespace, episode = (int(state[name][slot]) for name in ("seed", "namespace", "episodes"))
        obs = self.training_envs.reset(slot, reset_seed(seed, namespace, episode))
        state["obs"][slot] = torch.from_numpy(obs)
