"""The report's speed: 1 000 runs x 20 evaluations, from the stored results to the last file written, on one core."""

import hashlib
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from rlbench.reports import write_report
from rlbench.store import Finished, Member, Store, load

ENVS = ("CartPole-v1", "CartPole-v0", "Acrobot-v1", "MountainCar-v0", "LunarLander-v3")
VARIANTS = tuple(f"{target}_{loss}" for target in ("hard", "soft") for loss in ("mse", "huber"))
SEEDS, POINTS, EPISODES, TRAINING_EPISODES = 50, 20, 10, 200
GOAL_SECONDS = 20.0


def make_store(path: Path) -> None:
    """A 2x2 grid on five environments with 50 seeds: 1 000 runs, each with 20 evaluations of 10 episodes."""
    rng = np.random.default_rng(0)
    specs: dict[str, dict[str, Any]] = {}
    members = []
    for env in ENVS:
        for variant in VARIANTS:
            target, loss = variant.split("_")
            settings = {"target": {"kind": target}, "loss": {"kind": loss}, "discount": 0.99}
            for seed in range(SEEDS):
                run_id = hashlib.sha256(f"{env} {variant} {seed}".encode()).hexdigest()[:16]
                specs[run_id] = {"variant": settings, "env": {"id": env}, "seed": seed, "namespace": "train"}
                members.append(Member(run_id, variant, len(members)))
    store = Store.open(path)
    pairs = [["soft_mse", "hard_mse"], ["soft_huber", "hard_huber"]]
    definition = {
        "name": "bench",
        "question": "How long does it take?",
        "cells": [{"variant": variant, "env": env} for env in ENVS for variant in VARIANTS],
        "seeds": list(range(SEEDS)),
        "comparisons": [{"family": "target", "pairs": pairs}],
    }
    store.record_experiment("bench", definition, members, specs)
    run_ids = list(specs)
    with store.program(run_ids) as program:
        rows = {name: _rows(run_ids, name, rng) for name in ("evaluations", "episodes", "diagnostics")}
        finished = [Finished(run_id, "done", 50_000, 49_000, TRAINING_EPISODES, 9.0, run_id * 4) for run_id in run_ids]
        program.commit(rows, None, finished, "bench", "bench")


def _rows(run_ids: list[str], table: str, rng: np.random.Generator) -> dict[str, Any]:
    points, repeats = {"evaluations": (POINTS, EPISODES), "episodes": (TRAINING_EPISODES, 1), "diagnostics": (50, 1)}[
        table
    ]
    size = len(run_ids) * points * repeats
    steps = np.tile(np.repeat(np.arange(1, points + 1) * (50_000 // points), repeats), len(run_ids))
    ids = np.repeat(np.array(run_ids, dtype=object), points * repeats)
    level = np.repeat(rng.normal(0.0, 20.0, len(run_ids)), points * repeats)
    returns = level + steps / 500.0 + rng.normal(0.0, 10.0, size)
    lengths = np.full(size, 100)
    if table == "diagnostics":
        noise = {name: np.abs(rng.normal(1.0, 0.1, size)) for name in ("loss", "q_mean", "q_max", "grad_norm")}
        rest = {"epsilon": np.full(size, 0.1), "target_distance": np.zeros(size)}
        return {"run_id": ids, "env_steps": steps, "updates": steps // 2, **noise, **rest}
    episode = np.tile(
        np.arange(repeats if table == "evaluations" else points),
        size // (repeats if table == "evaluations" else points),
    )
    columns = {"run_id": ids, "env_steps": steps, "episode": episode, "episode_return": returns, "length": lengths}
    return columns if table == "evaluations" else {**columns, "terminated": np.ones(size, dtype=bool)}


def bench_report() -> dict[str, float]:
    """Time the command's work on such a store; wall and CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        make_store(Path(folder) / "results")
        begin, begin_cpu = time.perf_counter(), time.process_time()
        page = write_report(load(Path(folder) / "results"), "bench", Path(folder) / "out")
        figures = {
            "seconds": time.perf_counter() - begin,
            "cpu_seconds": time.process_time() - begin_cpu,
            "runs": float(len(ENVS) * len(VARIANTS) * SEEDS),
            "page_bytes": float(page.stat().st_size),
        }
    print(
        f"report over {figures['runs']:.0f} runs x {POINTS} evaluations: {figures['seconds']:.1f} s, "
        f"{figures['cpu_seconds']:.1f} s of CPU time  goal at most {GOAL_SECONDS:.0f} s",
        flush=True,
    )
    return figures


if __name__ == "__main__":
    bench_report()
