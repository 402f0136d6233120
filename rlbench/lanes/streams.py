"""Random numbers as a pure function of (seed, namespace, stream, step, index): Philox4x32-10.

In go integer tensors that broadcast against each other, out come 32-bit words as int64 tensors. There is no state: adding a consumer shifts
nobody else's numbers, and a lane draws the same numbers at any position, in any company, before and after a restart.

The key is (seed, namespace), the counter is (index, stream, low and high word of step). Seeds lie in [0, 2**32).
"""

from enum import IntEnum

from rlbench.deferred import Tensor, torch
from rlbench.exact.philox import LOW32, philox

TWO32 = 2.0**32
MAX_SEED = 2**32 - 1


class Stream(IntEnum):
    """What a random number is for. Values are part of the published results: never renumber."""

    WEIGHTS = 1
    RESET = 2
    EXPLORATION = 3
    REPLAY = 4
    UNIFORM_POLICY = 5
    VALIDATION = 6
    ENVIRONMENT = 7
    WEIGHT_NOISE = 8


class Namespace(IntEnum):
    """Which family of seeds a run belongs to: seed 3 for tuning and seed 3 for reporting share no random number."""

    TRAIN = 1
    TUNE = 2


EVALUATION = 0x10000  # added to a namespace: the random numbers of evaluation episodes are never those of training


def words(
    seed: Tensor, namespace: Tensor, stream: Stream, step: Tensor, index: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Four 32-bit words for each element of the broadcast of `seed`, `namespace`, `step` and `index` (all int64)."""
    stream_word = torch.full_like(step, int(stream))
    return philox(index, stream_word, step & LOW32, (step >> 32) & LOW32, seed, namespace)


def uniforms(
    seed: Tensor, namespace: Tensor, stream: Stream, step: Tensor, index: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Four float64 numbers in [0, 1), multiples of 2**-32, for each element of the broadcast arguments."""
    first, second, third, fourth = words(seed, namespace, stream, step, index)
    return first.double() / TWO32, second.double() / TWO32, third.double() / TWO32, fourth.double() / TWO32


def uniform_table(seed: int, namespace: int, stream: Stream, step: int, count: int) -> Tensor:
    """`count` float64 numbers in [0, 1) of one (seed, namespace, stream, step), [count]."""
    blocks = torch.arange((count + 3) // 4)
    scalar = torch.tensor
    drawn = uniforms(scalar(seed), scalar(int(namespace)), stream, scalar(step), blocks)
    return torch.stack(drawn, dim=1).reshape(-1)[:count]


def reset_seed(seed: int, namespace: int, episode: int, index: int = 0) -> int:
    """The seed, in [0, 2**31), with which a Gymnasium environment is reset for an episode.

    Its lowest bit says whether the episode is one of evaluation, the next one whether it belongs to tuning: the seeds that are trained on,
    evaluated on and tuned on have none in common.
    """
    scalar = torch.tensor
    first, *_ = words(scalar(seed), scalar(int(namespace)), Stream.RESET, scalar(episode), scalar(index))
    is_evaluation, family = divmod(int(namespace), EVALUATION)
    return (int(first) >> 3) << 2 | (family == Namespace.TUNE) << 1 | is_evaluation
