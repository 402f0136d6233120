"""`make bench`: what lanes, peers, parts, tracking, statistics, a report, tuning and pixels cost; printed, and written to bench.json.

    python -m tests.benchmarks [lanes] [peers] [parts] [tracking] [statistics] [report] [growth] [tuning] [pixels]     only those parts; default: all
    python -m tests.benchmarks lanes against=PATH [rounds=2]     the engine of another checkout beside this one's, in turn; medians
    python -m tests.benchmarks lanes counts=1,64 seconds=1       only so many lanes; each figure of lanes, peers and parts takes a second, not eight

Everything on one core (tracking: on all of them). The plain loops are timed before and after each figure, in the same run.
Peers are other libraries, and optional: see `peer_speed`.
"""

import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rlbench.lanes.fast.compiling import prepare_process
from rlbench.lanes.fast.platform import platform_of
from tests.benchmarks.growth import bench_growth
from tests.benchmarks.lane_rate import SHAPES, run_of
from tests.benchmarks.lane_speed import Effort, bench_lanes
from tests.benchmarks.part_speed import bench_parts
from tests.benchmarks.peer_speed import bench_peers
from tests.benchmarks.pixel_speed import bench_pixels
from tests.benchmarks.report_speed import bench_report
from tests.benchmarks.statistics_speed import bench_statistics
from tests.benchmarks.tuning_speed import bench_tuning

TRACKING_PAIRS = 3


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


PARTS: dict[str, Callable[[], object]] = {
    "tracking": bench_tracking,
    "statistics": bench_statistics,
    "report": bench_report,
    "growth": lambda: {"sizes": bench_growth()},
    "tuning": bench_tuning,
    "pixels": bench_pixels,
}
TIMED_PARTS: dict[str, Callable[[Effort], object]] = {"lanes": bench_lanes, "peers": bench_peers, "parts": bench_parts}


OPTIONS = ("against", "rounds", "seconds", "counts")


def asked_for(words: Sequence[str]) -> dict[str, Callable[[], object]]:
    """The parts that the command line names, ready to be called; all of them where it names none. Raises ValueError with what is wrong."""
    options = dict(word.split("=", 1) for word in words if "=" in word)
    named = [word for word in words if "=" not in word]
    known = (*TIMED_PARTS, *PARTS)
    unknown = [word for word in named if word not in known] + [name for name in options if name not in OPTIONS]
    if unknown:
        raise ValueError(f"{unknown[0]} is neither a part ({', '.join(known)}) nor an option ({', '.join(OPTIONS)})")
    effort = Effort(
        seconds=float(options.get("seconds", Effort.seconds)),
        rounds=int(options.get("rounds", 2 if "against" in options else 1)),
        counts=tuple(int(count) for count in options["counts"].split(",")) if "counts" in options else Effort.counts,
        against=Path(options["against"]).resolve() if "against" in options else None,
    )
    if effort.against and not (effort.against / "rlbench").is_dir():
        raise ValueError(f"against={options['against']} is no checkout: it has no folder rlbench")
    if min(effort.seconds, effort.rounds, *effort.counts) <= 0:
        raise ValueError("seconds, rounds and counts must be above 0")
    parts = {name: functools.partial(bench, effort) for name, bench in TIMED_PARTS.items()} | PARTS
    return {name: bench for name, bench in parts.items() if name in named or not named}


def main() -> None:
    """Run the parts that are named, or all."""
    try:
        parts = asked_for(sys.argv[1:])
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    prepare_process()
    platform = platform_of(run_of(next(iter(SHAPES)), 0))
    print(f"platform {platform}, one core", flush=True)
    result = {"platform": platform} | {name: bench() for name, bench in parts.items()}
    Path("bench.json").write_text(json.dumps(result, indent=1) + "\n")
    print("written to bench.json")


if __name__ == "__main__":
    main()
