"""The numbers of a report over a hand-written store are the hand-worked ones."""

import math
from pathlib import Path

import numpy as np
import pytest
from written_runs import PlannedRun, write_store

from rlbench.errors import StoreError
from rlbench.reports.cells import Cell
from rlbench.reports.report import write_summary
from rlbench.reports.summary import Summary, summarise
from rlbench.stats import bootstrap_interval, iqm, student_interval


def summary_of(path: Path, runs: list[PlannedRun], **definition: object) -> Summary:
    return summarise(write_store(path / "results", runs, **definition), "example")


def flat_run(variant: str, seed: int, value: float, **more: object) -> PlannedRun:
    """A run whose every evaluation episode returns `value`."""
    return PlannedRun(variant, seed, {500: [value] * 2, 1000: [value] * 2}, **more)  # type: ignore[arg-type]


def only_cell(summary: Summary) -> Cell:
    (cell,) = summary.cells
    return cell


def test_metrics_of_a_cell_are_over_runs_and_not_over_episodes(tmp_path: Path) -> None:
    # Run means at the last point: 10, 20, 30, 90. IQM cuts one at each end: 25. Twenty episodes change no n.
    points = [[5, 15], [10, 30], [30] * 16, [80, 100]]
    runs = [PlannedRun("a", seed, {1000: returns}) for seed, returns in enumerate(points)]
    metric = only_cell(summary_of(tmp_path, runs)).metrics["final_return"]
    assert (metric.n, metric.iqm, metric.mean) == (4, 25.0, 37.5)
    assert (metric.estimate, metric.statistic) == (37.5, "mean")
    assert metric.interval == student_interval([10, 20, 30, 90], possible=(0.0, 500.0))
    assert metric.interval.is_cut


def test_final_return_takes_the_declared_window_and_auc_the_whole_grid(tmp_path: Path) -> None:
    run = PlannedRun("a", 0, {250: [0, 4], 500: [10], 750: [20], 1000: [40]}, training_returns=[7, 9])
    metrics = only_cell(summary_of(tmp_path, [run], final_window=2)).metrics
    assert metrics["final_return"].iqm == 30.0
    assert metrics["auc"].mean == (2 + 10 + 20 + 40) / 4
    assert metrics["train_return_last100"].mean == 8.0


def test_ten_runs_get_the_bootstrap_and_nine_the_t_interval(tmp_path: Path) -> None:
    values = [float(value) for value in range(10)]
    nine = [flat_run("nine", seed, value) for seed, value in enumerate(values[:9])]
    ten = [flat_run("ten", seed, value) for seed, value in enumerate(values)]
    small, large = summary_of(tmp_path, [*nine, *ten], seeds=list(range(9))).cells
    assert small.metrics["final_return"].interval == student_interval(values[:9])
    assert large.metrics["final_return"].interval == bootstrap_interval(values)
    assert (small.is_small, large.is_small) == (True, False)


def test_curve_is_the_mean_of_few_runs_at_each_step(tmp_path: Path) -> None:
    runs = [PlannedRun("a", seed, {500: [seed, seed + 2], 1000: [10 * seed]}) for seed in range(4)]
    curve = only_cell(summary_of(tmp_path, runs)).curve
    assert curve is not None
    assert curve.env_steps.tolist() == [500, 1000]
    assert curve.band.estimate.tolist() == [2.5, 15.0]
    assert curve.band.statistic == "mean"
    assert (curve.band.n, curve.num_carried) == (4, 0)


def test_curve_is_the_iqm_of_twenty_runs_with_its_simultaneous_band(tmp_path: Path) -> None:
    runs = [PlannedRun("a", seed, {500: [seed], 1000: [seed**2]}) for seed in range(20)]
    curve = only_cell(summary_of(tmp_path, runs)).curve
    assert curve is not None
    assert (curve.band.statistic, curve.band.method) == ("iqm", "simultaneous sup-t")
    assert curve.band.estimate.tolist() == [iqm(range(20)), iqm([seed**2 for seed in range(20)])]


def test_a_run_that_ends_early_keeps_its_last_value_without_interpolation(tmp_path: Path) -> None:
    short = PlannedRun("a", 0, {100: [1.0], 300: [3.0]})
    long = PlannedRun("a", 1, {100: [11.0], 200: [12.0], 300: [13.0], 400: [14.0]})
    curve = only_cell(summary_of(tmp_path, [short, long])).curve
    assert curve is not None
    assert curve.env_steps.tolist() == [100, 200, 300, 400]
    assert curve.band.estimate.tolist() == [6.0, (1 + 12) / 2, 8.0, (3 + 14) / 2]
    assert curve.num_carried == 1


def test_the_grid_starts_where_every_run_has_a_value(tmp_path: Path) -> None:
    runs = [PlannedRun("a", 0, {100: [1.0], 200: [1.0]}), PlannedRun("a", 1, {200: [3.0]})]
    curve = only_cell(summary_of(tmp_path, runs)).curve
    assert curve is not None
    assert curve.env_steps.tolist() == [200]


