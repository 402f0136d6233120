"""Acrobot-v1 as tensor functions, after gymnasium/envs/classic_control/acrobot.py (1.4.0): the book's dynamics.

State: two joint angles and their velocities; observation: cosine and sine of each angle, then the velocities.
Reward -1 a step, 0 on the terminating one.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, final

from rlbench import exact
from rlbench.deferred import Tensor, torch
from rlbench.envs.lane_env import LaneEnv

GRAVITY = 9.8
STEP_SECONDS = 0.2
LINK_LENGTH = 1.0
LINK_MASS = 1.0
LINK_CENTRE = 0.5
LINK_INERTIA = 1.0
MAX_VELOCITY_1, MAX_VELOCITY_2 = 4 * math.pi, 9 * math.pi
RESET_LOW, RESET_HIGH = -0.1, 0.1
# Products of the constants above that the equations of motion need.
COUPLING = LINK_MASS * LINK_LENGTH * LINK_CENTRE
CENTRE_INERTIA = LINK_MASS * LINK_CENTRE**2
FAR_INERTIA = LINK_MASS * (LINK_LENGTH**2 + LINK_CENTRE**2)

# Two angles and two velocities, or their time derivatives; [...] float64 each.
_Coordinates = tuple[Tensor, Tensor, Tensor, Tensor]


@final
@dataclass(frozen=True)
class Acrobot(LaneEnv):
    """Swing a two-link chain above a height by a torque of -1, 0 or 1 at its middle joint (Sutton, 1996)."""

    env_id: str = "Acrobot-v1"
    max_episode_steps: int = 500

    obs_shape: ClassVar[tuple[int, ...]] = (6,)
    num_actions: ClassVar[int] = 3
    state_size: ClassVar[int] = 4
    num_reset_uniforms: ClassVar[int] = 4

    def reset(self, uniforms: Tensor) -> Tensor:
        # Gymnasium rounds the first state, and no later one, to float32.
        return (RESET_LOW + (RESET_HIGH - RESET_LOW) * uniforms).to(torch.float32).to(torch.float64)

    def observe(self, state: Tensor) -> Tensor:
        theta_1, theta_2, velocity_1, velocity_2 = state.unbind(-1)
        sine_1, cosine_1 = exact.sine_cosine(theta_1)
        sine_2, cosine_2 = exact.sine_cosine(theta_2)
        return torch.stack([cosine_1, sine_1, cosine_2, sine_2, velocity_1, velocity_2], -1).to(torch.float32)

    def step(self, state: Tensor, action: Tensor, *uniforms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        torque = (action - 1).to(torch.float64)
        theta_1, theta_2, velocity_1, velocity_2 = state.unbind(-1)
        theta_1, theta_2, velocity_1, velocity_2 = _runge_kutta((theta_1, theta_2, velocity_1, velocity_2), torque)
        theta_1 = _wrap(theta_1)
        theta_2 = _wrap(theta_2)
        velocity_1 = velocity_1.clamp(-MAX_VELOCITY_1, MAX_VELOCITY_1)
        velocity_2 = velocity_2.clamp(-MAX_VELOCITY_2, MAX_VELOCITY_2)
        terminated = -exact.cosine(theta_1) - exact.cosine(theta_2 + theta_1) > 1.0
        reward = terminated.to(torch.float64) - 1.0
        return torch.stack([theta_1, theta_2, velocity_1, velocity_2], -1), reward, terminated


def _runge_kutta(y: _Coordinates, torque: Tensor) -> _Coordinates:
    """Integrate one step of 0.2 s with the classical fourth-order Runge-Kutta method."""
    half = STEP_SECONDS / 2.0
    sixth = STEP_SECONDS / 6.0
    k1 = _derivatives(y, torque)
    k2 = _derivatives(_advance(y, half, k1), torque)
    k3 = _derivatives(_advance(y, half, k2), torque)
    k4 = _derivatives(_advance(y, STEP_SECONDS, k3), torque)
    a, b, c, d = (p + 2.0 * q + 2.0 * r + s for p, q, r, s in zip(k1, k2, k3, k4, strict=True))
    return _advance(y, sixth, (a, b, c, d))


def _advance(y: _Coordinates, seconds: float, rates: _Coordinates) -> _Coordinates:
    a, b, c, d = (y_i + seconds * rate for y_i, rate in zip(y, rates, strict=True))
    return a, b, c, d


def _derivatives(y: _Coordinates, torque: Tensor) -> _Coordinates:
    """Return the time derivatives of the coordinates `y` (Sutton and Barto, 1998, section 11.3).

    Every sum keeps Gymnasium's order: at the highest velocities a step magnifies a rounding error 10 000 times, and
    with the constants of d1 added up beforehand one step in 8 000 from there came out 1.5e-12 off.
    """
    theta_1, theta_2, velocity_1, velocity_2 = y
    sine_2, cosine_2 = exact.sine_cosine(theta_2)
    d1 = CENTRE_INERTIA + (FAR_INERTIA + 2.0 * COUPLING * cosine_2) + LINK_INERTIA + LINK_INERTIA
    d2 = CENTRE_INERTIA + COUPLING * cosine_2 + LINK_INERTIA
    phi_2 = LINK_MASS * LINK_CENTRE * GRAVITY * exact.cosine(theta_1 + theta_2 - math.pi / 2.0)
    phi_1 = (
        -COUPLING * (velocity_2 * velocity_2) * sine_2
        - 2.0 * COUPLING * velocity_2 * velocity_1 * sine_2
        + (LINK_MASS * LINK_CENTRE + LINK_MASS * LINK_LENGTH) * GRAVITY * exact.cosine(theta_1 - math.pi / 2.0)
        + phi_2
    )
    coriolis = COUPLING * (velocity_1 * velocity_1) * sine_2
    acceleration_2 = (torque + d2 / d1 * phi_1 - coriolis - phi_2) / (CENTRE_INERTIA + LINK_INERTIA - d2 * d2 / d1)
    acceleration_1 = -(d2 * acceleration_2 + phi_1) / d1
    return velocity_1, velocity_2, acceleration_1, acceleration_2


def _wrap(angle: Tensor) -> Tensor:
    """Take whole turns off `angle` [...] so that it lies in [-pi, pi]; what lies there already keeps its bits."""
    turn = 2.0 * math.pi
    turns_over = torch.ceil((angle - math.pi) / turn).clamp(min=0.0)
    turns_under = torch.ceil((-math.pi - angle) / turn).clamp(min=0.0)
    return angle - (turns_over - turns_under) * turn
