"""How the report grows with the number of runs: CPU seconds and peak memory of the whole command, on one core.

    python -m tests.benchmarks.report_growth [500 2000 10000]

A 2x2 grid on one environment, 420 rows a run: 200 training episodes, 20 evaluations of 10 episodes, 20 rows of diagnostics.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rlbench.store import Finished, Member, Store

ENV = "CartPole-v1"
VARIANTS = tuple(f"{target}_{loss}" for target in ("hard", "soft") for loss in ("mse", "huber"))
SHAPES = {"evaluations": (20, 10), "episodes": (200, 1), "diagnostics": (20, 1)}  # points, rows a point
BUDGET, RUNS_A_COMMIT = 50_000, 100
GOAL_SECONDS, GOAL_MIB = 40.0, 1024


def write_store(path: Path, num_runs: int) -> None:
    """A store of so many runs, a quarter of them of each variant, in commits of a hundred."""
    specs: dict[str, dict[str, Any]] = {}
    members = []
    for variant in VARIANTS:
        target, loss = variant.split("_")
        settings = {"name": variant, "target": {"kind": target}, "loss": {"kind": loss}, "discount": 0.99}
        for seed in range(num_runs // len(VARIANTS)):
            run_id = hashlib.sha256(f"{variant} {seed}".encode()).hexdigest()[:16]
            specs[run_id] = {"variant": settings, "env": {"id": ENV}, "seed": seed, "namespace": "train"}
            members.append(Member(run_id, variant, len(members)))
    definition = {
        "name": "growth",
        "question": "How does the report grow?",
        "cells": [{"variant": variant, "env": ENV} for variant in VARIANTS],
        "seeds": list(range(num_runs // len(VARIANTS))),
        "comparisons": [{"family": "target", "pairs": [["soft_mse", "hard_mse"], ["soft_huber", "hard_huber"]]}],
    }
    store, rng, run_ids = Store.open(path), np.random.default_rng(0), list(specs)
    store.record_experiment("growth", definition, members, specs)
    for start in range(0, len(run_ids), RUNS_A_COMMIT):
        own = run_ids[start : start + RUNS_A_COMMIT]
        with store.program(own) as program:
            rows = {table: rows_of(own, table, rng) for table in SHAPES}
            finished = [Finished(run_id, "done", BUDGET, BUDGET - 1000, 200, 9.0, run_id * 4) for run_id in own]
            program.commit(rows, None, finished, "bench", "bench")


def rows_of(run_ids: list[str], table: str, rng: np.random.Generator) -> dict[str, Any]:
    """Rows of one table for these runs: returns that rise to between 200 and 500, with a level of each run's own."""
    points, repeats = SHAPES[table]
    a_run, size = points * repeats, len(run_ids) * points * repeats
    steps = np.tile(np.repeat(np.arange(1, points + 1) * (BUDGET // points), repeats), len(run_ids))
    ids = np.repeat(np.array(run_ids, dtype=object), a_run)
    if table == "diagnostics":
        noise = {name: np.abs(rng.normal(1.0, 0.1, size)) for name in ("loss", "q_mean", "q_max", "grad_norm")}
        rest = {"epsilon": np.full(size, 0.1), "target_distance": np.zeros(size)}
        return {"run_id": ids, "env_steps": steps, "updates": steps // 2, **noise, **rest}
    level = np.repeat(rng.uniform(0.5, 1.0, len(run_ids)), a_run)
    returns = np.clip(np.round(500.0 * level * steps / BUDGET + rng.normal(0.0, 20.0, size)), 8.0, 500.0)
    episode = np.tile(
        np.arange(repeats) if table == "evaluations" else np.arange(points),
        size // (a_run if repeats == 1 else repeats),
    )
    columns = {"run_id": ids, "env_steps": steps, "episode": episode, "episode_return": returns}
    columns["length"] = returns.astype(np.int64)
    return columns if table == "evaluations" else {**columns, "terminated": np.ones(size, dtype=bool)}


def cost_of_report(store: Path, out: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MiB of the command on a store."""
    command = [sys.executable, "-m", "rlbench.report", f"store={store}", f"out={out}"]
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"the report of {store} ended with {process.returncode}"
    return time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def bench_growth(sizes: tuple[int, ...] = (500, 2_000, 10_000)) -> list[Mapping[str, float]]:
    """The table, printed; one row a size."""
    rows: list[Mapping[str, float]] = []
    for num_runs in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_store(Path(folder) / "results", num_runs)
            wall, cpu, peak = cost_of_report(Path(folder) / "results", Path(folder) / "out")
        rows.append({"runs": num_runs, "seconds": wall, "cpu_seconds": cpu, "peak_mib": peak})
        print(
            f"report over {num_runs:>6} runs of 420 rows: {wall:6.1f} s, {cpu:6.1f} s of CPU time, {peak:6.0f} MiB",
            flush=True,
        )
    print(f"goal at 10 000 runs: {GOAL_SECONDS:.0f} s, {GOAL_MIB} MiB")
    return rows


if __name__ == "__main__":
    bench_growth(tuple(int(word) for word in sys.argv[1:]) or (500, 2_000, 10_000))
