"""CartPole-v0 and CartPole-v1 as tensor functions, term for term as gymnasium/envs/classic_control/cartpole.py (1.4.0).

State and observation: cart position, cart velocity, pole angle, pole angular velocity.
Reward 1 a step, the terminating one included.
Must never be stepped past termination for its reward: Gymnasium calls that undefined.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, final

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.envs.lane_env import LaneEnv

GRAVITY = 9.8
POLE_MASS = 0.1
TOTAL_MASS = POLE_MASS + 1.0
HALF_LENGTH = 0.5
POLE_MASS_LENGTH = POLE_MASS * HALF_LENGTH
FORCE = 10.0
STEP_SECONDS = 0.02
ANGLE_LIMIT = 12 * 2 * math.pi / 360
POSITION_LIMIT = 2.4
RESET_LOW, RESET_HIGH = -0.05, 0.05


@final
@dataclass(frozen=True)
class CartPole(LaneEnv):
    """Balance a pole on a cart (Barto, Sutton and Anderson, 1983), with Euler steps of 0.02 s."""

    env_id: str = "CartPole-v1"
    max_episode_steps: int = 500

    obs_shape: ClassVar[tuple[int, ...]] = (4,)
    num_actions: ClassVar[int] = 2
    state_size: ClassVar[int] = 4
    num_reset_uniforms: ClassVar[int] = 4

    def reset(self, uniforms: Tensor) -> Tensor:
        return RESET_LOW + (RESET_HIGH - RESET_LOW) * uniforms

    def observe(self, state: Tensor) -> Tensor:
        return state.to(torch.float32)

    def step(self, state: Tensor, action: Tensor, *uniforms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, x_dot, theta, theta_dot = state.unbind(-1)
        force = FORCE * (2 * action - 1).to(torch.float64)
        sine, cosine = exact.sine_cosine(theta)
        temp = (force + POLE_MASS_LENGTH * (theta_dot * theta_dot) * sine) / TOTAL_MASS
        theta_acc = (GRAVITY * sine - cosine * temp) / (
            HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * (cosine * cosine) / TOTAL_MASS)
        )
        x_acc = temp - POLE_MASS_LENGTH * theta_acc * cosine / TOTAL_MASS

        x = x + STEP_SECONDS * x_dot
        x_dot = x_dot + STEP_SECONDS * x_acc
        theta = theta + STEP_SECONDS * theta_dot
        theta_dot = theta_dot + STEP_SECONDS * theta_acc
        terminated = (x < -POSITION_LIMIT) | (x > POSITION_LIMIT) | (theta < -ANGLE_LIMIT) | (theta > ANGLE_LIMIT)
        return torch.stack([x, x_dot, theta, theta_dot], -1), torch.ones_like(x), terminated
