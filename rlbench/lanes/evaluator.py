"""Who evaluates the lanes of a trainer: in tensors or through Gymnasium, on numbers or on pixels, a chunk of lanes at a time."""

from collections.abc import Hashable, Iterator, Sequence

import torch
from torch import Tensor

from rlbench.envs.lane_env import LaneEnv
from rlbench.lanes import evaluation
from rlbench.lanes.choice import numbers, with_numbers
from rlbench.lanes.chunks import chunks
from rlbench.lanes.computations import chunk_computations
from rlbench.lanes.environments import HostEnvironments
from rlbench.lanes.pixel_lanes import PixelLanes
from rlbench.lanes.update import Tensors
from rlbench.lanes.variant import Variant


class Evaluator:
    """Greedy evaluation of chosen slots. One of `env` and `host` is there."""

    def __init__(
        self,
        cohort_key: Hashable,
        width: int,
        num_episodes: int,
        env: LaneEnv | None,
        host: HostEnvironments | None,
        pixels: PixelLanes | None,
    ) -> None:
        """`width` lanes at once, `num_episodes` each."""
        self._key, self.width, self.num_episodes = cohort_key, width, num_episodes
        self._env, self._host, self._pixels = env, host, pixels

    def evaluate(
        self, state: Tensors, variant: Variant, slots: Sequence[int], ordinals: Sequence[int]
    ) -> Iterator[tuple[int, list[tuple[int, int, float, int]]]]:
        """For each slot, the ordinal of whose evaluation is given, its rows: (env_steps, episode, episode return, length)."""
        for begin in range(0, len(slots), self.width):
            some, own = list(slots[begin : begin + self.width]), list(ordinals[begin : begin + self.width])
            spare = chunks(len(some), self.width)[0][1] - len(some)
            padded, ordinal = torch.tensor(some + some[:1] * spare), torch.tensor(own + own[:1] * spare)
            returns, lengths = self._evaluate_chunk(
                evaluation.evaluation_lanes(state, padded, ordinal), _of(variant, padded)
            )
            for row, slot in enumerate(some):
                at = int(state["env_steps"][slot])
                pairs = zip((returns[row] + 0.0).tolist(), lengths[row].tolist(), strict=True)
                yield slot, [(at, episode, value, length) for episode, (value, length) in enumerate(pairs)]

    def _evaluate_chunk(self, lanes: Tensors, variant: Variant) -> tuple[Tensor, Tensor]:
        each = chunk_computations(self._key, len(lanes["seed"]))
        if self._env is not None:
            steps: evaluation.Steps = each.evaluation_step.bind
            if self._pixels is not None:
                steps = self._pixels.evaluation_steps(steps)
            return evaluation.evaluate_tensor_env(steps, lanes, variant, self._env, self.num_episodes)
        assert self._host is not None
        actions: evaluation.Actions = each.greedy_actions.bind(lanes, variant)
        if self._pixels is not None:
            actions = self._pixels.evaluation_actions(lanes)
        return evaluation.evaluate_gymnasium(actions, lanes, variant, self._host.evaluation_envs, self.num_episodes)


def _of(variant: Variant, slots: Tensor) -> Variant:
    """The stacked variant of the chosen slots [n] int64."""
    return with_numbers(variant, {name: tensor[slots] for name, tensor in numbers(variant).items()})
