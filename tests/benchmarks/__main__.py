"""`make bench`: what lanes, tracking, statistics, a report, tuning and pixels cost; printed, and written to bench.json.

    python -m tests.benchmarks [lanes] [tracking] [statistics] [report] [growth] [tuning] [pixels]     only those parts; default: all

Everything on one core (tracking: on all of them). The plain loops are timed before and after each figure, in the same run.
"""

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from rlbench import exact
from rlbench.config.specification import resolved, spec_of
from rlbench.lanes.clipping import ClipValue
from rlbench.lanes.compiling import prepare_process
from rlbench.lanes.lane_state import bytes_per_lane
from rlbench.lanes.losses import Huber
from rlbench.lanes.networks import MLP
from rlbench.lanes.optimizers import AdamW
from rlbench.lanes.platform import platform_of
from rlbench.lanes.replay import Uniform
from rlbench.lanes.targets import Periodic
from rlbench.lanes.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant
from rlbench.runner.job import JobRun, Settings
from rlbench.runner.plan import Task
from rlbench.runner.updates import VariantProgress
from rlbench.store import Member, Store
from tests.benchmarks.pixel_speed import bench_pixels
from tests.benchmarks.plain_loop import MEMORIES, steps_per_second
from tests.benchmarks.report_growth import bench_growth
from tests.benchmarks.report_speed import bench_report
from tests.benchmarks.statistics_speed import bench_statistics
from tests.benchmarks.tuning_speed import bench_tuning

SHAPES = {
    "batch 128, 128-128": (128, (128, 128), 1, 6.0),
    "batch 64, 64-64": (64, (64, 64), 1, 20.0),
    "batch 128, 120-84, every 10": (128, (120, 84), 10, 9.0),
}
LANES = (1, 8, 64, 256)
PLAIN_STEPS = 2_000
MEASURED_SECONDS = 8.0
TRACKING_PAIRS = 3


def run_of(shape: str, seed: int) -> Run:
    """One run of the benchmark's algorithm; without evaluation, which the plain loop has not either."""
    batch, units, period, _ = SHAPES[shape]
    variant = Variant(
        network=MLP(units=units),
        loss=Huber(),
        target=Periodic(every=1, tau=0.005),
        optimizer=AdamW(lr=1e-4, amsgrad=True),
        clip=ClipValue(limit=100.0),
        replay=Uniform(capacity=10_000, warmup=130),
        batch_size=batch,
        update_period=period,
    )
    never = 10**9
    return resolved(Run(variant, Environment(), Budget(steps=never), Evaluation(period=never), Diagnostics(), seed))


def lane_rate(shape: str, lanes: int) -> float:
    """Lane-steps a second of so many lanes on one core, store on, compilation left out."""
    runs = [run_of(shape, seed) for seed in range(lanes)]
    tasks = tuple(Task(f"{seed:016x}", "bench", run) for seed, run in enumerate(runs))
    seen: list[tuple[float, int]] = []

    def report(per_variant: dict[str, VariantProgress], running: int, speed: float) -> None:
        seen.append((time.perf_counter(), per_variant["bench"].done_steps))

    def should_stop() -> bool:
        learning = [at for at, steps in seen if steps > 300 * lanes]
        return bool(learning) and time.perf_counter() - learning[0] > MEASURED_SECONDS

    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "store")
        specs = {task.run_id: spec_of(task.run) for task in tasks}
        store.record_experiment("bench", {}, [Member(t.run_id, "bench", i) for i, t in enumerate(tasks)], specs)
        JobRun(
            store, tasks, Settings(max_lanes=lanes, checkpoint_seconds=30.0, launcher="bench"), should_stop, report
        ).run()
    counted = [(at, steps) for at, steps in seen if steps > 300 * lanes]
    (begin, first), (end, last) = counted[0], counted[-1]
    return (last - first) / (end - begin)


def flops_of_update(batch: int, units: tuple[int, ...], obs_size: int = 4, num_actions: int = 2) -> int:
    """Floating-point operations of the products of one update: two networks forward, the gradients of all weights, and those of what
    every layer but the first is given. A multiplication and an addition are two."""
    sizes = [a * b for a, b in itertools.pairwise((obs_size, *units, num_actions))]
    return 2 * batch * (3 * sum(sizes) + sum(sizes[1:]))


