"""Lane-steps a second of one shape and number of lanes, in a process of its own: of this checkout's engine, or of another one's.

    PYTHONPATH=CHECKOUT python -P tests/benchmarks/lane_rate.py 'batch 64, 64-64' 64 8     measures the engine of CHECKOUT for 8 seconds

The engine is whatever `rlbench` is imported; this file is the same for all of them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rlbench
from rlbench.config import run_id, spec_of
from rlbench.config.plan import PlannedRun
from rlbench.config.specification import resolved
from rlbench.lanes.choices.clipping import ClipValue
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.optimizers import AdamW
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant
from rlbench.lanes.fast.compiling import prepare_process
from rlbench.runner.cohort import Cohort
from rlbench.runner.worker import THE_END, WorkerSettings
from rlbench.store import Member, Store

HERE = Path(__file__).resolve().parents[2]  # this checkout
# Minibatch, hidden units, steps between updates, and the goal at 64 lanes as a multiple of the plain loop with a deque.
SHAPES = {
    "batch 128, 128-128": (128, (128, 128), 1, 6.0),
    "batch 64, 64-64": (64, (64, 64), 1, 20.0),
    "batch 128, 120-84, every 10": (128, (120, 84), 10, 9.0),
}
CHECKPOINT_SECONDS = 30.0  # the default of `checkpoint_seconds`
UNTIMED_STEPS = 200  # of each lane: 130 fill the memory, then everything is compiled


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


def lane_rate(shape: str, lanes: int, seconds: float) -> float:
    """Lane-steps a second of so many lanes, store on, compilation left out, measured for so many seconds.

    A commit is timed apart and counted for its share of the time between two: in a measurement of a few seconds there would be none of
    them or one, and one of hundreds of lanes takes seconds.
    """
    runs = [run_of(shape, seed) for seed in range(lanes)]
    planned = [PlannedRun(run, "bench", seed, run_id(run), spec_of(run)) for seed, run in enumerate(runs)]
    seen: list[tuple[float, int]] = []

    def report(speed: float) -> None:
        done = cohort.progress()["bench"].done_steps
        if done > UNTIMED_STEPS * lanes:
            seen.append((time.perf_counter(), done))

    def should_stop() -> bool:
        return len(seen) > 2 and time.perf_counter() - seen[0][0] > seconds

    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "store")
        members = [Member(one.run_id, "bench", one.position) for one in planned]
        store.record_experiment("bench", {}, members, {one.run_id: spec_of(one.run) for one in planned})
        settings = WorkerSettings(store.root, max_lanes=lanes, checkpoint_seconds=10**9, launcher="bench")
        cohort = Cohort(store, settings, should_stop, report)
        cohort.add(planned)
        cohort.advance(dict.fromkeys(cohort.runs, THE_END))
        begin_commit = time.perf_counter()
        cohort.commit()
        commit_seconds = time.perf_counter() - begin_commit
        cohort.close()
    # The last report comes after the commit that stopping makes.
    (begin, first), (end, last) = seen[0], seen[-2]
    return (last - first) / (end - begin) * CHECKPOINT_SECONDS / (CHECKPOINT_SECONDS + commit_seconds)


def rate_of(checkout: Path, shape: str, lanes: int, seconds: float) -> float:
    """`lane_rate` of a checkout's engine, in a process of its own. Exits with a line where it cannot be measured.

    A checkout is measured by its own copy of this file: between versions the way to train in process may differ.
    """
    own = checkout / "tests/benchmarks/lane_rate.py"
    words = [sys.executable, "-P", str(own if own.exists() else __file__), shape, str(lanes), str(seconds)]
    done = subprocess.run(words, env=os.environ | {"PYTHONPATH": str(checkout)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{checkout} cannot be measured: {(done.stderr.splitlines() or ['no message'])[-1]}")
    found = json.loads(done.stdout.splitlines()[-1])
    if not Path(found["engine"]).is_relative_to(checkout):
        raise SystemExit(f"{checkout} is no checkout of rlbench: Python took {found['engine']}")
    return float(found["lane_steps_per_second"])


if __name__ == "__main__":
    prepare_process()
    rate = lane_rate(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
    print(json.dumps({"engine": str(Path(rlbench.__file__).resolve()), "lane_steps_per_second": rate}))
