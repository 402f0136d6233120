"""Whether a variant is exact: the same bits alone, among others, cut and moved to another trainer, eager and compiled.

In goes a small variant, as `registry.every_variant` makes them; out comes what broke, or nothing. Every operation of its computations is
looked at too, so that what would only break on another CPU is found on this one.
"""

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence

import torch

from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant
from rlbench.lanes.fast import chunks
from rlbench.lanes.fast.compiling import can_compile, prepare_process
from rlbench.lanes.fast.computations import chunk_computations, computations
from rlbench.lanes.fast.platform import platform_of
from rlbench.lanes.training.lane import Events, Lane
from rlbench.lanes.training.lane_state import final_weights, initial_state
from rlbench.lanes.training.trainer import Trainer

STEPS = 75
MIDWAY = 37  # after the warm-up, within an episode, and not at a row
COMPANY = (4, 1, 8)
WIDEST = 2  # lanes of a chunk, so that the company has a border between chunks, and little is compiled


def what_breaks(variant: Variant) -> str | None:
    """What makes this variant not exact, a line, or None. Raises ConfigError where an operation of it is not exact; it says which."""
    prepare_process()
    with _mode(compiled=False, checked=True):
        reference = _together(variant, COMPANY)
    with _mode(compiled=False):
        platform = platform_of(_run(variant, 0))
        if len(set(reference)) < len(COMPANY):
            return "lanes of several seeds have the same results: nothing random enters"
        broken = _differences(variant, reference, "")
    if broken is None and can_compile():
        with _mode(compiled=True):
            if platform_of(_run(variant, 0)) != platform:  # where compiled code may have bits of its own, and says so
                reference = _together(variant, COMPANY)
            elif _together(variant, COMPANY[:1]) != reference[:1]:
                return "compiled code has other bits than the functions themselves"
            broken = _differences(variant, reference, "compiled, ")
    return broken


def _differences(variant: Variant, reference: Sequence[str], how: str) -> str | None:
    for seed, expected in zip(COMPANY, reference, strict=True):
        if _together(variant, [seed]) != [expected]:
            return f"{how}a lane alone has other bits than among others (seed {seed})"
    if _together(variant, (*COMPANY[::-1], 11), cuts=(7, 64, 3))[:3] != list(reference[::-1]):
        return f"{how}lanes in another order, cut at other steps, have other bits"
    if _moved(variant) != list(reference[:2]):
        return f"{how}lanes that go on in another trainer have other bits"
    return None


@contextlib.contextmanager
def _mode(*, compiled: bool, checked: bool = False) -> Iterator[None]:
    """Compiled or not, with a look at every operation or not, whatever was decided outside; and with narrow chunks."""
    wanted = {"RLBENCH_CHECK_EXACT": "1" if checked else "0", **({} if compiled else {"RLBENCH_COMPILE": "0"})}
    before, widest = {name: os.environ.get(name) for name in wanted}, chunks.MAX_WIDTH
    os.environ.update(wanted)
    chunks.MAX_WIDTH = WIDEST
    computations.cache_clear()
    chunk_computations.cache_clear()
    try:
        yield
    finally:
        chunks.MAX_WIDTH = widest
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _run(variant: Variant, seed: int) -> Run:
    """Numbers go with the seed, as they may from lane to lane. Most episodes are cut at 15 steps."""
    variant = dataclasses.replace(variant, discount=0.99 - 0.01 * (seed % 2))
    environment, evaluation = Environment("CartPole-v1", max_env_steps=15), Evaluation(40, episodes=2)
    return Run(variant, environment, Budget(steps=STEPS), evaluation, Diagnostics(30), seed)


def _lane(variant: Variant, seed: int) -> Lane:
    run = _run(variant, seed)
    return Lane(run, initial_state(run))


def _together(variant: Variant, seeds: Sequence[int], cuts: tuple[int, ...] = (STEPS,)) -> list[str]:
    """The digests of these seeds trained as lanes of one trainer."""
    return _finished(Trainer([_lane(variant, seed) for seed in seeds]), {}, cuts)


def _moved(variant: Variant) -> list[str]:
    """The digests of the first two seeds of the company, which change trainer and slot on the way."""
    first = Trainer([_lane(variant, seed) for seed in COMPANY])
    rows = first.advance(MIDWAY)
    second = Trainer([_lane(variant, 30), first.lane(1), first.lane(0)])
    return _finished(second, {1: rows[1], 2: rows[0]}, (STEPS,))[:0:-1]


def _finished(trainer: Trainer, rows: dict[int, Events], cuts: tuple[int, ...]) -> list[str]:
    """Train every lane to its end; the digest of each slot's weights, rows and end."""
    digests: dict[int, str] = {}
    turn = 0
    while trainer.running:
        for slot, events in trainer.advance(cuts[turn % len(cuts)]).items():
            rows[slot] = _joined(rows.get(slot, Events()), events)
            if events.status is not None:
                run = trainer.slots[slot]
                assert run is not None
                digests[slot] = _digest(run, trainer, slot, rows[slot])
                trainer.vacate(slot)
        turn += 1
    return [digests[slot] for slot in sorted(digests)]


def _joined(before: Events, after: Events) -> Events:
    parts = (before, after)
    return Events(
        [row for one in parts for row in one.episodes],
        [row for one in parts for row in one.evaluations],
        [row for one in parts for row in one.diagnostics],
        after.status,
    )


def _digest(run: Run, trainer: Trainer, slot: int, rows: Events) -> str:
    whole = hashlib.sha256(repr(rows).encode())
    for name, weight in final_weights(run, trainer.state, slot).items():
        # What is no number has bits that vectorised code may choose.
        known = torch.where(weight.isnan(), torch.nan, weight) if weight.is_floating_point() else weight
        whole.update(name.encode() + known.contiguous().numpy().tobytes())
    return whole.hexdigest()
