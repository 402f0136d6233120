"""The compiled computations of a structure: of all its slots at once, and of a chunk of lanes."""

import functools
from collections.abc import Hashable

from rlbench.lanes import acting, evaluation, validating
from rlbench.lanes.compiling import compiled
from rlbench.lanes.update import move_target, update


class Computations:
    """The compiled computations of all slots at once."""

    def __init__(self) -> None:
        self.tick = compiled(acting.tick)
        self.choose = compiled(acting.choose)
        self.absorb = compiled(acting.absorb)
        self.validation_step = compiled(validating.validation_step)


class ChunkComputations:
    """The compiled computations of a chunk of lanes."""

    def __init__(self) -> None:
        self.update = compiled(update)
        self.move_target = compiled(move_target)
        self.evaluation_step = compiled(evaluation.evaluation_step)
        self.greedy_actions = compiled(evaluation.greedy_actions)


@functools.cache
def computations(cohort_key: Hashable, num_slots: int) -> Computations:
    """One set for each structure and number of slots: compiled once in a process, shared by all its trainers."""
    return Computations()


@functools.cache
def chunk_computations(cohort_key: Hashable, width: int) -> ChunkComputations:
    """One set for each structure and chunk width."""
    return ChunkComputations()
