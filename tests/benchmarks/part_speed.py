"""The parts of the DQN family by their named variants: lanes of each against the same part in a plain loop, and against plain DQN lanes.

Lanes and loops are timed in turn, in the processor time of one process, so that what else the machine does changes little.
"""

import dataclasses
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium

from rlbench.config import resolve
from rlbench.lanes.choices.variant import Run
from rlbench.lanes.training.lane import Lane
from rlbench.lanes.training.lane_state import initial_state
from rlbench.lanes.training.trainer import Trainer
from tests.benchmarks.lane_speed import Effort

sys.path.insert(0, str(Path(__file__).parents[1] / "lanes"))  # where the plain statements of the parts are

PLAIN = "soft_huber"
# Named variant, and the goal as a multiple of its plain loop.
PARTS = {
    PLAIN: None, "double": 12.0, "dueling": 12.0, "nstep": 12.0, "per": None, "c51": 8.0, "qr": 8.0, "noisy": None,
    "munchausen": 12.0, "rainbow": 8.0,
}  # fmt: skip
LANES, WARMUP, ROUNDS = 64, 130, 3


def run_of(part: str, seed: int) -> Run:
    """A run of a named variant, 64-64 and minibatches of 64, which is never evaluated."""
    words = [f"variant={part}", "steps=1000000", "evaluation.period=1000000", "diagnostics.period=1000000"]
    words += ["network.units=[64,64]", "batch_size=64", f"replay.warmup={WARMUP}", "update_period=1", f"seeds=[{seed}]"]
    return resolve(words).planned[0].run


def rate(advance: Callable[[int], object], seconds: float, count: int) -> float:
    """Steps a second of processor time, of which `advance(count)` makes so many at a call."""
    done, begin = 0, time.process_time()
    while time.process_time() - begin < seconds:
        advance(count)
        done += count
    return done / (time.process_time() - begin)


def lanes_of(part: str) -> Callable[[int], object]:
    """What advances 64 lanes, which learn already."""
    first = run_of(part, 0)
    runs = [dataclasses.replace(first, seed=seed) for seed in range(LANES)]
    trainer = Trainer([Lane(run, initial_state(run)) for run in runs])
    trainer.advance(WARMUP + 70)
    return trainer.advance


def plain_of(part: str) -> Callable[[int], object]:
    """What advances a plain loop of the part, which learns already."""
    from plain.agent import PlainAgent

    variant: Any = run_of(part, 0).variant
    agent = PlainAgent(variant, obs_size=4, num_actions=2)
    env = gymnasium.make("CartPole-v1")
    seen = {"obs": env.reset(seed=0)[0], "steps": 0}

    def advance(count: int) -> None:
        for _ in range(count):
            obs = seen["obs"]
            action = random.randrange(2) if random.random() < 0.05 else agent.act(obs)
            after, reward, terminated, truncated, _ = env.step(action)
            agent.store(obs, action, float(reward), after, terminated, truncated)
            seen["obs"] = env.reset()[0] if terminated or truncated else after
            seen["steps"] += 1
            if seen["steps"] >= WARMUP:
                agent.update()

    advance(WARMUP + 70)
    return advance


def bench_parts(effort: Effort) -> dict[str, object]:
    """The table: an update comes with every step, so a lane-step a second is a lane-update a second."""
    rows = []
    base = lanes_of(PLAIN)
    for part, goal in PARTS.items():
        lanes, plain = lanes_of(part), plain_of(part)
        found: dict[str, list[float]] = {"base": [], "lanes": [], "plain": []}
        for _ in range(ROUNDS):
            found["base"].append(LANES * rate(base, effort.seconds / ROUNDS, 8))
            found["lanes"].append(LANES * rate(lanes, effort.seconds / ROUNDS, 8))
            found["plain"].append(rate(plain, effort.seconds / ROUNDS, 8))
        rows.append(row_of(part, goal, found))
    return {"lanes": LANES, "rows": rows}


def row_of(part: str, goal: float | None, found: dict[str, list[float]]) -> dict[str, object]:
    """One row of the table, printed."""
    lanes, base = statistics.median(found["lanes"]), statistics.median(found["base"])
    plain = statistics.median(found["plain"])
    row: dict[str, object] = {
        "part": part,
        "lane_updates_per_second": lanes,
        "plain_updates_per_second": plain,
        "ratio": lanes / plain,
        "goal": goal,
        "cost_beside_plain_dqn": base / lanes,
        "rounds": found,
    }
    text = f"{part:<12} {LANES} lanes  {lanes:>8,.0f} lane-updates/s  {base / lanes:>5.2f}x the time of {PLAIN}"
    text += f"  {lanes / plain:>6.2f}x its plain loop ({plain:,.0f}/s)"
    print(text + (f"  goal {goal:.0f}x" if goal else ""), flush=True)
    return row