def test_what_is_not_done_is_counted_and_in_no_average(tmp_path: Path) -> None:
    runs = [
        flat_run("a", 0, 10.0),
        flat_run("a", 1, 20.0),
        flat_run("a", 2, 1000.0, status="diverged"),
        PlannedRun("a", 3, status="failed", error="boom"),
        PlannedRun("a", 4, status="pending"),
    ]
    cell = only_cell(summary_of(tmp_path, runs, seeds=list(range(7))))
    assert cell.counts == {"done": 2, "diverged": 1, "failed": 1, "running": 0, "pending": 1}
    assert (cell.missing, cell.planned) == (2, 7)
    assert (cell.metrics["final_return"].n, cell.metrics["final_return"].mean) == (2, 15.0)
    assert cell.curve is not None
    assert cell.curve.band.estimate.tolist() == [15.0, 15.0]
    assert [run.status for run in cell.runs] == ["done", "done", "diverged", "failed", "pending"]


def test_a_declared_cell_without_any_run_is_there_as_missing(tmp_path: Path) -> None:
    cells = [{"variant": name, "env": "CartPole-v1"} for name in ("b", "a")]
    summary = summary_of(tmp_path, [flat_run("a", 0, 1.0)], cells=cells)
    assert summary.variants == ("b", "a")
    assert [(cell.variant, cell.missing, cell.curve is None) for cell in summary.cells] == [
        ("b", 1, True),
        ("a", 0, False),
    ]
    assert summary.cells[0].metrics["final_return"].n == 0


def test_a_done_run_without_evaluations_lowers_n(tmp_path: Path) -> None:
    metric = only_cell(summary_of(tmp_path, [flat_run("a", 0, 1.0), PlannedRun("a", 1)])).metrics["final_return"]
    assert (metric.n, metric.mean) == (1, 1.0)


def test_two_configurations_under_one_name_are_kept_apart(tmp_path: Path) -> None:
    runs = [flat_run("a", seed, 1.0 + lr, settings={"lr": lr}) for lr in (1, 2) for seed in range(3)]
    summary = summary_of(tmp_path, [*runs, flat_run("b", 0, 5.0)])
    assert summary.variants == ("b", "a (variant.lr=1)", "a (variant.lr=2)")
    assert [cell.metrics["final_return"].mean for cell in summary.cells] == [5.0, 2.0, 3.0]
    assert [cell.done for cell in summary.cells] == [1, 3, 3]


def test_environments_are_kept_apart(tmp_path: Path) -> None:
    runs = [flat_run("a", seed, value, env=env) for env, value in (("X-v0", 1.0), ("Y-v0", 2.0)) for seed in range(2)]
    summary = summary_of(tmp_path, runs)
    assert summary.envs == ("X-v0", "Y-v0")
    assert [cell.metrics["final_return"].mean for cell in summary.cells] == [1.0, 2.0]
    assert [cell.env for cell in summary.cells_of("Y-v0")] == ["Y-v0"]


def test_a_single_run_has_no_interval(tmp_path: Path) -> None:
    cell = only_cell(summary_of(tmp_path, [flat_run("a", 0, 4.0)]))
    interval = cell.metrics["final_return"].interval
    assert interval is not None
    assert np.isnan(interval.low)


def test_an_unknown_experiment_is_refused(tmp_path: Path) -> None:
    results = write_store(tmp_path / "results", [flat_run("a", 0, 1.0)])
    with pytest.raises(StoreError, match="did you mean 'example'"):
        summarise(results, "exmaple")


def test_missing_runs_are_told_by_their_seeds_and_not_by_their_number(tmp_path: Path) -> None:
    runs = [flat_run("a", seed, 1.0) for seed in (0, 1, 7)]
    cell = only_cell(summary_of(tmp_path, runs, seeds=[0, 1, 2]))
    assert (cell.missing, cell.planned) == (1, 4)


def test_a_cell_may_declare_seeds_of_its_own(tmp_path: Path) -> None:
    runs = [flat_run("a", seed, 1.0) for seed in range(2)]
    cells = [{"variant": "a", "env": "CartPole-v1", "seeds": [0, 1]}]
    assert only_cell(summary_of(tmp_path, runs, seeds=[0, 1, 2, 3], cells=cells)).missing == 0


def test_curves_of_others_end_with_the_shortest_run(tmp_path: Path) -> None:
    runs = [PlannedRun("a", 0, {100: [1.0]}), PlannedRun("a", 1, {100: [3.0], 200: [5.0]})]
    curve = only_cell(summary_of(tmp_path, runs, source="CSV")).curve
    assert curve is not None
    assert curve.env_steps.tolist() == [100]
    assert curve.num_carried == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_run_whose_returns_are_no_numbers_has_failed_and_says_at_which_step(value: float, tmp_path: Path) -> None:
    runs = [PlannedRun("a", seed, {500: [10.0], 1000: [value if seed == 1 else 20.0]}) for seed in range(3)]
    results = write_store(tmp_path, [*runs, *(PlannedRun("b", seed, {500: [9.0], 1000: [8.0]}) for seed in range(3))])
    summary = summarise(results, "example")
    assert (summary.count("done"), summary.count("failed")) == (5, 1)
    (lost,) = summary.runs[summary.runs["status"] == "failed"].itertuples()
    assert lost.error == f"its evaluation at step 1000 has a return of {value}: a reward was not finite"
    assert write_summary(summary, tmp_path / "page").exists()
