"""A running trial: what it reports at each rung, and how it ends."""

from pathlib import Path

import pytest
from optuna.trial import TrialState

from rlbench.tuning.objective import Objective
from rlbench.tuning.trial_lanes import TrialLanes
from tests.tuning.studies import study_of

OBJECTIVE = Objective(window=2)


@pytest.fixture
def lanes(tmp_path: Path) -> TrialLanes:
    """A trial of two seeds with a budget of three rungs and a bit: 250, 500, 750 and the end at 900."""
    with study_of(tmp_path, "steps=900") as (study, composer):
        runs = study.runs({"optimizer.lr": 1e-3, "loss": "mse"}, "x", composer)
    return TrialLanes(7, runs, 250, 900, [[], []])


def see(lanes: TrialLanes, step: int, *values: float) -> None:
    for run_id, value in zip(lanes.ids, values, strict=True):
        lanes.points.setdefault(run_id, {})[step] = value


def test_rung_after_rung_to_the_end_of_the_budget(lanes: TrialLanes) -> None:
    assert (lanes.target, lanes.to_train) == (250, lanes.ids)
    assert lanes.advance(OBJECTIVE) == (None, None)
    see(lanes, 250, 1.0, 3.0)
    assert lanes.to_train == []
    assert lanes.advance(OBJECTIVE) == (2.0, None)
    assert (lanes.reported, lanes.target, lanes.to_train) == (250, 500, lanes.ids)
    see(lanes, 500, 5.0, 7.0)
    assert lanes.advance(OBJECTIVE) == (4.0, None)
    assert lanes.target == 900
    see(lanes, 750, 9.0, 11.0)
    assert lanes.to_train == lanes.ids
    lanes.ended = dict.fromkeys(lanes.ids, "done")
    value, end = lanes.advance(OBJECTIVE)
    assert value == 8.0
    assert end is not None
    assert end.state == TrialState.COMPLETE
    assert lanes.curves == [[1.0, 5.0, 9.0], [3.0, 7.0, 11.0]]


def test_a_trial_whose_runs_are_all_in_the_store_is_told_from_there_rung_by_rung(lanes: TrialLanes) -> None:
    for step in (250, 500, 750):
        see(lanes, step, step, step)
    lanes.ended = dict.fromkeys(lanes.ids, "done")
    told = []
    while not told or told[-1][1] is None:
        assert lanes.to_train == []
        told.append(lanes.advance(OBJECTIVE))
    assert [value for value, _ in told] == [250, 375, 625]


@pytest.mark.parametrize(("status", "state"), [("diverged", TrialState.PRUNED), ("failed", TrialState.FAIL)])
def test_a_run_that_is_lost_ends_its_trial(lanes: TrialLanes, status: str, state: TrialState) -> None:
    see(lanes, 250, 1.0, 3.0)
    lanes.advance(OBJECTIVE)
    lanes.points[lanes.ids[1]][500] = 4.0
    lanes.ended = {lanes.ids[0]: status}
    value, end = lanes.advance(OBJECTIVE)
    assert value is None
    assert end is not None
    assert end.state == state
    assert f"seed {lanes.runs[0].run.seed} {status}" in end.reason
    assert lanes.stands_at == 500  # where the other seed waits


def test_a_diverged_run_that_is_read_from_the_store_tells_as_much_as_when_it_was_trained(lanes: TrialLanes) -> None:
    see(lanes, 250, 1.0, 3.0)
    see(lanes, 500, 5.0, 7.0)
    lanes.ended = {lanes.ids[0]: "diverged"}
    assert [lanes.advance(OBJECTIVE) for _ in range(2)] == [(2.0, None), (4.0, None)]
    value, end = lanes.advance(OBJECTIVE)
    assert value is None
    assert end is not None
    assert end.state == TrialState.PRUNED


def test_a_run_that_used_up_its_episodes_keeps_its_last_value(tmp_path: Path) -> None:
    with study_of(tmp_path, "episodes=20") as (study, composer):
        runs = study.runs({"optimizer.lr": 1e-3, "loss": "mse"}, "x", composer)
    assert study.steps is None
    lanes = TrialLanes(0, runs, 250, None, [[], []])
    see(lanes, 250, 1.0, 3.0)
    lanes.ended = {lanes.ids[0]: "done"}
    assert lanes.advance(OBJECTIVE) == (2.0, None)
    assert lanes.to_train == [lanes.ids[1]]
    lanes.points[lanes.ids[1]][500] = 9.0
    lanes.ended[lanes.ids[1]] = "done"
    value, end = lanes.advance(OBJECTIVE)
    assert value == (1.0 + 6.0) / 2
    assert end is not None
    assert end.state == TrialState.COMPLETE


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (Objective("final_return", "iqm", 2), 4.0),
        (Objective("final_return", "mean", 1), (2 + 3 + 6 + 20) / 4),
        (Objective("auc", "mean"), (1.5 + 2.5 + 4.5 + 15) / 4),
    ],
)
def test_the_objective_by_hand(objective: Objective, expected: float) -> None:
    curves = [[1.0, 2.0], [2.0, 3.0], [3.0, 6.0], [10.0, 20.0]]
    if objective.statistic == "iqm":
        expected = (2.5 + 4.5) / 2
    assert objective.of_trial(curves) == expected


def test_a_lower_bound_prefers_what_is_good_for_every_seed() -> None:
    bound = Objective(statistic="lower_bound")
    steady, wild = [[9.0], [10.0], [11.0]], [[1.0], [10.0], [22.0]]
    assert bound.of_trial(steady) > bound.of_trial(wild)
    assert Objective(statistic="mean").of_trial(steady) < Objective(statistic="mean").of_trial(wild)
