"""What every pure tensor environment promises: shapes, exact operations only, bits that ignore the other lanes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rlbench.envs.lane_env import LaneEnv
from rlbench.envs.registry import lane_env

ENV_IDS = ["CartPole-v0", "CartPole-v1", "MountainCar-v0", "Acrobot-v1"]
LANE_COUNTS = [1, 3, 16, 64]

# Elementwise operations whose result IEEE 754 fixes to the last bit, and operations that only move numbers.
EXACT_OPERATIONS = {
    *("add", "sub", "rsub", "mul", "div", "neg", "abs", "round", "floor", "ceil", "clamp", "where"),
    *("eq", "ne", "lt", "gt", "le", "ge", "bitwise_and", "bitwise_or", "bitwise_not"),
    *("_to_copy", "stack", "cat", "unbind", "select", "slice", "view", "as_strided", "expand", "alias"),
    *("zeros_like", "ones_like", "full_like", "scalar_tensor", "detach", "lift_fresh"),
}


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
    assert obs.dtype == torch.float32
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


class RecordOperations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the name of every tensor operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_only_exactly_rounded_operations_are_used(env_id: str) -> None:
    env = environment(env_id)
    uniforms, action = torch.full((4, env.num_reset_uniforms), 0.3, dtype=torch.float64), some_actions(env, 4)
    with RecordOperations() as record:
        step_and_observe(env, env.reset(uniforms), action)
    assert "mul" in record.names
    assert record.names <= EXACT_OPERATIONS


def test_the_check_of_operations_would_see_a_library_sine() -> None:
    with RecordOperations() as record:
        torch.sin(torch.zeros(4, dtype=torch.float64))
    assert not record.names <= EXACT_OPERATIONS


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
@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0", "Acrobot-v1"])
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
