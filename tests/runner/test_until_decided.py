"""Contract: a sequential plan that is killed between two looks goes on with the same command and decides the same."""

from pathlib import Path
from typing import Any

import pytest

from rlbench.stats import SequentialPlan
from rlbench.store import Store, load
from tests.runner.commands import SMALL_UNIFORM, kill, run, start, wait_until

FILE = """
variant: [random, hard_mse]
grid: {discount: [0.9, 0.95]}
seeds: [0, 1, 2, 3, 5, 6, 7, 8, 9]
sequential:
  looks: [6, 9]
  alpha: 0.2
  spending: pocock
  comparisons: [[hard_mse discount=0.9, random discount=0.9], [hard_mse discount=0.9, hard_mse discount=0.95]]
"""
# So few steps that nobody learns: a constant greedy action falls sooner than random play, whatever the discount.
TINY = (
    "steps=400",
    *SMALL_UNIFORM[1:3],
    "replay.warmup=100",
    "evaluation.period=200",
    "evaluation.episodes=10",
    "diagnostics.period=200",
    "workers=1",
)


def plan_of(store: Path) -> dict[str, Any]:
    found = Store.open(store, create=False).plan("mine") if (store / "format.json").exists() else None
    return found or {"comparisons": []}


def num_looks(store: Path) -> int:
    return max((len(one["plan"]["history"]) for one in plan_of(store)["comparisons"]), default=0)


@pytest.fixture
def words(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(FILE)
    return ("--config-dir", str(tmp_path / "own"), "experiment=mine", "until_decided=true", *TINY)


@pytest.mark.slow
def test_a_plan_killed_after_its_first_look_goes_on_and_decides_as_its_runs_say(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    process = start(store, *words)
    wait_until(process, lambda: num_looks(store) == 1)
    kill(process)
    first = plan_of(store)
    assert num_looks(store) == 1
    code, out, err = run(store, *words)
    assert code == 0, err
    assert "so far:" in out
    assert "look 1 of 2" not in out
    assert "random discount=0.9 is better than hard_mse discount=0.9 on CartPole-v1" in out
    assert "inconclusive at the maximum" in out

    runs = load(store).experiment("mine").runs
    assert set(runs["status"]) == {"done"}
    assert runs.groupby("variant").size().to_dict() == {
        "random discount=0.9": 6,
        "random discount=0.95": 6,
        "hard_mse discount=0.9": 9,
        "hard_mse discount=0.95": 9,
    }
    # What a plan that nobody interrupted sees in the same runs.
    returns = runs.pivot(index="seed", columns="variant", values="final_return")
    state = plan_of(store)
    for number, one in enumerate(state["comparisons"]):
        plan = SequentialPlan((6, 9), level=0.1, spending="pocock")
        while plan.next_look is not None:
            plan = plan.advance(*(returns[one[side]].to_numpy()[: plan.next_look] for side in ("first", "second")))
        assert SequentialPlan.from_dict(one["plan"]) == plan
        assert one["plan"]["history"][:1] == first["comparisons"][number]["plan"]["history"]

    code, out, err = run(store, *words, "final_window=3")
    assert (code, out) == (2, "")
    assert "follows a plan already" in err
    assert len(err.strip().splitlines()) == 1
    assert plan_of(store) == state
