"""The lane engine: many runs of one cohort trained as lanes of one program.

In go runs of one structure, each fresh or from a checkpoint; out come the rows that they produce and which lanes have ended. A lane's bits
do not depend on its slot, its neighbours, the number of slots, or where `advance` is cut. Knows nothing of files, W&B or Optuna.

The slots are cut into blocks, each of which takes all its steps before the next one takes any: what a block's steps need stays in the
cache (see `rlbench.lanes.training.block`).
"""

from collections.abc import Sequence

from rlbench.envs.gymnasium_lanes import LaneSnapshot
from rlbench.lanes.choices.choice import numbers, stack, with_numbers
from rlbench.lanes.choices.variant import Run, Variant
from rlbench.lanes.fast.chunks import block_layouts, chunk_width, chunks
from rlbench.lanes.tensors import Tensors
from rlbench.lanes.training.block import Block
from rlbench.lanes.training.lane import Events, Lane
from rlbench.lanes.training.lane_state import join, take


class Trainer:
    """Lanes in slots. `slots[i]` is the run in slot i, or None where the slot is idle."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        """Lanes of one cohort key; raises ValueError otherwise. Idle slots fill up the last chunk."""
        first = lanes[0].run
        if any(lane.run.cohort_key() != first.cohort_key() for lane in lanes):
            raise ValueError("lanes of one trainer must have one cohort key")
        self.width = chunk_width(first)
        self.layout = chunks(len(lanes), self.width)
        num_slots = self.layout[-1][0] + self.layout[-1][1]
        idle = [take(lanes[0].state, [0])] * (num_slots - len(lanes))
        self.state = join([lane.state for lane in lanes] + idle)
        self.state["alive"][len(lanes) :] = False
        self.variant: Variant = stack([lane.run.variant for lane in lanes] + [first.variant] * len(idle))
        runs = [lane.run for lane in lanes] + [None] * len(idle)
        self.blocks = [self._block(first, runs, layout) for layout in block_layouts(self.layout)]
        self._starts = [layout[0][0] for layout in block_layouts(self.layout)]
        for slot, lane in enumerate(lanes):
            block, own = self._seat(slot)
            if block.host is not None:
                block.host.place(own, lane.env_note, block.state)

    def _block(self, first: Run, runs: Sequence[Run | None], layout: Sequence[tuple[int, int]]) -> Block:
        begin, end = layout[0][0], sum(layout[-1])
        window = slice(begin, end)
        state = {name: tensor[window] for name, tensor in self.state.items()}
        variant = with_numbers(self.variant, {name: value[window] for name, value in numbers(self.variant).items()})
        own = [(start - begin, width) for start, width in layout]
        return Block(first, state, variant, list(runs[window]), own, self.width)

    def _seat(self, slot: int) -> tuple[Block, int]:
        """The block of a slot, and the slot's number there."""
        index = max(i for i, start in enumerate(self._starts) if start <= slot)
        return self.blocks[index], slot - self._starts[index]

    @property
    def slots(self) -> list[Run | None]:
        """The runs in the slots."""
        return [run for block in self.blocks for run in block.slots]

    @property
    def running(self) -> list[int]:
        """Slots whose run has not ended."""
        return [slot for slot, run in enumerate(self.slots) if run is not None]

    def lane(self, slot: int) -> Lane:
        """The run in a slot as a value of its own."""
        run = self.slots[slot]
        assert run is not None
        return Lane(run, take(self.state, [slot]), self._note(slot))

    def lanes(self, slots: Sequence[int]) -> tuple[Tensors, list[LaneSnapshot | None]]:
        """The runs in these slots as one state [n, ...] (a copy), and what each one's environment needs to be restored."""
        return take(self.state, slots), [self._note(slot) for slot in slots]

    def _note(self, slot: int) -> LaneSnapshot | None:
        block, own = self._seat(slot)
        return None if block.host is None else block.host.note(own)

    def place(self, slot: int, lane: Lane) -> None:
        """Put a lane of the same cohort into an idle slot."""
        block, own = self._seat(slot)
        assert block.slots[own] is None
        block.slots[own] = lane.run
        for name, tensor in lane.state.items():
            self.state[name][slot] = tensor[0]
        given = numbers(stack([lane.run.variant]))
        for name, tensor in numbers(self.variant).items():
            tensor[slot] = given[name][0]
        if block.host is not None:
            block.host.place(own, lane.env_note, block.state)

    def vacate(self, slot: int) -> None:
        """Stop a slot's run here: the slot is idle."""
        block, own = self._seat(slot)
        block.slots[own] = None
        self.state["alive"][slot] = False

    def advance(self, ticks: int) -> dict[int, Events]:
        """Run up to `ticks` steps of every running lane; returns what happened by slot. Lanes that ended have left their slots' books
        with `status` set, but keep their state until the slot is placed anew or vacated."""
        found = zip(self._starts, self.blocks, strict=True)
        return {start + slot: events for start, block in found for slot, events in block.advance(ticks).items()}
