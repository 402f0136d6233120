"""Gymnasium environments behind the lanes of a trainer: stepping, resetting, and the note from which a lane's environment is restored."""

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rlbench.envs.gymnasium_frames import FramedGymnasiumLanes
from rlbench.envs.gymnasium_lanes import GymnasiumLanes, LaneError, LaneSnapshot
from rlbench.lanes.choices.variant import Run
from rlbench.lanes.steps.acting import active_lanes
from rlbench.lanes.steps.frame_memory import look_up, store_frame
from rlbench.lanes.steps.observing import observed, window_of
from rlbench.lanes.streams import reset_seed
from rlbench.lanes.tensors import Tensors


class HostEnvironments:
    """One environment per slot for training and for validation, and a pool for evaluation."""

    def __init__(
        self,
        opened: Callable[[int, int | None], GymnasiumLanes],
        num_slots: int,
        num_evaluated: int,
        training_limit: int | None,
        evaluation_limit: int | None,
        validation_limit: int | None,
    ) -> None:
        """`opened` makes so many environments with a time limit; `num_evaluated` episodes are evaluated at once."""
        self.training_envs = opened(num_slots, training_limit)
        self.evaluation_envs = opened(num_evaluated, evaluation_limit)
        self._open_validation = functools.partial(opened, num_slots, validation_limit)

    @functools.cached_property
    def validation_envs(self) -> GymnasiumLanes:
        """One environment per slot for validation, made when the first lane validates."""
        return self._open_validation()

    def place(self, slot: int, note: LaneSnapshot | None, state: Tensors) -> None:
        """Start a slot's environment: from the note of a checkpoint, or with the reset of the lane's first episode."""
        if note is None:
            self._reset(slot, state)
        else:
            self.training_envs.restore(slot, note, self._expected(slot, state).numpy())

    def note(self, slot: int) -> LaneSnapshot:
        """What restores the slot's environment: the seed of its last reset and the actions since."""
        return self.training_envs.snapshot(slot)

    def step(self, action: Tensor, state: Tensors) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step the lanes that are within their budgets; returns reward, obs_t, terminated, truncated."""
        active = active_lanes(state)
        try:
            obs_t, reward, terminated, truncated = self.training_envs.step(action.numpy(), active.numpy())
        except LaneError as fault:
            raise LaneError(f"{fault}, step {int(state['env_steps'][fault.lane]) + 1} of the run", fault.lane) from None
        obs_t = self._kept(obs_t, active, state)
        found = reward, obs_t, terminated, truncated
        return tuple(torch.from_numpy(value) for value in found)  # type: ignore[return-value]

    def reset_ended(self, record: Tensor, state: Tensors, obs_t: Tensor) -> None:
        """Make the observations of the next step: a reset where the record [L, 4] says that an episode ended."""
        active = state["active"]
        state["obs"].copy_(torch.where(active[:, None], obs_t, state["obs"]))
        for slot in np.flatnonzero(record[:, 0].numpy()):
            self._reset(int(slot), state)

    def _reset(self, slot: int, state: Tensors) -> None:
        seed, namespace, episode = (int(state[name][slot]) for name in ("seed", "namespace", "episodes"))
        first = self.training_envs.reset(slot, reset_seed(seed, namespace, episode))
        state["obs"][slot] = self._begun(slot, torch.from_numpy(first), state)

    def _expected(self, slot: int, state: Tensors) -> Tensor:
        """What the environment of a slot showed last, [D]."""
        return state["obs"][slot]

    def _kept(self, obs_t: np.ndarray, active: Tensor, state: Tensors) -> np.ndarray:
        """The engine's observations [L, D] of what the environments of active lanes [L] bool show after a step."""
        return obs_t

    def _begun(self, slot: int, first: Tensor, state: Tensors) -> Tensor:
        """The engine's observation [D] of what the environment of a slot shows at the beginning of an episode."""
        return first


class FramedEnvironments(HostEnvironments):
    """The same on frames, which are stored in the lanes' state: the engine's observation is where (see `frame_memory`)."""

    def _expected(self, slot: int, state: Tensors) -> Tensor:
        return look_up(state["frames"][slot : slot + 1], state["obs"][slot : slot + 1]).flatten()

    def _kept(self, obs_t: np.ndarray, active: Tensor, state: Tensors) -> np.ndarray:
        places = state["obs"].clone()
        for slot in torch.nonzero(active)[:, 0].tolist():
            newest = torch.from_numpy(obs_t[slot]).unflatten(0, (places.shape[1], -1))[-1]
            places[slot] = torch.tensor([*places[slot, 1:].tolist(), store_frame(state, slot, newest)])
        return places.numpy()

    def _begun(self, slot: int, first: Tensor, state: Tensors) -> Tensor:
        num_frames = state["obs"].shape[1]
        place = store_frame(state, slot, first.unflatten(0, (num_frames, -1))[-1])
        return torch.full((num_frames,), float(place))


def host_environments(
    run: Run, num_slots: int, num_evaluated: int, evaluation_limit: int | None, validation_limit: int | None
) -> HostEnvironments:
    """The environments of runs like this one; see `HostEnvironments`. Nobody looks at the observations of a run that does not learn."""
    pixel, env = observed(run).pixel, run.env

    def opened(count: int, max_env_steps: int | None) -> GymnasiumLanes:
        if pixel is None:
            return GymnasiumLanes(env.id, count, max_env_steps, seen=run.variant.network.learns)
        return FramedGymnasiumLanes(env.id, count, max_env_steps, window_of(pixel), pixel.frames)

    kind = HostEnvironments if pixel is None else FramedEnvironments
    return kind(opened, num_slots, num_evaluated, env.max_env_steps, evaluation_limit, validation_limit)
