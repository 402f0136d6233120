"""What a span of steps leaves in the books: rows of episodes and diagnostics, who is to be evaluated, and who has ended.

In go the trainer's tensors and the record of the span; out come rows by slot. A lane whose weights are broken is marked as diverged here,
before a row describes them; nothing else is written.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from rlbench.lanes.choices.variant import Run
from rlbench.lanes.tensors import Tensors, group
from rlbench.lanes.training.lane import Events
from rlbench.lanes.training.validations import take_best
from rlbench.rows import DIAGNOSTICS, OF_UPDATE, MeasuredLane


def collect_episodes(
    state: Tensors, base: np.ndarray, base_episodes: np.ndarray, record: np.ndarray, events: Mapping[int, Events]
) -> None:
    """Write the training episodes of a span into the events.

    base, base_episodes: [L] env_steps and episodes before it. record: [T, L, 4] of finished, length, episode return, terminated.
    """
    diverged_at = state["diverged_at"].numpy()
    seen = base_episodes.copy()
    for t, slot in np.argwhere(record[:, :, 0]).tolist():
        at = int(base[slot]) + t + 1
        if slot not in events or 0 <= diverged_at[slot] < at:
            continue
        _, length, episode_return, terminated = (record[t, slot] + 0.0).tolist()  # zeros of one sign
        events[slot].episodes.append((int(seen[slot]), at, int(length), episode_return, bool(terminated)))
        seen[slot] += 1


def close_span(
    state: Tensors,
    running: Sequence[tuple[int, Run]],
    base: np.ndarray,
    epsilons: np.ndarray,
    learns: bool,
    events: Mapping[int, Events],
) -> list[int]:
    """Write diagnostics and ends of the running (slot, run) into the events; returns the slots that are to be evaluated now.

    epsilons: [L, T] of the span's steps.
    """
    env_steps, diverged_at = state["env_steps"].numpy(), state["diverged_at"].numpy()
    evaluated: list[int] = []
    for slot, run in running:
        at = int(env_steps[slot])
        if at == base[slot] or events[slot].status is not None:
            continue
        evaluates, diagnoses = at % run.evaluation.period == 0, at % run.diagnostics.period == 0
        ends = at >= int(state["budget_steps"][slot]) or bool(state["episodes"][slot] >= state["budget_episodes"][slot])
        if diverged_at[slot] < 0 and (evaluates or diagnoses or ends) and weights_are_broken(state, slot):
            state["diverged_at"][slot] = at
            state["alive"][slot] = False
        if diverged_at[slot] >= 0:
            events[slot].status = "diverged"
            continue
        if evaluates or (ends and run.evaluation.at_end):
            evaluated.append(slot)
        if diagnoses:
            epsilon = float(epsilons[slot, at - int(base[slot]) - 1])
            events[slot].diagnostics.append(diagnose(state, slot, epsilon, learns))
        if ends:
            events[slot].status = "done"
            take_best(state, slot)
    return evaluated


def weights_are_broken(state: Tensors, slot: int) -> bool:
    """Whether an update gave weights or running statistics that are not finite; looked at before a row describes them."""
    parts = [*group(state, "online"), *group(state, "online_norm")]
    return any(not bool(part[slot].isfinite().all()) for part in parts)


def diagnose(state: Tensors, slot: int, epsilon: float, learns: bool) -> tuple[float, ...]:
    """A row of diagnostics."""
    lane = MeasuredLane(
        int(state["env_steps"][slot]),
        int(state["updates"][slot]),
        epsilon,
        {name: float(state[f"last.{name}"][slot]) + 0.0 for name in OF_UPDATE} if learns else {},
        [part[slot : slot + 1] for part in group(state, "online")],
        [part[slot : slot + 1] for part in group(state, "target")],
    )
    return tuple(column.of(lane) for column in DIAGNOSTICS)
