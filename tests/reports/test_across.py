"""Over environments and over time: who diverges never arrives, and no score falls off the profile."""

from pathlib import Path

import pytest
from written_runs import PlannedRun, write_store

from rlbench.reports.across import across_environments, arrivals
from rlbench.reports.summary import Summary, summarise

STEPS = (1000, 2000, 3000)


def summary_of(path: Path, runs: list[PlannedRun], **definition: object) -> Summary:
    return summarise(
        write_store(path / "results", runs, final_window=1, threshold={"CartPole-v1": 400}, **definition), "example"
    )


def arrives(seed: int, variant: str = "a") -> PlannedRun:
    return PlannedRun(variant, seed, {1000: [10.0], 2000: [450.0], 3000: [450.0]})


@pytest.mark.parametrize("status", ["done", "diverged"])
def test_a_diverged_run_is_as_late_as_one_that_never_gets_there(tmp_path: Path, status: str) -> None:
    never = {1000: [10.0]} if status == "diverged" else {step: [10.0] for step in STEPS}
    runs = [
        *(arrives(seed) for seed in range(3)),
        *(PlannedRun("a", seed, never, status=status) for seed in range(3, 6)),
    ]
    (arrival,) = arrivals(summary_of(tmp_path, runs), "CartPole-v1")
    assert arrival.result.horizon == 3000.0
    assert (arrival.result.num_reached, arrival.result.n) == (3, 6)
    assert arrival.result.restricted_mean == 2500.0


def test_a_failed_run_is_censored_where_it_was_last_seen(tmp_path: Path) -> None:
    runs = [*(arrives(seed) for seed in range(3)), PlannedRun("a", 3, {1000: [10.0]}, status="failed")]
    (arrival,) = arrivals(summary_of(tmp_path, runs), "CartPole-v1")
    assert arrival.result.restricted_mean == 2000.0


def test_a_run_of_others_that_ended_early_is_censored_there(tmp_path: Path) -> None:
    runs = [*(arrives(seed) for seed in range(3)), PlannedRun("a", 3, {1000: [10.0]})]
    (arrival,) = arrivals(summary_of(tmp_path, runs, source="CSV"), "CartPole-v1")
    assert arrival.result.restricted_mean == 2000.0


def test_the_profile_reaches_scores_above_the_reference_and_below_random_play(tmp_path: Path) -> None:
    runs = [
        PlannedRun("a", seed, {1000: [value]}, env="Acrobot-v1") for seed, value in enumerate([-80.0, -90.0, -500.0])
    ]
    profile = across_environments(summary_of(tmp_path, runs)).profiles["a"]
    assert profile.thresholds[0] < 0.0
    assert profile.thresholds[-1] > 1.0
    assert profile.estimate[-1] == 0.0