def roof() -> float:
    """The best floating-point operations a second of our own product kernel on this core, of 8 lanes of 64^3 and 128^3."""
    best = 0.0
    for size in (64, 128):
        x, weight = torch.rand(8, size, size), torch.rand(8, size, size)
        for _ in range(100):
            begin = time.perf_counter()
            exact.affine(x, weight)
            best = max(best, 16 * size**3 / (time.perf_counter() - begin))
    return best


def bench_lanes() -> list[dict[str, object]]:
    """The table of lanes against the plain loops; the goals are multiples of the one with a deque."""
    rows: list[dict[str, object]] = []
    for shape, (_, _, period, goal) in SHAPES.items():
        run = run_of(shape, 0)
        steps = PLAIN_STEPS * (1 + period // 5)
        for lanes in LANES:
            before = {memory: steps_per_second(run, memory, steps, untimed=400) for memory in MEMORIES}
            rate = lane_rate(shape, lanes)
            after = {memory: steps_per_second(run, memory, steps, untimed=400) for memory in MEMORIES}
            share = rate / period * flops_of_update(*SHAPES[shape][:2]) / roof()
            plain = {memory: statistics.mean((before[memory], after[memory])) for memory in MEMORIES}
            ratios = {memory: round(rate / value, 2) for memory, value in plain.items()}
            row = {
                "shape": shape,
                "lanes": lanes,
                "lane_steps_per_second": round(rate),
                "lane_updates_per_second": round(rate / period),
                "share_of_roof": round(share, 2),
                "plain_steps_per_second": {memory: round(value) for memory, value in plain.items()},
                "ratio": ratios,
                "goal": {64: goal, 1: 3.0}.get(lanes),
                "bytes_per_lane": bytes_per_lane(run),
            }
            rows.append(row)
            plain_text = "  ".join(f"{ratios[memory]:>5}x {memory} ({plain[memory]:,.0f}/s)" for memory in MEMORIES)
            goal_text = f"  goal {row['goal']}x" if row["goal"] else ""
            print(
                f"{shape:<28} {lanes:>4} lanes  {rate:>8,.0f} lane-steps/s  {rate / period:>8,.0f} lane-updates/s"
                f"  {share:.2f} of the roof  {plain_text}{goal_text}  {row['bytes_per_lane']:,} bytes/lane",
                flush=True,
            )
    return rows


def bench_tracking() -> dict[str, object]:
    """Wall seconds of the same command with tracking offline and disabled, in turn, all cores."""
    seconds: dict[str, list[float]] = {"offline": [], "disabled": []}
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(-1, TRACKING_PAIRS):
            for mode, taken in seconds.items():
                command = [
                    sys.executable,
                    "-m",
                    "rlbench.run",
                    "variant=hard_mse,soft_huber",
                    "seeds=16",
                    "steps=30000",
                ]
                command += [f"store={folder}/{mode}{pair}", f"wandb.mode={mode}"]
                begin = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                if pair >= 0:  # the first pair fills the compile cache
                    taken.append(time.perf_counter() - begin)
    ratios = [on / off for on, off in zip(seconds["offline"], seconds["disabled"], strict=True)]
    ratio = statistics.median(ratios)
    print(
        f"tracking on / off: {ratio:.3f} (median of {len(ratios)} pairs: {', '.join(f'{r:.3f}' for r in ratios)})  goal at most 1.03"
    )
    return {"ratio": ratio, "ratios": ratios, "seconds": seconds}


PARTS: dict[str, Callable[[], Mapping[str, object]]] = {
    "tracking": bench_tracking,
    "statistics": bench_statistics,
    "report": bench_report,
    "growth": lambda: {"sizes": bench_growth()},
    "tuning": bench_tuning,
    "pixels": bench_pixels,
}


def main() -> None:
    """Run the parts that are named, or all."""
    prepare_process()
    parts = sys.argv[1:] or ["lanes", *PARTS]
    print(f"platform {platform_of(run_of(next(iter(SHAPES)), 0))}, one core")
    result: dict[str, object] = {"platform": platform_of(run_of(next(iter(SHAPES)), 0))}
    if "lanes" in parts:
        result["lanes"] = bench_lanes()
    for name, bench in PARTS.items():
        if name in parts:
            result[name] = bench()
    Path("bench.json").write_text(json.dumps(result, indent=1) + "\n")
    print("written to bench.json")


if __name__ == "__main__":
    main()
