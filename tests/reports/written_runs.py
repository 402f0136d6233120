"""Stores with written-down numbers, made through the store's own API."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlbench.store import Finished, Member, Results, Store, load


@dataclass(frozen=True)
class PlannedRun:
    """One run: `points` are env_steps -> the returns of that point's evaluation episodes."""

    variant: str
    seed: int
    points: Mapping[int, Sequence[float]] = field(default_factory=dict)
    status: str = "done"
    env: str = "CartPole-v1"
    error: str = ""
    training_returns: Sequence[float] = (10.0, 20.0)
    settings: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: Mapping[int, tuple[float, float, float, float]] = field(
        default_factory=dict
    )  # loss, Q mean, max, norm

    @property
    def run_id(self) -> str:
        return digest_of(self)[:16]

    @property
    def spec(self) -> dict[str, Any]:
        return {
            "variant": {"name": self.variant, **self.settings},
            "env": {"id": self.env},
            "budget": {"steps": 1000},
            "seed": self.seed,
            "namespace": "train",
        }


def digest_of(run: PlannedRun) -> str:
    return hashlib.sha256(json.dumps(run.spec, sort_keys=True).encode()).hexdigest()


def write_store(path: Path, runs: Sequence[PlannedRun], name: str = "example", **definition: Any) -> Results:
    """Write runs into the store at `path` as the experiment `name`, and load it."""
    store = Store.open(path)
    cells = [{"variant": run.variant, "env": run.env} for run in runs]
    whole = {
        "name": name,
        "question": "Which is better?",
        "cells": [cell for i, cell in enumerate(cells) if cell not in cells[:i]],
        "seeds": sorted({run.seed for run in runs}),
        "command": ["/somewhere/bin/python", "-m", "rlbench.run", "variant=a,b", "store=/home/me/results"],
        **definition,
    }
    members = [Member(run.run_id, run.variant, position) for position, run in enumerate(runs)]
    store.record_experiment(name, whole, members, {run.run_id: run.spec for run in runs})
    started = [run for run in runs if run.status != "pending"]
    with store.program([run.run_id for run in started]) as program:
        started = [run for run in started if run.run_id in program.run_ids]
        rows = {
            "evaluations": _evaluations(started),
            "episodes": _episodes(started),
            "diagnostics": _diagnostics(started),
        }
        program.commit(rows, None, [_finished(run) for run in started], "cpu", "local")
    return load(path)


def _finished(run: PlannedRun) -> Finished:
    digest = "" if run.status == "failed" else digest_of(run)
    return Finished(run.run_id, run.status, max(run.points, default=1000), 900, 2, 1.5, digest, run.error)


def _evaluations(runs: Sequence[PlannedRun]) -> dict[str, list[Any]]:
    rows = [
        (run.run_id, env_steps, episode, float(value), 100)
        for run in runs
        for env_steps, values in run.points.items()
        for episode, value in enumerate(values)
    ]
    return _columns(["run_id", "env_steps", "episode", "episode_return", "length"], rows)


def _episodes(runs: Sequence[PlannedRun]) -> dict[str, list[Any]]:
    rows = [
        (run.run_id, episode, episode + 1, 1, float(value), True)
        for run in runs
        for episode, value in enumerate(run.training_returns)
    ]
    return _columns(["run_id", "episode", "env_steps", "length", "episode_return", "terminated"], rows)


def _diagnostics(runs: Sequence[PlannedRun]) -> dict[str, list[Any]]:
    rows = [
        (run.run_id, env_steps, env_steps // 2, *row, 0.1, 0.0)
        for run in runs
        for env_steps, row in run.diagnostics.items()
    ]
    names = ["run_id", "env_steps", "updates", "loss", "q_mean", "q_max", "grad_norm", "epsilon", "target_distance"]
    return _columns(names, rows)


def _columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}
