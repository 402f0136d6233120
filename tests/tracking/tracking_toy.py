"""A store with rows in it, written commit by commit as a training program would, for the tests of the follower."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rlbench.store import Checkpoint, CheckpointLane, Finished, Member, Program, Store

Columns = dict[str, Any]


def spec_of(seed: int, steps: int, salt: str) -> dict[str, Any]:
    return {
        "variant": {"loss": {"name": "huber", "delta": 0.5}, "name": "soft_huber", "salt": salt},
        "env": {"id": "CartPole-v1"},
        "budget": {"steps": steps},
        "seed": seed,
        "namespace": "train",
    }


def run_id_of(spec: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


@dataclass
class ToyStore:
    """num_runs runs of `steps` env_steps; numbers are drawn per seed, with a NaN and an infinity among the losses."""

    path: Path
    num_runs: int = 3
    steps: int = 1000
    num_episodes: int = 40
    evaluation_period: int = 100
    evaluation_episodes: int = 4
    diagnostics_period: int = 50
    statuses: dict[int, str] = field(default_factory=dict)  # seed -> how it ends, where that is not `done`
    weights: bool = False
    salt: str = ""

    def __post_init__(self) -> None:
        self.specs = {
            run_id_of(spec): spec for spec in (spec_of(s, self.steps, self.salt) for s in range(self.num_runs))
        }
        self.run_ids = list(self.specs)
        self.store = Store.open(self.path)
        members = [Member(run_id, "soft_huber", i) for i, run_id in enumerate(self.specs)]
        self.store.record_experiment("toy", {"name": "toy", "final_window": 3}, members, self.specs)
        self.rows = {run_id: self._draw(spec["seed"]) for run_id, spec in self.specs.items()}

    def settings(self, run_id: str) -> dict[str, Any]:
        """What a tracker is told of a run, by the keys that people type."""
        spec = self.specs[run_id]
        return {
            "loss.name": "huber",
            "loss.delta": 0.5,
            "name": "soft_huber",
            "salt": spec["variant"]["salt"],
            "env.id": "CartPole-v1",
            "budget.steps": self.steps,
            "namespace": "train",
        }

    def _draw(self, seed: int) -> dict[str, Columns]:
        rng = np.random.default_rng(seed)
        ends = np.sort(rng.choice(self.steps, self.num_episodes, replace=False)) + 1
        points = np.arange(self.evaluation_period, self.steps + 1, self.evaluation_period)
        ticks = np.arange(self.diagnostics_period, self.steps + 1, self.diagnostics_period)
        numbers = {
            name: rng.normal(size=len(ticks))
            for name in ("loss", "q_mean", "q_max", "grad_norm", "epsilon", "target_distance")
        }
        numbers["loss"][-2:] = np.nan, np.inf
        return {
            "episodes": {
                "episode": np.arange(self.num_episodes),
                "env_steps": ends,
                "length": np.diff(ends, prepend=0),
                "episode_return": rng.normal(size=self.num_episodes),
                "terminated": rng.random(self.num_episodes) < 0.5,
            },
            "evaluations": {
                "env_steps": np.repeat(points, self.evaluation_episodes),
                "episode": np.tile(np.arange(self.evaluation_episodes), len(points)),
                "episode_return": rng.normal(size=len(points) * self.evaluation_episodes),
                "length": rng.integers(1, 500, len(points) * self.evaluation_episodes),
            },
            "diagnostics": {"env_steps": ticks, "updates": ticks // 2, **numbers},
        }

    def train(self, boundaries: Sequence[int]) -> None:
        """One program that commits at each of these env_steps; runs end at the last one that is their budget."""
        with self.store.program(self.run_ids) as program:
            since = 0
            for until in boundaries:
                self.commit(program, since, until)
                since = until

    def commit(self, program: Program, since: int, until: int) -> None:
        """Commit the rows in (since, until] of all runs that the program holds."""
        tables: dict[str, Columns] = {}
        held = program.run_ids
        for table in ("episodes", "evaluations", "diagnostics"):
            pieces = []
            for run_id in held:
                columns = self.rows[run_id][table]
                wanted = (columns["env_steps"] > since) & (columns["env_steps"] <= until)
                piece = {name: values[wanted] for name, values in columns.items()}
                pieces.append({"run_id": np.array([run_id] * int(wanted.sum()), dtype=object), **piece})
            tables[table] = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        is_end = until == self.steps
        lanes = [] if is_end else self.lanes(held, until)
        ends = [self._end(run_id) for run_id in held] if is_end else []
        program.commit(tables, Checkpoint({}, lanes), ends, platform="toy", launcher="test")

    def fail_first(self, program: Program, env_steps: int) -> str:
        """Commit everything until `env_steps`, and that the first run failed there; its id."""
        self.commit(program, 0, env_steps)
        unlucky = self.run_ids[0]
        failed = Finished(unlucky, "failed", env_steps, 250, 20, 1.0, error="out of luck")
        lanes = self.lanes(self.run_ids[1:], env_steps)
        program.commit({}, Checkpoint({}, lanes), [failed], platform="toy", launcher="test")
        return unlucky

    @staticmethod
    def lanes(run_ids: Sequence[str], env_steps: int) -> list[CheckpointLane]:
        """Unfinished runs as a checkpoint has them."""
        return [CheckpointLane(run_id, env_steps) for run_id in run_ids]

    def expected_rows(self, run_id: str) -> list[dict[str, Any]]:
        """What W&B should have of a complete run, worked out from the rows as they were drawn."""
        found: list[tuple[int, int, dict[str, Any]]] = []
        episodes, evaluations, diagnostics = (
            {name: values.tolist() for name, values in self.rows[run_id][table].items()}
            for table in ("episodes", "evaluations", "diagnostics")
        )
        for i, at in enumerate(episodes["env_steps"]):
            row = {"episode/index": i, "episode/return": episodes["episode_return"][i]}
            row |= {"episode/length": episodes["length"][i], "episode/terminated": int(episodes["terminated"][i])}
            found.append((at, 0, row))
        for at in sorted(set(evaluations["env_steps"])):
            pairs = zip(evaluations["env_steps"], evaluations["episode_return"], strict=True)
            returns = [value for step, value in pairs if step == at]
            row = {"evaluation/return": statistics.fmean(returns)}
            row |= {"evaluation/return_min": min(returns), "evaluation/return_max": max(returns)}
            found.append((at, 1, row))
        for i, at in enumerate(diagnostics["env_steps"]):
            row = {f"diagnostics/{name}": values[i] for name, values in diagnostics.items() if name != "env_steps"}
            found.append((at, 2, row))
        return [{"env_steps": at, **row} for at, _, row in sorted(found, key=lambda entry: entry[:2])]

    def _end(self, run_id: str) -> Finished:
        status = self.statuses.get(self.specs[run_id]["seed"], "done")
        weights = None
        if self.weights:
            import torch

            weights = {"0.weight": torch.full((2, 3), float(self.specs[run_id]["seed"]))}
        digest = hashlib.sha256(run_id.encode()).hexdigest()
        return Finished(run_id, status, self.steps, self.steps // 2, self.num_episodes, 1.5, digest, weights=weights)
