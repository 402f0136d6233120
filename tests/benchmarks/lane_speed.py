"""Lanes against plain loops, against the roof, and against another checkout's engine; all on one core, in one run."""

import dataclasses
import statistics
from pathlib import Path

from rlbench.lanes.fast.chunks import bytes_per_lane
from tests.benchmarks.lane_rate import HERE, SHAPES, rate_of, run_of
from tests.benchmarks.plain_loop import MEMORIES, steps_per_second
from tests.benchmarks.roof import best_gflops, one_core, update_flops

PLAIN_STEPS_PER_SECOND = 250  # a slow plain loop's, which says how many steps are timed


@dataclasses.dataclass(frozen=True)
class Effort:
    """For how long each figure is measured, how often, for which numbers of lanes, and against which other checkout."""

    seconds: float = 8.0
    rounds: int = 1
    counts: tuple[int, ...] = (1, 8, 64, 256)
    against: Path | None = None


def shape_flops(shape: str) -> int:
    """Floating-point operations of one update's products; CartPole has 4 inputs and 2 actions."""
    batch, units, _, _ = SHAPES[shape]
    return update_flops((4, *units, 2), batch)


def plain_rates(shape: str, seconds: float) -> dict[str, float]:
    """Steps a second of the plain loops."""
    run, period = run_of(shape, 0), SHAPES[shape][2]
    steps = int(seconds * PLAIN_STEPS_PER_SECOND) * (1 + period // 5)
    return {memory: steps_per_second(run, memory, steps, untimed=400) for memory in MEMORIES}


def lane_rates(shape: str, lanes: int, effort: Effort) -> dict[str, list[float]]:
    """Lane-steps a second of this checkout and of the other one, if there is one, in turn: a list of the rounds for each."""
    checkouts = {"lanes": HERE} | ({"against": effort.against} if effort.against else {})
    found: dict[str, list[float]] = {name: [] for name in checkouts}
    for _ in range(effort.rounds):
        for name, checkout in checkouts.items():
            found[name].append(rate_of(checkout, shape, lanes, effort.seconds))
    return found


def row_of(shape: str, lanes: int, gflops: float, effort: Effort) -> dict[str, object]:
    """One row of the table, printed; the plain loops are timed before and after."""
    period, goal = SHAPES[shape][2:]
    before = plain_rates(shape, effort.seconds)
    rates = lane_rates(shape, lanes, effort)
    after = plain_rates(shape, effort.seconds)
    rate = statistics.median(rates["lanes"])
    plain = {memory: statistics.mean((before[memory], after[memory])) for memory in MEMORIES}
    row: dict[str, object] = {
        "shape": shape,
        "lanes": lanes,
        "lane_steps_per_second": rate,
        "lane_updates_per_second": rate / period,
        "share_of_roof": rate / period * shape_flops(shape) / gflops / 1e9,
        "plain_steps_per_second": plain,
        "ratio": {memory: rate / value for memory, value in plain.items()},
        "goal": {64: goal, 1: 3.0}.get(lanes),
        "bytes_per_lane": bytes_per_lane(run_of(shape, 0)),
        "rounds": rates,
    }
    text = f"{shape:<28} {lanes:>4} lanes  {rate:>8,.0f} lane-steps/s  {rate / period:>8,.0f} lane-updates/s"
    text += f"  {row['share_of_roof']:.2f} of the roof"
    text += "".join(f"  {rate / plain[memory]:>5.2f}x {memory} ({plain[memory]:,.0f}/s)" for memory in MEMORIES)
    text += f"  goal {row['goal']}x" if row["goal"] else ""
    if effort.against:
        other = statistics.median(rates["against"])
        row |= {"against_lane_steps_per_second": other, "against_ratio": rate / other}
        text += f"  {rate / other:.2f}x {effort.against} ({other:,.0f}/s)"
    print(f"{text}  {row['bytes_per_lane']:,} bytes/lane", flush=True)
    return row


def bench_lanes(effort: Effort) -> dict[str, object]:
    """The table; the goals are multiples of the plain loop with a deque."""
    with one_core():
        gflops = best_gflops()
        print(f"the roof: our product of matrices reaches {gflops:.1f} GFLOP/s", flush=True)
        rows = [row_of(shape, lanes, gflops, effort) for shape in SHAPES for lanes in effort.counts]
    return {"gflops": gflops, "against": str(effort.against) if effort.against else None, "rows": rows}
