"""What every pure tensor environment promises: shapes, exact operations only, bits that ignore the other lanes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from rlbench.envs.lane_env import LaneEnv
from rlbench.envs.registry import LANE_ENVS, lane_env
from rlbench.exact.operations import inexact, traced

ENV_IDS = list(LANE_ENVS)
LANE_COUNTS = [1, 3, 16, 64]


def environment(env_id: str) -> LaneEnv:
    env = lane_env(env_id)
    assert env is not None
    return env


def first_states(env: LaneEnv, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return env.reset(torch.rand(*shape, env.num_reset_uniforms, dtype=torch.float64, generator=generator))


def some_actions(env: LaneEnv, *shape: int) -> Tensor:
    return torch.randint(env.num_actions, shape, generator=torch.Generator().manual_seed(6))


def rollout(env: LaneEnv, step: Callable[..., Any], state: Tensor, actions: Tensor) -> list[Tensor]:
    """Return everything seen on the way of `actions` [T, L] from `state` [L, S], past termination too."""
    seen = [state]
    for action in actions:
        state, obs, reward, terminated = step(env, state, action)
        seen += [state, obs, reward, terminated]
    return seen


def step_and_observe(env: LaneEnv, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    state, reward, terminated = env.step(state, action)
    return state, env.observe(state), reward, terminated


def assert_same_bits(left: list[Tensor], right: list[Tensor]) -> None:
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.dtype == b.dtype
        assert a.numpy().tobytes() == b.numpy().tobytes()


@pytest.mark.parametrize("env_id", ENV_IDS)
@pytest.mark.parametrize("axes", [(), (3,), (2, 5)])
def test_shapes_and_types_for_any_leading_axes(env_id: str, axes: tuple[int, ...]) -> None:
    env = environment(env_id)
    state = first_states(env, *axes)
    next_state, reward, terminated = env.step(state, some_actions(env, *axes))
    obs = env.observe(next_state)
    assert state.shape == next_state.shape == (*axes, env.state_size)
    assert state.dtype == next_state.dtype == torch.float64
    assert obs.shape == (*axes, *env.obs_shape)
    assert obs.dtype == getattr(torch, env.obs_dtype)
    assert reward.shape == terminated.shape == axes
    assert reward.dtype == torch.float64
    assert terminated.dtype == torch.bool


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_inputs_are_left_as_they_were(env_id: str) -> None:
    env = environment(env_id)
    state, action = first_states(env, 4), some_actions(env, 4)
    kept_state, kept_action = state.clone(), action.clone()
    env.step(state, action)
    env.observe(state)
    assert torch.equal(state, kept_state)
    assert torch.equal(action, kept_action)


def inexact_operations(function: Callable[[Tensor], Tensor], env: LaneEnv) -> list[str]:
    """What is not exact in a reset, and in a step and an observation from there."""
    action = some_actions(env, 4)

    def computed(uniforms: Tensor) -> list[Tensor]:
        return list(step_and_observe(env, function(env.reset(uniforms)), action))

    return list(inexact(traced(computed, [torch.full((4, env.num_reset_uniforms), 0.3, dtype=torch.float64)])))


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_only_exactly_rounded_operations_are_used(env_id: str) -> None:
    assert inexact_operations(lambda state: state, environment(env_id)) == []


def test_the_check_of_operations_sees_a_library_sine() -> None:
    (line,) = inexact_operations(torch.sin, environment("CartPole-v1"))
    assert "torch.sin may round differently elsewhere" in line


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_bits_do_not_depend_on_the_number_of_lanes(env_id: str) -> None:
    env = environment(env_id)
    state, actions = first_states(env, 64), some_actions(env, 30, 64)
    together = rollout(env, step_and_observe, state, actions)
    for count in LANE_COUNTS:
        for first in (0, 64 - count):
            lanes = slice(first, first + count)
            alone = rollout(env, step_and_observe, state[lanes].contiguous(), actions[:, lanes].contiguous())
            assert_same_bits(alone, [seen[lanes] for seen in together])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # the compiler's own
@pytest.mark.parametrize("env_id", ENV_IDS)
def test_compiled_bits_equal_eager_ones_for_any_number_of_lanes(env_id: str) -> None:
    env = environment(env_id)
    torch.compiler.reset()  # forget other tests' shapes: beyond 8 the compiler refuses
    compiled = torch.compile(step_and_observe, dynamic=False, fullgraph=True)
    state, actions = first_states(env, 64), some_actions(env, 30, 64)
    for count in LANE_COUNTS:
        starts, chosen = state[-count:].contiguous(), actions[:, -count:].contiguous()
        assert_same_bits(
            rollout(env, compiled, starts, chosen),
            rollout(env, step_and_observe, starts, chosen),
        )
