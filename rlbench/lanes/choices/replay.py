"""Replay memory: which stored transitions a minibatch takes, as indices computed from random words.

Drawing an index from n rows is (word * n) >> 32; the probability of a row is off by less than 2**-32.
"""

import dataclasses
from typing import ClassVar

from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices.bases import Replay
from rlbench.lanes.choices.choice import structural


@dataclasses.dataclass(frozen=True)
class Uniform(Replay):
    """Uniform replay over the last `capacity` transitions."""

    kind: ClassVar[str] = "uniform"
    small_fields: ClassVar = {"capacity": 90, "warmup": 24}
    capacity: int = structural(10_000, "transitions kept", ">= 1")
    warmup: int = structural(1_000, "transitions stored before the first update", ">= 1")
    replacement: bool = structural(True, "whether one minibatch may take a transition twice")
    warmup_ends: str = structural(
        "at_once", "when a full warm-up lets learning start: at once, or with the next episode",
        allowed=("at_once", "next_episode"), later=True,
    )  # fmt: skip

    def indices(self, words: Tensor, size: Tensor) -> Tensor:
        """Rows of N minibatches [N, B] int64 in [0, size), from random words [N, B] int64; size [N] int64 transitions are stored."""
        if self.replacement:
            return (words * size[:, None]) >> 32
        return _partial_shuffle(words, size)


def _partial_shuffle(word: Tensor, size: Tensor) -> Tensor:
    """The first B entries of a uniform random permutation of range(size), without touching the other entries; word [N, B], size [N].

    Fisher and Yates swap entry j with a uniform entry r[j] >= j, for j = 0 ... B-1. The swaps are not carried out: entry j is traced back
    through the earlier swaps that moved it, by pointer doubling.
    """
    count = word.shape[1]
    j = torch.arange(count).expand_as(word)
    r = j + ((word * (size[:, None] - j)) >> 32)
    # The last earlier swap that wrote to position p put there what stood at its own index: -1 where there is none.
    in_order, swap = r.sort(dim=1, stable=True)
    earlier = torch.where(in_order[:, 1:] == in_order[:, :-1], swap[:, :-1], -1)
    wrote_r = torch.full_like(word, -1).scatter(1, swap[:, 1:], earlier)
    wrote_j = torch.full((len(word), count + 1), -1)
    wrote_j.scatter_reduce_(1, torch.where(r > j, r, count).clamp(max=count), j, "amax")
    wrote_j = wrote_j[:, :count]
    # What stood at position j just before swap j stood at `origin` before swap `origin`.
    origin = torch.where(wrote_j < 0, j, wrote_j)
    for _ in range(max(1, (count - 1).bit_length())):
        origin = origin.gather(1, origin)
    return torch.where(wrote_r < 0, r, origin.gather(1, wrote_r.clamp(min=0)))
