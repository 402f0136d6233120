"""Greedy evaluation of lanes: E episodes each, on environment seeds of their own namespace, without exploration and without learning.

Each evaluation has fresh episodes, so the evaluations of a run are independent given its weights. Writes nothing into the trainer's state.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from rlbench.envs.lane_env import LaneEnv
from rlbench.lanes.choices.choice import numbers, with_numbers
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.fast.chunks import chunks
from rlbench.lanes.steps.noise import step_uniforms
from rlbench.lanes.steps.player import Episodes
from rlbench.lanes.streams import EVALUATION, Stream, words
from rlbench.lanes.tensors import Tensors

STEPS_PER_ORDINAL = 1 << 32  # draws of one evaluation never meet those of the next


class EvaluationNoise:
    """Nobody explores; where there is no network, everybody does."""

    ahead = 25

    def __init__(self, lanes: Tensors, variant: Variant, num_episodes: int, num_actions: int, env: LaneEnv | None):
        self._lanes, self._learns, self._num_actions, self._env = lanes, variant.network.learns, num_actions, env
        self._index = torch.arange(num_episodes)[None]
        self._greedy = torch.zeros(self.ahead, len(lanes["seed"]), num_episodes, dtype=torch.int64)

    def actions(self, elapsed: int) -> tuple[Tensor, Tensor]:
        """See `player.Noise`."""
        if self._learns:
            return self._greedy > 0, self._greedy
        pick, *_ = words(*self._key, Stream.UNIFORM_POLICY, self._at(elapsed), self._index)
        return torch.ones_like(pick, dtype=torch.bool), (pick * self._num_actions) >> 32

    def uniforms(self, elapsed: int) -> Tensor | None:
        """See `player.Noise`."""
        if self._env is None:
            return None
        at = self._at(elapsed)
        return step_uniforms(self._env, *self._key, at, self._index + 0 * at)

    @property
    def _key(self) -> tuple[Tensor, Tensor]:
        return self._lanes["seed"][:, None], self._lanes["evaluation_namespace"][:, None]

    def _at(self, elapsed: int) -> Tensor:
        """Numbers of the next steps of the episodes [ahead, L, E]."""
        step = torch.arange(elapsed, elapsed + self.ahead)[:, None, None]
        return self._lanes["ordinal"][:, None] * STEPS_PER_ORDINAL + step + 0 * self._index


def evaluation_lanes(state: Tensors, chosen: Tensor, ordinal: Tensor) -> Tensors:
    """A copy of what evaluation needs of the chosen lanes ([n] int64), with the ordinal [n] of each lane's evaluation."""
    lanes = {name: tensor[chosen].contiguous() for name, tensor in state.items() if name.startswith("online")}
    lanes["seed"], lanes["namespace"] = state["seed"][chosen], state["namespace"][chosen]
    lanes["evaluation_namespace"] = state["namespace"][chosen] + EVALUATION
    lanes["ordinal"] = ordinal
    return lanes


class Evaluator:
    """Greedy evaluation of chosen slots. `play` plays episodes to their ends."""

    def __init__(
        self, width: int, num_episodes: int, num_actions: int, env: LaneEnv | None, play: Callable[[Episodes], None]
    ) -> None:
        """`width` lanes at once, `num_episodes` each."""
        self.width, self.num_episodes, self._num_actions, self._env, self._play = (
            width, num_episodes, num_actions, env, play
        )  # fmt: skip

    def evaluate(
        self, state: Tensors, variant: Variant, slots: Sequence[int], ordinals: Sequence[int]
    ) -> Iterator[tuple[int, list[tuple[int, int, float, int]]]]:
        """For each slot, the ordinal of whose evaluation is given, its rows: (env_steps, episode, episode return, length)."""
        for begin in range(0, len(slots), self.width):
            some, own = list(slots[begin : begin + self.width]), list(ordinals[begin : begin + self.width])
            spare = chunks(len(some), self.width)[0][1] - len(some)
            padded, ordinal = torch.tensor(some + some[:1] * spare), torch.tensor(own + own[:1] * spare)
            episodes = self._episodes(evaluation_lanes(state, padded, ordinal), _of(variant, padded))
            self._play(episodes)
            returns, lengths = (episodes.returns + 0.0).tolist(), episodes.lengths.tolist()
            for row, slot in enumerate(some):
                pairs, at = zip(returns[row], lengths[row], strict=True), int(state["env_steps"][slot])
                yield slot, [(at, episode, value, length) for episode, (value, length) in enumerate(pairs)]

    def _episodes(self, lanes: Tensors, variant: Variant) -> Episodes:
        who = torch.ones(len(lanes["seed"]), self.num_episodes, dtype=torch.bool)
        noise = EvaluationNoise(lanes, variant, self.num_episodes, self._num_actions, self._env)
        index = torch.arange(self.num_episodes)
        return Episodes(lanes, variant, who, lanes["evaluation_namespace"], lanes["ordinal"], index, noise)


def _of(variant: Variant, slots: Tensor) -> Variant:
    """The stacked variant of the chosen slots [n] int64."""
    return with_numbers(variant, {name: tensor[slots] for name, tensor in numbers(variant).items()})
