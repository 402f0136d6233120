"""The page of an experiment under a sequential plan says what the plan decided, and that other tests do not know of its looks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_runs import PlannedRun, write_store

from rlbench.deciding import PlanState, Watched
from rlbench.reports import write_report
from rlbench.stats import SequentialPlan

pytestmark = pytest.mark.usefixtures("blank_pictures")

RULES = {"looks": [8, 12], "metric": "final_return", "paired": True, "alpha": 0.05, "spending": "linear", "seeds": [0]}
NOISE = np.random.default_rng(5).normal(0, 10, (2, 12))


def page_of(folder: Path, difference: float, num_looks: int) -> tuple[str, dict[str, Any]]:
    """The page and the statistics of b against a, `num_looks` looks into a plan over both."""
    seeds = 12 if num_looks == 2 else 8
    scores = {"a": 100 + NOISE[0], "b": 100 + difference + NOISE[1]}
    runs = [PlannedRun(name, seed, {500: [float(scores[name][seed])]}) for name in scores for seed in range(seeds)]
    definition = {"comparisons": [{"family": "main", "pairs": [["b", "a"]]}], "final_window": 1}
    results = write_store(folder / "store", runs, **definition)
    plan = SequentialPlan((8, 12), level=0.05, spending="linear")
    for _ in range(num_looks):
        plan = plan.advance(scores["b"][:seeds], scores["a"][:seeds])
    state = PlanState(RULES, (Watched("b", "a", "CartPole-v1", plan),), 0)
    results.store.record_plan("example", state.to_dict(), after=None)
    write_report(results, "example", folder / "out")
    statistics = json.loads((folder / "out/stats.json").read_text())["statistics"]
    return (folder / "out/report.md").read_text(), statistics


def test_a_plan_that_stopped_early(tmp_path: Path) -> None:
    page, statistics = page_of(tmp_path, 60.0, num_looks=1)
    first, second = (statistics[f"sequential/CartPole-v1/b against a/look {number}"] for number in (1, 2))
    assert first["decision"] == "supported"
    assert first["is_crossed"]
    assert first["estimate"] == pytest.approx(60.0 + (NOISE[1] - NOISE[0])[:8].mean())
    assert first["estimate"] >= first["boundary"]
    assert first["level_spent"] == pytest.approx(0.05 * 8 / 12)
    assert second["is_taken"] is False
    assert second["n"] == 12
    assert page.index("What the sequential plan decided") < page.index("Verdicts")
    assert "b is better than a on CartPole-v1: its mean final return over 8 seeds is higher by" in page
    comparison = statistics["comparison/main/CartPole-v1/b against a"]
    assert (comparison["verdict"], comparison["decided_by"]) == ("supported", "the sequential plan")
    assert "by the sequential plan, after 8 seeds" in page


def test_a_plan_that_ended_without_a_difference(tmp_path: Path) -> None:
    page, statistics = page_of(tmp_path, 0.0, num_looks=2)
    assert statistics["sequential/CartPole-v1/b against a/look 2"]["decision"] == "inconclusive"
    assert "inconclusive at the maximum: no difference was shown" in page
    assert statistics["comparison/main/CartPole-v1/b against a"]["verdict"] == "inconclusive"


def test_a_plan_before_its_first_look(tmp_path: Path) -> None:
    page, statistics = page_of(tmp_path, 0.0, num_looks=0)
    assert statistics["sequential/CartPole-v1/b against a/look 1"]["estimate"] is None
    assert "no look yet; the first is at 8 seeds" in page
    assert statistics["comparison/main/CartPole-v1/b against a"]["verdict"] == "undecided"


def test_an_experiment_without_a_plan_does_not_speak_of_one(tmp_path: Path) -> None:
    runs = [PlannedRun(name, seed, {500: [float(seed)]}) for name in "ab" for seed in range(3)]
    write_report(write_store(tmp_path / "store", runs), "example", tmp_path / "out")
    assert "sequential" not in (tmp_path / "out/report.md").read_text()
