"""Trials per hour of a study on one core, against the usual way: one process per trial, which trains its seeds one after the other.

    python -m tests.benchmarks.tuning_speed            prints the comparison

Both train every trial's seeds for the same number of steps with the same algorithm, 64-64 units, minibatch 64, an update at every step, no
pruning. The study also evaluates and stores; the plain loop (preallocated arrays, the fastest one here) does neither. Whole processes are
timed, start included, before and after the study; processor time beside wall time, because a machine may be shared.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

TRIALS, SEEDS, STEPS = 16, 4, 10_000
GOAL = 6.0
STUDY = {
    "variant": "soft_huber",
    "env": "cartpole",
    "steps": STEPS,
    "evaluation": {"period": 5_000, "episodes": 10},
    "set": {"optimizer": "adamw", "optimizer.amsgrad": True, "clip": "value", "replay.warmup": 130},
    "space": {"optimizer.lr": {"log": ["1e-4", "1e-3"]}, "target.tau": {"log": ["1e-3", "1e-2"]}},
    "seeds": SEEDS,
    "lanes": TRIALS * SEEDS,
    "trials": TRIALS,
    "sampler": "random",
    "pruner": "none",
    "confirm": {"seeds": 0},
}


def plain_trial() -> None:
    """What one process per trial does: its seeds one after the other, in the plain loop."""
    from tests.benchmarks.lane_rate import run_of
    from tests.benchmarks.plain_loop import steps_per_second

    for seed in range(SEEDS):
        steps_per_second(run_of("batch 64, 64-64", seed), "arrays", STEPS, untimed=0)


def timed(words: list[str]) -> tuple[float, float]:
    """Wall seconds and processor seconds of a whole process and all that it starts, on one core."""
    before, begin = os.times(), time.perf_counter()
    one_core = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *words], check=True, capture_output=True, env=os.environ | one_core)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begin, spent


def bench_tuning() -> dict[str, object]:
    """The comparison as numbers; prints one line."""
    plain = ["-m", "tests.benchmarks.tuning_speed", "plain"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "study").mkdir()
        (Path(folder) / "study" / "speed.yaml").write_text(yaml.safe_dump(STUDY))
        tune = ["-m", "rlbench.tune", "study=speed", f"--config-dir={folder}", "workers=1", "wandb.mode=disabled"]
        timed([*tune, f"store={folder}/filled"])  # fills the compile cache
        before = timed(plain)
        study = timed([*tune, f"store={folder}/store"])
        after = timed(plain)
    wall, spent = ((before[index] + after[index]) / 2 for index in (0, 1))
    rates = {
        "study": {"wall": 3600 * TRIALS / study[0], "processor": 3600 * TRIALS / study[1]},
        "one process per trial": {"wall": 3600 / wall, "processor": 3600 / spent},
    }
    ratios = {
        kind: round(rates["study"][kind] / rates["one process per trial"][kind], 2) for kind in ("wall", "processor")
    }
    result: dict[str, object] = {
        "trials": TRIALS,
        "seeds": SEEDS,
        "steps": STEPS,
        "trials_per_hour": {
            name: {kind: round(value, 1) for kind, value in own.items()} for name, own in rates.items()
        },
        "ratio": ratios,
        "goal": GOAL,
    }
    print(
        f"tuning, one core: {rates['study']['wall']:,.0f} trials an hour as lanes,"
        f" {rates['one process per trial']['wall']:,.0f} with one process per trial:"
        f" {ratios['wall']}x in wall time, {ratios['processor']}x in processor time  goal {GOAL}x",
        flush=True,
    )
    return result


if __name__ == "__main__":
    if sys.argv[1:] == ["plain"]:
        plain_trial()
    else:
        print(json.dumps(bench_tuning(), indent=1))
