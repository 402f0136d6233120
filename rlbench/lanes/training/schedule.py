"""When lanes learn and how far a span of steps may go: decided beforehand from the counters, so that nothing looks at a value meanwhile."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from rlbench.lanes.choices.variant import Run, Variant
from rlbench.lanes.steps.noise import drawn_ahead
from rlbench.lanes.tensors import Tensors
from rlbench.lanes.training.lane_state import ENDLESS


def steps_to_event(state: Tensors, going: Iterable[tuple[int, Run]]) -> int:
    """Steps until one of these (slot, run) has an evaluation, a diagnostics row, or the end of its budget."""
    env_steps = state["env_steps"].numpy()
    ticks = ENDLESS
    for slot, run in going:
        steps = int(env_steps[slot])
        distance = run.evaluation.period - steps % run.evaluation.period
        distance = min(distance, run.diagnostics.period - steps % run.diagnostics.period)
        if run.budget.steps is not None:
            distance = min(distance, run.budget.steps - steps)
        ticks = min(ticks, distance)
    return ticks


def due_updates(
    state: Tensors,
    variant: Variant,
    occupied: np.ndarray,
    layout: Sequence[tuple[int, int]],
    base: np.ndarray,
    span: int,
) -> tuple[list[list[tuple[int, int]]], Tensor]:
    """The updates of a span of steps that begins at the env_steps `base` [L], for the slots that are occupied [L] bool.

    layout: (start, width) of each chunk. Returns for each step the (update step, chunk) in which some lane may learn; and what is drawn
    ahead for the minibatches, [update steps, updates per period, lanes, batch] int64: see `noise.drawn_ahead`.
    """
    steps = base[None] + np.arange(1, span + 1)[:, None]
    lane_due = occupied & (steps >= variant.replay.warmup) & (steps % variant.update_period == 0)
    by_chunk = np.stack([lane_due[:, start : start + width].any(1) for start, width in layout], 1)
    update_steps = np.flatnonzero(by_chunk.any(1))
    per_period = variant.updates_per_period
    done = state["updates"].numpy() // variant.steps_per_minibatch
    earlier = (np.cumsum(lane_due, 0) - lane_due)[update_steps] * per_period + done
    ordinals = (earlier[:, None] + np.arange(per_period)[:, None]).reshape(-1, len(base))
    sizes = np.repeat(steps[update_steps], per_period, 0)
    drawn = drawn_ahead(state, variant, ordinals, sizes).unflatten(0, (len(update_steps), per_period))
    which = {int(t): i for i, t in enumerate(update_steps)}
    return [[(which[t], int(chunk)) for chunk in np.flatnonzero(row)] for t, row in enumerate(by_chunk)], drawn


def no_updates(span: int) -> tuple[list[list[tuple[int, int]]], Tensor]:
    """`due_updates` where none can be scheduled."""
    return [[]] * span, torch.zeros(0)
