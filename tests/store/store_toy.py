"""A trainer too simple to be wrong, for the tests of the store; run as a script it is a program to be killed.

A run's numbers are a function of (seed, env_steps) and of its own state, so every interruption must end with the rows,
weights and digests of the uninterrupted run.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas  # noqa: F401 (here once, instead of in each of a hundred forked children)
import safetensors.torch  # noqa: F401
import torch

from rlbench.store import (
    Checkpoint,
    CheckpointLane,
    Finished,
    Member,
    Program,
    RowDigest,
    Store,
    files,
    load,
    run_digest,
)
from rlbench.store.leases import Watch
from rlbench.store.schema import ROW_ORDER, split_rows
from tests.forked import ForkedProgram

PERIOD = 10  # env_steps between two commits
EPISODE = 5  # env_steps an episode
NAME = "toy"
LONG = 10**6  # seconds of a lease that gives no sign while a test lasts
_BESIDE = ["wall_s", "finished_at", "version"]


def spec_of(seed: int, steps: int = 20, variant: str = "v", env: str = "CartPole-v1") -> dict[str, Any]:
    return {
        "variant": {"name": variant},
        "env": {"id": env},
        "budget": {"steps": steps},
        "seed": seed,
        "namespace": "train",
    }


def run_id_of(spec: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def record(store: Store, specs: Sequence[dict[str, Any]], name: str = NAME, **definition: Any) -> list[str]:
    """Record an experiment of these runs; returns their ids."""
    by_id = {run_id_of(spec): spec for spec in specs}
    members = [Member(run_id, spec["variant"]["name"], i) for i, (run_id, spec) in enumerate(by_id.items())]
    store.record_experiment(name, {"name": name, **definition}, members, by_id)
    return list(by_id)


@dataclass(frozen=True)
class Toy:
    """A plan: one run per budget (in env_steps), with the seeds 0, 1, ..."""

    budgets: tuple[int, ...]

    @property
    def specs(self) -> dict[str, dict[str, Any]]:
        specs = [spec_of(seed, steps) for seed, steps in enumerate(self.budgets)]
        return {run_id_of(spec): spec for spec in specs}

    @property
    def run_ids(self) -> list[str]:
        return list(self.specs)

    def program(self, path: Path) -> Program:
        store = Store.open(path)
        return store.program(record(store, list(self.specs.values())))

    def train(self, program: Program, commits: int | None = None) -> None:
        """Train what the program holds, from the stored states, to the end or for a number of commits."""
        specs = self.specs
        weights, counters, digests = {}, {}, {}
        for run_id in program.run_ids:
            state = program.checkpoint_of(run_id)
            weights[run_id] = state.tensors["weights"][0] if state else torch.zeros(3, dtype=torch.float64)
            counters[run_id] = int(state.tensors["env_steps"][0]) if state else 0
            assert state is None or state.env_steps == counters[run_id]
            digests[run_id] = RowDigest(state.meta["row_digest"] if state else None)
        while program.run_ids and commits != 0:
            commits = None if commits is None else commits - 1
            rows = self.advance(weights, counters, specs)
            for table, columns in rows.items():
                for run_id, own in split_rows(table, columns).items():
                    digests[run_id].advance(table, own)
            ended = [run_id for run_id in counters if counters[run_id] == specs[run_id]["budget"]["steps"]]
            finished = []
            for run_id in ended:
                final = {"0.weight": weights.pop(run_id)}
                steps = counters.pop(run_id)
                end = {"status": "done", "env_steps": steps, "updates": steps, "episodes": steps // EPISODE}
                digest = run_digest(digests.pop(run_id), final, end)
                finished.append(Finished(run_id, **end, wall_s=0.5, digest=digest, weights=final))
            lanes = [
                CheckpointLane(run_id, counters[run_id], {"row_digest": digests[run_id].state()}) for run_id in weights
            ]
            tensors = {
                "weights": torch.stack([*weights.values()]) if lanes else torch.zeros(0, 3),
                "env_steps": torch.tensor([*counters.values()]),
            }
            program.commit(rows, Checkpoint(tensors, lanes), finished, platform="toy", launcher="test")

    @staticmethod
    def advance(
        weights: dict[str, torch.Tensor], counters: dict[str, int], specs: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, list[Any]]]:
        """All lanes by one period; the rows of all lanes interleaved, as a trainer's are."""
        rows: dict[str, dict[str, list[Any]]] = {
            t: defaultdict(list) for t in ("episodes", "evaluations", "diagnostics")
        }

        def add(table: str, **row: Any) -> None:
            for name, value in row.items():
                rows[table][name].append(value)

        for _ in range(PERIOD):
            for run_id in weights:
                counters[run_id] += 1
                steps, seed = counters[run_id], specs[run_id]["seed"]
                weights[run_id] = weights[run_id] * 0.9 + (seed + 1) / (steps + torch.arange(3.0, dtype=torch.float64))
                value = float(weights[run_id].sum())
                if steps % EPISODE == 0:
                    add(
                        "episodes",
                        run_id=run_id,
                        episode=steps // EPISODE - 1,
                        env_steps=steps,
                        length=EPISODE,
                        episode_return=value,
                        terminated=steps % 2 == 0,
                    )
                if steps % PERIOD == 0:
                    for episode in range(2):
                        add(
                            "evaluations",
                            run_id=run_id,
                            env_steps=steps,
                            episode=episode,
                            episode_return=value + episode,
                            length=EPISODE,
                        )
                    add(
                        "diagnostics",
                        run_id=run_id,
                        env_steps=steps,
                        updates=steps,
                        loss=value / 3,
                        q_mean=value,
                        q_max=value,
                        grad_norm=float("nan"),
                        epsilon=0.1,
                        target_distance=0.0,
                    )
        return rows

    def finish(self, path: Path) -> None:
        with self.program(path) as program:
            self.train(program)


