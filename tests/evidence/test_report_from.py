"""`report from=` and `lint=true`: the same report as of a store with the same numbers, exit codes, and one line on errors."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from foreign_files import curves, write_csv, write_monitor
from written_runs import PlannedRun, write_store

import rlbench.report
from rlbench.errors import EXIT_BAD_INPUT, EXIT_DIFFERENCE, EXIT_OK, ConfigError, StoreError
from rlbench.evidence import read_evidence
from rlbench.reports.summary import summarise

ROWS = curves({"a": 0.0, "b": 3.0})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_csv_file_gives_the_numbers_of_a_store_with_the_same_returns(folder: Path) -> None:
    foreign = read_evidence(write_csv(folder / "runs.csv", ROWS))
    by_run: dict[tuple[str, int], dict[int, list[float]]] = {}
    for variant, _, seed, step, value in ROWS:
        by_run.setdefault((str(variant), int(str(seed))), {})[int(str(step))] = [float(str(value))]
    stored = write_store(folder / "store", [PlannedRun(*key, points) for key, points in by_run.items()])
    ours, theirs = summarise(stored, "example"), summarise(foreign, "runs")  # type: ignore[arg-type]
    assert theirs.variants == ("a", "b")
    for mine, other in zip(ours.cells, theirs.cells, strict=True):
        for metric in ("final_return", "auc"):
            assert mine.metrics[metric] == other.metrics[metric]
        assert mine.counts == other.counts
    for table in ("runs", "episodes", "evaluations", "diagnostics"):
        left, right = getattr(stored, table), getattr(foreign, table)
        assert list(left.columns) == list(right.columns)
        assert left.dtypes[right.dtypes != left.dtypes].tolist() == right.dtypes[right.dtypes != left.dtypes].tolist()


def test_a_report_of_a_csv_file_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(folder / "runs.csv", [("<script>alert(1)</script>" if v == "a" else v, *rest) for v, *rest in ROWS])
    assert rlbench.report.main(["from=runs.csv"]) == EXIT_OK
    out = capsys.readouterr().out
    assert "report: reports/runs/report.html" in out
    page = (folder / "reports/runs/report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "note:" not in out


def test_training_returns_are_looked_at_on_a_grid_and_marked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for variant in ("a", "b"):
        for seed in range(10):
            rng = np.random.default_rng([seed, ord(variant)])
            lengths = rng.integers(5, 30, size=100)
            write_monitor(
                folder / "logs" / variant / "CartPole-v1" / f"{seed}.monitor.csv",
                [(float(n), int(n), float(number)) for number, n in enumerate(lengths)],
            )
    results = read_evidence(folder / "logs")
    assert results.experiments["logs"]["returns"] == "training"
    one = results.evaluations[results.evaluations["run_id"] == results.run_ids[0]]
    episodes = results.episodes[results.episodes["run_id"] == results.run_ids[0]]
    assert len(episodes) == 100
    for row in one.itertuples():
        before = episodes[episodes["env_steps"] <= row.env_steps]
        assert row.episode_return == before["episode_return"].iloc[-1]
    last100 = results.runs.set_index("run_id")["train_return_last100"]
    assert last100[results.run_ids[0]] == pytest.approx(episodes["episode_return"].mean())
    assert rlbench.report.main(["from=logs", f"out={folder / 'there'}"]) == EXIT_OK
    out = capsys.readouterr().out
    assert "note: Read from Stable-Baselines3 monitor files: the returns are those of training episodes" in out
    for page in ("there/report.md", "there/report.html"):
        assert "the returns are those of training episodes" in (folder / page).read_text()
    assert "greedy return" not in (folder / "there/report.html").read_text()
    assert "share initial weights" not in (folder / "there/report.html").read_text()
    assert rlbench.report.main(["from=logs", "lint=true"]) in (EXIT_OK, EXIT_DIFFERENCE)


def test_a_run_that_stopped_half_way_is_not_continued(folder: Path) -> None:
    for seed, count in ((0, 100), (1, 50), (2, 98)):
        path = folder / "logs" / "a" / "E-v0" / f"{seed}.monitor.csv"
        write_monitor(path, [(float(number), 10, float(number)) for number in range(count)], env="E-v0")
    results = read_evidence(folder / "logs")
    last = results.evaluations.groupby("run_id")["env_steps"].max()
    assert [int(last[run_id]) for run_id in results.run_ids] == [1000, 500, 1000]


def test_a_nan_makes_a_diverged_run_that_keeps_its_place(folder: Path) -> None:
    rows = [(*row[:4], "nan") if row[2:4] == (0, 300) and row[0] == "a" else row for row in ROWS]
    results = read_evidence(write_csv(folder / "runs.csv", rows))
    first = results.runs.iloc[0]
    assert (first["status"], first["error"]) == ("diverged", "the return at step 300 is nan")
    assert np.isfinite(results.evaluations["episode_return"]).all()
    summary = summarise(results, "runs")  # type: ignore[arg-type]
    assert summary.count("diverged") == 1
    assert summary.count("done") == 19


@pytest.mark.parametrize(
    ("rows", "code", "said"),
    [(ROWS, EXIT_OK, "runs: nothing found wrong"), (ROWS[:-1], EXIT_DIFFERENCE, "unequal budgets")],
)
def test_lint_says_by_its_exit_code_whether_something_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str], rows: list[tuple[object, ...]], code: int, said: str
) -> None:
    write_csv(folder / "runs.csv", rows)
    assert rlbench.report.main(["from=runs.csv", "lint=true"]) == code
    assert said in capsys.readouterr().out
    assert not (folder / "reports").exists()


def test_lint_of_a_store_experiment(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_store(folder / "results", [PlannedRun("a", seed, {500: [1.0 * seed]}) for seed in range(3)])
    assert rlbench.report.main(["lint=true"]) == EXIT_DIFFERENCE
    assert "under 10 seeds: a on CartPole-v1 has 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["from=nowhere.csv"], "from=nowhere.csv: there is no such file or folder; it is a CSV file"),
        (["from=empty"], "from=empty: the folder has neither monitor files nor event files"),
        (["from=runs.csv"], "a on CartPole-v1, seed 0: runs.csv row 102: step 100 again; several episodes of one"),
        (["from=broken.csv"], "broken.csv row 2: seed must be a whole number from 0 up, not 'x'"),
        (["from=runs.csv", "store=results"], "from= reads files and store= a store: give one of them"),
        (["from=runs.csv", "experiment=runs"], "from= reads files and experiment= a store"),
        (["from=logs", "returns=evaluation"], "monitor and event files have the returns of training episodes"),
        (["from=runs.csv", "returns=evaluatoin"], "unknown returns 'evaluatoin'; did you mean 'evaluation'?"),
        (["returns=training"], "there is no from="),
        (["lint=yes"], "unknown lint 'yes'"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    (folder / "empty").mkdir()
    write_csv(folder / "runs.csv", [*ROWS, ROWS[0]])
    write_csv(folder / "broken.csv", [("a", "E", "x", 1, 1)])
    write_monitor(folder / "logs" / "a" / "E" / "0.monitor.csv", [(1.0, 1, 1.0)])
    before = {str(path) for path in folder.rglob("*")}
    assert rlbench.report.main(words) == EXIT_BAD_INPUT
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert {str(path) for path in folder.rglob("*")} == before


def test_the_interface_is_that_of_results(folder: Path) -> None:
    results = read_evidence(write_csv(folder / "runs.csv", ROWS))
    assert results.experiment("runs") is results
    assert results.path == folder / "runs.csv"
    assert results.store.specs(results.run_ids[:1]) == {
        results.run_ids[0]: {"variant": {"name": "a"}, "env": {"id": "CartPole-v1"}, "seed": 0}
    }
    assert isinstance(results.diagnostics, pd.DataFrame)
    with pytest.raises(StoreError, match=r"no experiment 'other' in runs\.csv; it has runs"):
        results.experiment("other")
    with pytest.raises(KeyError):
        results.specs(["none"])
    assert read_evidence(folder / "runs.csv").runs.equals(results.runs)
    write_monitor(folder / "both" / "a" / "E" / "0.monitor.csv", [])
    (folder / "both" / "events.out.tfevents.1").write_bytes(b"")
    with pytest.raises(ConfigError, match="both monitor files and event files"):
        read_evidence(folder / "both")
