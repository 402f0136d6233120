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
                start=1000.0 * seed,
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
        write_monitor(
            path, [(float(number), 10, float(number)) for number in range(count)], env="E-v0", start=1000.0 * seed
        )
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
        (["from=both"], "both monitor files and event files; choose with prefer=monitor or prefer=tensorboard"),
        (
            ["from=both", "prefer=evaluations"],
            "no evaluations.npz files to prefer; it has monitor files and event files",
        ),
        (["from=both", "prefer=tensorbord"], "unknown prefer 'tensorbord'; did you mean 'tensorboard'?"),
        (["from=both", "columns={a: variant}"], "columns= maps the columns of a CSV file; from= is a folder"),
        (["from=runs.csv", "prefer=monitor"], "prefer= says which files of a folder to read; from= is a file"),
        (["from=runs.csv", "columns=variant"], "columns= takes a mapping from their names to ours"),
        (["columns={a: variant}"], "columns= says what the columns of from= are; there is no from="),
        (["prefer=monitor"], "prefer= says which files of from= to read; there is no from="),
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
    for name in ("logs", "both"):
        write_monitor(folder / name / "a" / "E" / "0.monitor.csv", [(1.0, 1, 1.0)])
    (folder / "both" / "events.out.tfevents.1").write_bytes(b"")
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


def read_pages(folder: Path) -> tuple[str, str]:
    return (folder / "report.html").read_text(), (folder / "report.md").read_text()


def test_parallel_environments_are_one_run_and_no_test_is_made(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for variant, start in (("ppo", 1000.0), ("a2c", 9000.0)):
        for rank in range(8):
            episodes = [(len(variant) + rank + i % 3, 10, i + 1.0) for i in range(20)]
            path = folder / "logs" / variant / "E-v0_1" / f"{rank}.monitor.csv"
            write_monitor(path, episodes, env="E-v0", start=start + rank / 500)
    said = "two runs, no test possible on E-v0: a2c has 1, ppo has 1, and a test needs 2 a side"
    assert rlbench.report.main(["from=logs", "lint=true"]) == EXIT_DIFFERENCE
    out = capsys.readouterr().out
    assert f"untestable  {said}" in out
    assert "read: ppo on E-v0: 160 returns of runs 1, from ppo/E-v0_1/0.monitor.csv to 7.monitor.csv (8 files)" in out
    assert rlbench.report.main(["from=logs", "out=there"]) == EXIT_OK
    assert f"warning: {said}" in capsys.readouterr().out
    for page in read_pages(folder / "there"):
        assert said in page
        assert "ppo/E-v0_1/0.monitor.csv to 7.monitor.csv" in page
        assert "supported" not in page.lower().replace("supported: the first", "")


def test_what_was_left_aside_is_on_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        episodes = [(seed + i % 5, 10, i + 1.0) for i in range(20)]
        write_monitor(folder / "logs" / "dqn" / "E-v0" / f"{seed}.monitor.csv", episodes, start=1000.0 * seed)
    path = folder / "logs" / "dqn" / "E-v0" / "2.monitor.csv"
    path.write_text(path.read_text() + "20,1")
    (folder / "logs" / "dqn" / "E-v0" / "3.monitor.csv").write_text("<b>no header</b>\n")
    assert rlbench.report.main(["from=logs", "out=there"]) == EXIT_OK
    out = capsys.readouterr().out
    for said in (
        "dqn/E-v0/2.monitor.csv row 23: '20,1' has no end, as while a run is still writing: left aside",
        "dqn/E-v0/3.monitor.csv row 1: a monitor file begins with #{...}, the environment and the time",
    ):
        assert f"warning: {said}" in out
        for page in read_pages(folder / "there"):
            assert said.replace("'", "&#39;") in page or said in page
    assert [row for row in (folder / "there/tables/reading.csv").read_text().splitlines()][1].startswith(
        "dqn,CartPole-v1,3,"
    )


def test_where_nothing_can_be_read_the_report_is_refused_and_lint_lists_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(2):
        write_monitor(folder / "logs" / "dqn" / "E-v0" / f"{seed}.monitor.csv", [(1.0, 1, 5.0)], start=2.0 * seed)
    assert rlbench.report.main(["from=logs"]) == EXIT_BAD_INPUT
    captured = capsys.readouterr()
    assert "whether its 2 files are seeds or the parallel environments of one run cannot be told" in captured.err
    assert captured.err.count("\n") == 1
    assert not (folder / "reports").exists()
    assert rlbench.report.main(["from=logs", "lint=true"]) == EXIT_DIFFERENCE
    assert capsys.readouterr().out.startswith("logs: 1 found wrong with the evidence\n  runs  dqn/E-v0: whether")


def test_one_of_several_kinds_of_files_is_preferred(folder: Path) -> None:
    for number in (1, 2):
        run = folder / "logs" / "dqn" / f"E-v0_{number}"
        write_monitor(run / "0.monitor.csv", [(float(number), 10, 1.0)], env="E-v0")
        np.savez(run / "evaluations.npz", timesteps=[10], results=[[10.0 * number]], ep_lengths=[[5]])
        (run / "events.out.tfevents.1").write_bytes(b"")
    assert read_evidence(folder / "logs").runs["final_return"].tolist() == [10.0, 20.0]
    assert read_evidence(folder / "logs", prefer="monitor").runs["final_return"].tolist() == [1.0, 2.0]
    assert read_evidence(folder / "logs", prefer="tensorboard").runs.empty
    with pytest.raises(
        ConfigError, match=r"evaluations\.npz has the returns of evaluation; prefer=monitor reads those of"
    ):
        read_evidence(folder / "logs", "training")


@pytest.mark.parametrize("has_seeds", [True, False])
def test_scores_without_steps_are_compared_without_a_curve(
    folder: Path, capsys: pytest.CaptureFixture[str], has_seeds: bool
) -> None:
    rows = [
        (algorithm, "E-v0", better + seed / 8 + seed % 3, *([seed] if has_seeds else []))
        for algorithm, better in (("dqn", 0.0), ("ddqn", 5.0))
        for seed in range(10)
    ]
    write_csv(folder / "scores.csv", rows, "algo,game,score" + ",seed\n" * has_seeds + "\n" * (not has_seeds))
    words = ["from=scores.csv", "columns={algo: variant, game: env, score: final_return}"]
    assert rlbench.report.main([*words, "lint=true"]) == EXIT_OK
    assert ("names no seeds" in capsys.readouterr().out) is not has_seeds
    assert rlbench.report.main([*words, "out=there"]) == EXIT_OK
    out = capsys.readouterr().out
    assert "one number a run, so there is no curve and no AUC" in out
    page = (folder / "there/report.md").read_text()
    assert "ddqn is better than dqn" in page
    assert ("10 paired seeds" in page) is has_seeds
    assert ("10 + 10 runs" in page) is not has_seeds
    frame = pd.read_csv(folder / "there/runs.csv")
    assert frame["auc"].isna().all()
    assert frame["final_return"].tolist() == [row[2] for row in rows]


def test_copied_runs_are_said_on_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied = [(v, env, 10, step, value) for v, env, seed, step, value in ROWS if seed == 2]
    write_csv(folder / "runs.csv", [*ROWS, *copied])
    assert rlbench.report.main(["from=runs.csv", "out=there"]) == EXIT_OK
    said = "CartPole-v1: a seed 2, a seed 10 have one and the same curve"
    assert f"warning: {said}" in capsys.readouterr().out
    for page in read_pages(folder / "there"):
        assert said in page
