"""What lanes learn with: the memory of their steps, and the updates of each chunk of lanes.

In go windows on a trainer's state, which change in place. Who learns when, and what was drawn ahead for it, is the caller's.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rlbench.lanes.choices.choice import numbers, with_numbers
from rlbench.lanes.choices.variant import Run, Variant
from rlbench.lanes.fast.chunks import stored_columns
from rlbench.lanes.fast.computations import chunk_computations, computations
from rlbench.lanes.steps.columns import name_of
from rlbench.lanes.steps.transitions import read
from rlbench.lanes.steps.update import minibatch
from rlbench.lanes.tensors import Tensors
from rlbench.lanes.training.sight import Sight

NOT_FOR_LEARNING = ("env", "obs", "frames")


class Learner:
    """Learning of all lanes of a block, in chunks."""

    def __init__(
        self, first: Run, state: Tensors, variant: Variant, layout: Sequence[tuple[int, int]], sight: Sight
    ) -> None:
        """layout: (start, width) of each chunk."""
        self.state, self.variant, self.layout, self._sight = state, variant, layout, sight
        self.columns = stored_columns(first)
        self._memory = [state[name_of(dtype)].flatten(0, 1) for dtype in self.columns.widths]
        self._is_plain = not sight.draws
        self._remembers = variant.replay.remembers
        self._moves_by_tick = variant.target.keeps_network and not variant.target.moves_after_updates
        self._bind(first.cohort_key(), not variant.network.lane_by_lane)

    def _bind(self, key: object, is_exact: bool) -> None:
        """Hand the computations their windows on the state, which stay valid because everything changes in place."""
        self._chunks, self._updates, self._moves, self._draws, self._learned = [], [], [], [], []
        own = {
            name: t for name, t in self.state.items() if name not in NOT_FOR_LEARNING and not name.startswith("replay.")
        }
        everyone = computations(key, len(self.state["seed"]))
        self._stored = everyone.stored.bind(own, self.variant)
        for start, width in self.layout:
            window = slice(start, start + width)
            lanes = {name: t[window] for name, t in own.items()}
            values = {name: value[window] for name, value in numbers(self.variant).items()}
            variant, each = with_numbers(self.variant, values), chunk_computations(key, width)
            if self._is_plain:
                sampled = each.sampled_update if is_exact else each.inexact_sampled_update
                self._updates.append(sampled.bind(lanes, variant, self.columns, self._memory))
            else:
                self._updates.append(each.update.bind(lanes, variant))
            self._chunks.append(lanes)
            self._moves.append(each.move_target.bind(lanes, variant))
            self._draws.append(each.draw.bind(lanes, variant))
            self._learned.append(each.learned.bind(lanes, variant))

    def store(self, rows: list[Tensor], at: Tensor) -> None:
        """Store a step of each lane, rows [L, width] of each dtype, at these places [L] int64 of the memory flattened over lanes."""
        for memory, row in zip(self._memory, rows, strict=True):
            memory.index_copy_(0, at, row)
        if self._remembers:
            self._stored(at)

    def learn(self, chunk: int, drawn: Tensor) -> None:
        """Update a chunk of lanes on the minibatches for which this was drawn [updates, L, B] (see `noise.drawn_ahead`), in parts where
        the variant has it so."""
        start, width = self.layout[chunk]
        for each in drawn[:, start : start + width]:
            for part in each.chunk(self.variant.steps_per_minibatch, 1):
                if self._remembers:
                    self._learn_and_remember(chunk, part)
                else:
                    self._update(chunk, part)

    def _update(self, chunk: int, places: Tensor, *weights: Tensor) -> Tensor | None:
        """Update on the transitions at places [width, B]; returns their errors [width, B] where the replay remembers them."""
        errors: Tensor | None
        if self._is_plain:
            errors = self._updates[chunk](places, *weights)
            return errors
        found = read(self.variant, self.columns, self._memory, places)
        start, width = self.layout[chunk]
        frames = self.state["frames"][start : start + width] if "frames" in self.state else None
        action, reward, discount_t, *_ = minibatch(found)
        errors = self._updates[chunk](action, reward, discount_t, *self._sight.of_transitions(found, frames), *weights)
        return errors

    def _learn_and_remember(self, chunk: int, words: Tensor) -> None:
        start = torch.tensor(self.layout[chunk][0])
        updates = self._chunks[chunk]["updates"].clone()
        places, weights = self._draws[chunk](start, words)
        self._learned[chunk](start, places, self._update(chunk, places, weights), updates)

    def move_by_tick(self, episode_ended: Tensor) -> None:
        """Move the targets whose rule counts steps or episodes; an episode of the lanes [L] bool has ended."""
        rule, state = self.variant.target, self.state
        if not self._moves_by_tick:
            return
        moves = rule.is_due(rule.count(state))
        if rule.unit == "episodes":
            moves = episode_ended & moves
        self.move(moves & state["active"] & state["alive"])

    def move(self, moves: Tensor) -> None:
        """Move the targets of these lanes [L] bool."""
        for (start, width), move in zip(self.layout, self._moves, strict=True):
            if moves[start : start + width].any():
                move(moves[start : start + width])
