"""MountainCar-v0 as tensor functions, term for term as gymnasium/envs/classic_control/mountain_car.py (1.4.0).

State and observation: position and velocity. Reward -1 a step, the terminating one included.
"""

from dataclasses import dataclass
from typing import ClassVar, final

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.envs.lane_env import LaneEnv

MIN_POSITION, MAX_POSITION = -1.2, 0.6
MAX_SPEED = 0.07
GOAL_POSITION, GOAL_VELOCITY = 0.5, 0.0
FORCE = 0.001
GRAVITY = 0.0025
RESET_LOW, RESET_HIGH = -0.6, -0.4


@final
@dataclass(frozen=True)
class MountainCar(LaneEnv):
    """Drive an underpowered car up a hill (Moore, 1990): actions push left, not at all, right."""

    env_id: str = "MountainCar-v0"
    max_episode_steps: int = 200

    obs_shape: ClassVar[tuple[int, ...]] = (2,)
    num_actions: ClassVar[int] = 3
    state_size: ClassVar[int] = 2
    num_reset_uniforms: ClassVar[int] = 1

    def reset(self, uniforms: Tensor) -> Tensor:
        position = RESET_LOW + (RESET_HIGH - RESET_LOW) * uniforms[..., 0]
        return torch.stack([position, torch.zeros_like(position)], -1)

    def observe(self, state: Tensor) -> Tensor:
        return state.to(torch.float32)

    def step(self, state: Tensor, action: Tensor, *uniforms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        position, velocity = state.unbind(-1)
        push = (action - 1).to(torch.float64) * FORCE
        velocity = velocity + (push + exact.cosine(3.0 * position) * -GRAVITY)
        velocity = velocity.clamp(-MAX_SPEED, MAX_SPEED)
        position = (position + velocity).clamp(MIN_POSITION, MAX_POSITION)
        hits_wall = (position == MIN_POSITION) & (velocity < 0.0)
        velocity = torch.where(hits_wall, torch.zeros_like(velocity), velocity)
        terminated = (position >= GOAL_POSITION) & (velocity >= GOAL_VELOCITY)
        return torch.stack([position, velocity], -1), torch.full_like(position, -1.0), terminated
