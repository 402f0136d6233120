"""Random numbers of a span of steps, drawn ahead for all lanes: what to explore, which transitions to replay, where episodes begin.

Every number is a pure function of (seed, namespace, stream, step, index), so drawing ahead changes nothing, and integer arithmetic
gives the same bits on any machine. Outside the compiled computations, because compiling Philox took longer than anything else in them.
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from rlbench.envs.lane_env import LaneEnv
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.streams import TWO32, Stream, uniforms, words
from rlbench.lanes.tensors import Tensors

TABLE_STRIDE = 16  # epsilon is computed in rows of whole vectors, so that a lane's bits cannot depend on its row
SPAN_ELEMENTS = 4096  # lane-steps drawn at once: amortises the calls, and the tables stay in the cache
MAX_SPAN = 1024


def span_length(num_lanes: int) -> int:
    """How many steps to draw ahead."""
    return max(32, min(MAX_SPAN, SPAN_ELEMENTS // num_lanes))


@dataclasses.dataclass(frozen=True)
class ActingNoise:
    """Of a span of T steps: epsilon [L, T] float64, explores [T, L] bool, uniform_action [T, L] int64; where the environment is made of
    tensors, first_states [L, K, S] float64, where episode `base + 1 + k` of a lane begins, and uniforms [T, L, U] where it draws."""

    epsilon: Tensor
    explores: Tensor
    uniform_action: Tensor
    first_states: Tensor | None
    uniforms: Tensor | None


def acting_noise(lanes: Tensors, variant: Variant, span: int, num_actions: int, env: LaneEnv | None) -> ActingNoise:
    """The acting noise of the next `span` steps of all lanes; `variant` is the stacked variant."""
    seed, namespace, base = lanes["seed"], lanes["namespace"], lanes["env_steps"]
    columns = -(-span // TABLE_STRIDE) * TABLE_STRIDE
    n = draws_before(lanes, variant)[:, None] + torch.arange(columns, dtype=torch.float64) * torch.as_tensor(
        variant.epsilon_draws
    )
    epsilon = variant.exploration.epsilon(n)[:, :span]
    step = base[:, None] + torch.arange(span)
    draw, pick, _, _ = words(seed[:, None], namespace[:, None], Stream.EXPLORATION, step, torch.zeros_like(step))
    explores = draw < (epsilon * TWO32).floor().long()
    first, uniforms = None, None
    if env is not None:
        # As wide for a short span as for a full one: a new shape would be compiled anew.
        episode = lanes["episodes"][:, None] + torch.arange(1, span_length(len(base)) + 1)
        first = first_states(env, seed[:, None], namespace[:, None], episode, torch.zeros_like(episode))
        uniforms = step_uniforms(env, seed, namespace, base + torch.arange(span)[:, None], torch.zeros_like(seed))
    return ActingNoise(epsilon, by_step(explores), by_step((pick * num_actions) >> 32), first, uniforms)


def draws_before(lanes: Tensors, variant: Variant) -> Tensor:
    """Exploration draws of each lane until now [L] float64, those of validation included: where it is on its schedule."""
    draws = lanes["env_steps"].double() * torch.as_tensor(variant.epsilon_draws)[:, 0]
    return draws + lanes["validation_draws"].double() if "validation_draws" in lanes else draws


def step_uniforms(env: LaneEnv, seed: Tensor, namespace: Tensor, step: Tensor, index: Tensor) -> Tensor | None:
    """Numbers in [0, 1) that an environment draws in a step, [..., U] float64, from (seed, namespace, step, index) [...] int64; None where
    it draws none."""
    if env.num_step_uniforms == 0:
        return None
    blocks = -(-env.num_step_uniforms // 4)
    block = index[..., None] * blocks + torch.arange(blocks)
    drawn = uniforms(seed[..., None], namespace[..., None], Stream.ENVIRONMENT, step[..., None] + 0 * block, block)
    return torch.stack(drawn, -1).flatten(-2)[..., : env.num_step_uniforms]


def by_step(by_lane: Tensor) -> Tensor:
    """[L, T] -> [T, L] with the strides of a new tensor; `contiguous` keeps others for one lane, and compiled code is made for strides."""
    return torch.empty(by_lane.T.shape, dtype=by_lane.dtype).copy_(by_lane.T)


def replay_words(lanes: Tensors, ordinals: np.ndarray, batch_size: int) -> Tensor:
    """Words of minibatches [U, L, B] int64; `ordinals` [U, L] int64 numbers the minibatches of each lane."""
    update = torch.from_numpy(ordinals)[..., None]
    block = torch.arange((batch_size + 3) // 4)
    drawn = words(lanes["seed"][:, None], lanes["namespace"][:, None], Stream.REPLAY, update + 0 * block, block)
    return torch.stack(drawn, dim=-1).flatten(2)[..., :batch_size].contiguous()


def replay_places(lanes: Tensors, variant: Variant, ordinals: np.ndarray, sizes: np.ndarray) -> Tensor:
    """Where the transitions of minibatches begin in the memory flattened over lanes, [U, L, B] int64.

    `ordinals` [U, L] int64 numbers the minibatches of each lane, `sizes` [U, L] int64 says how many steps it has stored. A lane whose
    memory is too small for a minibatch gets places anywhere in its memory.
    """
    drawn = replay_words(lanes, ordinals, variant.batch_size)
    replay, newest = variant.replay, variant.returns.num_steps - 1
    steps = torch.from_numpy(sizes).flatten()
    size = steps.clamp(max=replay.capacity) - newest
    index = replay.indices(drawn.flatten(0, 1), size.clamp(min=1 if replay.replacement else variant.batch_size))
    if newest > 0:  # counted from the oldest, so that the newest are the last
        oldest = torch.where(steps < replay.capacity, 0, steps % replay.capacity)
        index = (index + oldest[:, None]) % replay.capacity
    return index.view_as(drawn).add_(torch.arange(drawn.shape[1])[:, None] * replay.capacity)


def drawn_ahead(state: Tensors, variant: Variant, ordinals: np.ndarray, sizes: np.ndarray) -> Tensor:
    """Places of minibatches, as `replay_places`; where these hang on what is learned meanwhile, the random words for them."""
    if variant.replay.remembers:
        return replay_words(state, ordinals, variant.batch_size)
    return replay_places(state, variant, ordinals, sizes)


def first_states(env: LaneEnv, seed: Tensor, namespace: Tensor, episode: Tensor, index: Tensor) -> Tensor:
    """States [..., S] at the start of an episode, from (seed, namespace, episode, index) alone; arguments [...] int64."""
    drawn = uniforms(seed, namespace, Stream.RESET, episode, index)
    return env.reset(torch.stack(drawn[: env.num_reset_uniforms], -1))
