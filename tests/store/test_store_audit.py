"""The audit finds seeds that are not independent, and does not take the sameness of a task for it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import store_toy
import torch

from rlbench.store import Finished, Store, audit, load

Rows = dict[str, dict[str, list[Any]]]


def learner(number: int, episodes: int = 3) -> Rows:
    """On MountainCar: every episode -200 in 200 steps; only the diagnostics know the seed."""
    steps = [200 * (i + 1) for i in range(episodes)]
    draws = np.random.default_rng(number).normal(size=episodes)
    return {
        **random_walker([200] * episodes),
        "evaluations": {
            "env_steps": steps,
            "episode": [0] * episodes,
            "episode_return": [-200.0] * episodes,
            "length": [200] * episodes,
        },
        "diagnostics": {
            "env_steps": steps,
            "updates": steps,
            "loss": list(draws),
            **{name: [0.0] * episodes for name in ("q_mean", "q_max", "target_distance")},
            "grad_norm": [float("nan")] * episodes,
            "epsilon": [0.1] * episodes,
        },
    }


def random_walker(lengths: Sequence[int]) -> Rows:
    """The random baseline: episodes and nothing else."""
    return {
        "episodes": {
            "episode": list(range(len(lengths))),
            "env_steps": [int(steps) for steps in np.cumsum(lengths)],
            "length": [int(length) for length in lengths],
            "episode_return": [-float(length) for length in lengths],
            "terminated": [True] * len(lengths),
        }
    }


def weights(number: int) -> dict[str, torch.Tensor]:
    return {"0.weight": torch.randn(4, generator=torch.Generator().manual_seed(number))}


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., list[str]]:
    """Store one finished run per (rows, weights), seeds 0, 1, ... and audit them."""

    def store_and_audit(*runs: tuple[Rows, Any], status: str = "done", variants: str = "") -> list[str]:
        store = Store.open(tmp_path)
        specs = [
            store_toy.spec_of(seed, 10**6, variant=variants[seed] if variants else "v") for seed in range(len(runs))
        ]
        ids = store_toy.record(store, specs)
        with store.program(ids) as program:
            for run_id, (tables, tensors) in zip(ids, runs, strict=True):
                rows = {
                    table: {"run_id": [run_id] * len(columns["env_steps"]), **columns}
                    for table, columns in tables.items()
                }
                end = Finished(run_id, status, 10**6, 1, 1, 0.1, weights=tensors)
                program.commit(rows, None, [end], platform="p", launcher="l")
        return audit(load(tmp_path))

    return store_and_audit


def test_independent_seeds_of_a_task_without_variation_are_fine(stored: Callable[..., list[str]]) -> None:
    assert stored(*[(learner(seed), weights(seed)) for seed in range(5)]) == []


def test_a_planted_curve_is_found(stored: Callable[..., list[str]]) -> None:
    findings = stored((learner(0), weights(0)), (learner(1), weights(1)), (learner(0), weights(2)))
    assert len(findings) == 1
    assert findings[0].startswith("v on CartPole-v1: seeds 0, 2 (runs ")
    assert findings[0].endswith("share one learning curve")


def test_planted_weights_are_found(stored: Callable[..., list[str]]) -> None:
    findings = stored((learner(0), weights(7)), (learner(1), weights(1)), (learner(2), weights(7)))
    assert len(findings) == 1
    assert "seeds 0, 2" in findings[0]
    assert findings[0].endswith("share final weights")


def test_equal_runs_of_two_cells_are_nobodys_business(stored: Callable[..., list[str]]) -> None:
    """Variants are paired: with the same seed they share what they can."""
    assert stored((learner(0), weights(0)), (learner(0), weights(0)), variants="ab") == []


def test_the_random_baseline_on_a_task_without_variation(stored: Callable[..., list[str]]) -> None:
    assert stored(*[(random_walker([200] * 100), None) for _ in range(3)]) == []


def test_the_random_baseline_with_shared_numbers(stored: Callable[..., list[str]]) -> None:
    lengths = np.random.default_rng(1).integers(8, 60, size=(3, 20))
    findings = stored(*[(random_walker(row), None) for row in lengths[[0, 1, 0, 2]]])
    assert len(findings) == 1
    assert "seeds 0, 2" in findings[0]


def test_short_runs_of_the_random_baseline_may_coincide(stored: Callable[..., list[str]]) -> None:
    assert stored(*[(random_walker(lengths), None) for lengths in ([9], [12], [9], [10])]) == []


def test_diverged_runs_may_share_weights_of_nan(stored: Callable[..., list[str]]) -> None:
    nan = {"0.weight": torch.full((4,), float("nan"))}
    assert stored((learner(0), nan), (learner(1), nan), status="diverged") == []


@pytest.mark.parametrize(
    ("table", "where"), [("episodes", "episode 1"), ("evaluations", "env_steps 400"), ("diagnostics", "env_steps 400")]
)
def test_duplicated_rows_are_found(stored: Callable[..., list[str]], table: str, where: str) -> None:
    rows = learner(0)
    rows[table] = {name: [*values, values[1]] for name, values in rows[table].items()}
    findings = stored((rows, weights(0)), (learner(1), weights(1)))
    assert len(findings) == 1
    assert f"1 duplicated rows in {table}, the first at {where}" in findings[0]
