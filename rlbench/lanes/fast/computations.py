"""The compiled computations of a structure: of all its slots at once, and of a chunk of lanes."""

import functools
from collections.abc import Hashable

from rlbench.lanes.fast.compiling import Computation
from rlbench.lanes.steps import acting, memories, player
from rlbench.lanes.steps.update import move_target, sampled_update, update


class Computations:
    """The compiled computations of all slots at once."""

    def __init__(self) -> None:
        self.tick = Computation(acting.tick)
        self.decided_tick = Computation(acting.decided_tick)
        self.choose = Computation(acting.acting_choice)
        self.absorb = Computation(acting.absorb)
        self.stored = Computation(memories.stored)


class ChunkComputations:
    """The compiled computations of a chunk of lanes."""

    def __init__(self) -> None:
        self.update = Computation(update, exact=False)
        self.sampled_update = Computation(sampled_update)
        self.inexact_sampled_update = Computation(sampled_update, exact=False)
        self.draw = Computation(memories.draw)
        self.learned = Computation(memories.learned)
        self.move_target = Computation(move_target)
        self.episode_step = Computation(player.episode_step)
        self.choose = Computation(acting.choose)


@functools.cache
def computations(cohort_key: Hashable, num_slots: int) -> Computations:
    """One set for each structure and number of slots: compiled once in a process, shared by all its trainers."""
    return Computations()


@functools.cache
def chunk_computations(cohort_key: Hashable, width: int) -> ChunkComputations:
    """One set for each structure and chunk width."""
    return ChunkComputations()