SHORT = Toy((10, 20))  # two commits: one run ends in each


def everything(path: Path) -> dict[str, Any]:
    """All that must not depend on interruptions, as plain values; quick, because it is asked hundreds of times."""
    store = Store.open(path, create=False)
    found: dict[str, Any] = {}
    for table, order in (*ROW_ORDER.items(), ("outcomes", [])):
        rows = store.read_rows(table).sort_by([(name, "ascending") for name in ["run_id", *order]])
        found[table] = str(
            rows.drop_columns(_BESIDE if table == "outcomes" else []).to_pydict()
        )  # text: NaN equals NaN
    found["weights"] = {run_id: store.weights_path(run_id).read_bytes() for run_id in store.specs()}
    return found


def taken_over(path: Path | str) -> Store:
    """The store as somebody sees it who has watched all leases for longer than they last."""
    store, now = Store.open(path), [0.0]
    store.watch = Watch(store.index.objects, lambda: now[0])
    for _ in range(4):
        store.settle()
        now[0] += LONG / 2
    store.settle()
    return store


PRIMITIVES = ("make_folder", "write_file", "link", "rename", "sync_folder", "remove")


def before_each_primitive(action: Callable[[str], None]) -> None:
    """Call `action` before everything that the store does to its files from now on."""
    for name in PRIMITIVES:
        original = getattr(files, name)

        def wrapped(*args: Any, _original: Callable[..., Any] = original, _name: str = name) -> Any:
            action(_name)
            return _original(*args)

        setattr(files, name, wrapped)


def index_of(path: Path, kind: str = "") -> Path:
    """The latest version of a store's index, or (`.copy`) its copy."""
    return sorted((path / "index").glob(f"{'[0-9]' * 20}{kind}.json"))[-1]


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Run this file as a script in a process of its own, a fork of this one."""
    return ForkedProgram([sys.executable, __file__, *map(str, arguments)], text=True, **options)


def _killed_after(path: Path, primitives: int, toy: Toy) -> None:
    """Train a plan in a new store, and kill this process with SIGKILL before its nth file operation."""
    Store.open(path)
    left = primitives

    def count(name: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            (path.parent / f"{path.name}.killed").write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)

    before_each_primitive(count)
    toy.finish(path)


def main(command: str, *args: str) -> None:
    torch.set_num_threads(1)
    if command == "kill-everywhere":  # FOLDER STRIDE: one store per n-th file operation of a training, killed before it
        for n in range(0, 1000, int(args[1])):
            child = os.fork()
            if child == 0:
                try:
                    _killed_after(Path(args[0]) / f"{n:03d}", n, SHORT)
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            if not os.WIFSIGNALED(status):
                sys.exit(os.WEXITSTATUS(status))
        sys.exit("never came to its end")
    if command == "hold":  # STORE RUN_ID...: claim, train for one commit, say what it holds, wait for the end of input
        program = Store.open(args[0]).program(args[1:])
        Toy((20, 30)).train(program, commits=1)
        print(*program.run_ids, flush=True)
        sys.stdin.read()
        program.close()
    if command == "leave-child":  # STORE RUN_ID...: claim, leave a forked and an executed child behind, die
        program = Store.open(args[0]).program(args[1:])
        subprocess.Popen(["cat"], close_fds=False)
        if os.fork() == 0:
            sys.stdin.read()
            os._exit(0)
        print(*program.run_ids, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if command == "stall":  # STORE RUN_ID...: claim on a short lease, commit once, say so, and go on when told to
        program = Store.open(args[0]).program(args[1:], lease_seconds=1.0)
        Toy((20, 30)).train(program, commits=1)
        print(*program.run_ids, flush=True)
        sys.stdin.read()
        Toy((20, 30)).train(program)
    if command == "train-own":  # STORE BUDGET SEED...: train the runs of these seeds, each by itself
        for seed in args[2:]:
            store, spec = Store.open(args[0]), spec_of(int(seed), int(args[1]))
            with store.program(record(store, [spec])) as program:
                Toy((int(args[1]),) * (int(seed) + 1)).train(program)
    if command == "train":  # STORE BUDGET...
        Toy(tuple(map(int, args[1:]))).finish(Path(args[0]))
    if command == "read-only":  # STORE: read it without the permission to write
        _ = load(args[0]).runs  # imports what it needs while that is permitted
        if os.getuid() == 0:
            os.setuid(65534)
        print(len(load(args[0]).runs), len(load(args[0]).episodes), flush=True)
        Store.open(args[0])
    if command == "limited":  # STORE BYTES: train with files that may not grow beyond a size
        with Toy((20, 30)).program(Path(args[0])) as program:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(args[1]), int(args[1])))
            Toy((20, 30)).train(program)


if __name__ == "__main__":
    main(*sys.argv[1:])
