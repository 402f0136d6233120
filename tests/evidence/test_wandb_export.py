"""The CSV that a chart of Weights & Biases exports: columns are runs, empty cells are no returns, averages are said to be."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rlbench.errors import ConfigError
from rlbench.evidence import read_evidence

METRIC = "charts/episodic_return"
Cells = Sequence[tuple[str, ...]]


def write_export(
    path: Path, runs: Sequence[str], rows: Cells, metric: str = METRIC, ends: Sequence[str] = ("", "__MIN", "__MAX")
) -> Path:
    names = ["Step", *(f"{run} - {metric}{end}" for run in runs for end in ends)]
    lines = [names, *([step, *(cell for value in values for cell in [value] * len(ends))] for step, *values in rows)]
    path.write_text("".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in lines))
    return path


RUNS = ["E-v0__dqn__1__17", "E-v0__my__dqn__2__17"]
ROWS = [("0", "", "1.5"), ("50", "2.5", ""), ("100", "", "NaN"), ("150", "3.5", "")]


def test_columns_are_runs_and_empty_cells_are_no_returns(tmp_path: Path) -> None:
    results = read_evidence(write_export(tmp_path / "export.csv", RUNS, ROWS))
    one, other = results.sources
    assert (one.variant, one.env, one.seed) == ("dqn", "E-v0", 1)
    assert (one.steps.tolist(), one.returns.tolist()) == ([50, 150], [2.5, 3.5])
    assert (other.variant, other.seed, other.steps.tolist()) == ("my__dqn", 2, [0, 100])
    assert results.runs["status"].tolist() == ["done", "diverged"]
    assert results.kind == "training"
    assert results.episodes.empty
    assert "a chart's export of Weights & Biases, charts/episodic_return" in results.note
    assert results.reading.findings == []


def test_what_a_metric_is_of_and_what_was_asked_for(tmp_path: Path) -> None:
    path = write_export(tmp_path / "export.csv", RUNS, ROWS[:2], metric="eval/mean_reward")
    assert read_evidence(path).kind == "evaluation"
    assert read_evidence(path, "training").kind == "training"


def test_a_name_that_says_no_seed_is_no_run(tmp_path: Path) -> None:
    runs = [RUNS[0], "exp_name: dqn", "wise-dawn-12", "None__dqn__1__17"]
    results = read_evidence(write_export(tmp_path / "export.csv", runs, [("0", "1", "2", "3", "4")]))
    assert [run.seed for run in results.sources] == [1]
    assert [finding.text.partition(" says ")[0] for finding in results.reading.findings] == [
        "export.csv: 'exp_name: dqn'",
        "export.csv: 'wise-dawn-12'",
        "export.csv: 'None__dqn__1__17'",
    ]


def test_averages_are_noted(tmp_path: Path) -> None:
    path = write_export(tmp_path / "export.csv", RUNS[:1], [("0", "1.5")])
    path.write_text(path.read_text().replace('"1.5","1.5","1.5"', '"1.5","1.0","2.0"'))
    (finding,) = read_evidence(path).reading.findings
    assert finding.is_note
    assert "has averages, since its __MIN and __MAX differ" in finding.text


def test_damaged_rows_and_columns_are_findings_and_the_rest_goes_on(tmp_path: Path) -> None:
    rows = [*ROWS[:2], ("x", "1", "1"), ("60", "9", "high"), ("50", "7", "")]
    path = write_export(tmp_path / "export.csv", RUNS, rows, ends=("",))
    path.write_text(path.read_text() + '"200","1"\n')
    results = read_evidence(path)
    assert [(run.variant, run.steps.tolist()) for run in results.sources] == [("dqn", [50, 50, 60])]
    assert results.problems == [f"dqn on E-v0, seed 1: export.csv: '{RUNS[0]} - {METRIC}' has step 50 again"]
    assert [finding.text for finding in results.reading.findings] == [
        "export.csv row 4: 'x' is no number of steps: left aside",
        "export.csv row 7: 2 values for 3 columns: left aside",
        f"export.csv row 5: {RUNS[1]} - {METRIC} must be a number, not 'high'; its run is left aside",
    ]


def test_several_metrics_are_one_line(tmp_path: Path) -> None:
    path = write_export(tmp_path / "export.csv", RUNS[:1], [("0", "1")])
    path.write_text(path.read_text().replace(f"{METRIC}__MIN", "loss"))
    with pytest.raises(
        ConfigError, match=r"export\.csv has 2 metrics \(charts/episodic_return, loss\); export the chart of one"
    ):
        read_evidence(path)


def test_two_runs_of_one_name_are_two_and_refused(tmp_path: Path) -> None:
    results = read_evidence(write_export(tmp_path / "export.csv", [RUNS[0], RUNS[0]], [("0", "1", "2")]))
    assert [run.returns.tolist() for run in results.sources] == [[1.0], [2.0]]
    assert results.problems == ["dqn on E-v0, seed 1 is there twice: export.csv column 2 and export.csv column 5"]


def test_a_chart_over_time_is_one_line(tmp_path: Path) -> None:
    path = write_export(tmp_path / "export.csv", RUNS[:1], [("0", "1")])
    path.write_text(path.read_text().replace("Step", "Relative Time (Process)"))
    with pytest.raises(ConfigError, match=r"is over 'Relative Time \(Process\)'; export the chart over steps"):
        read_evidence(path)
