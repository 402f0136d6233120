"""`python -m rlbench.report` and `python -m rlbench.results`: exit codes, output, and nothing written on errors."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from written_runs import PlannedRun, write_store

import rlbench.report
import rlbench.results
from rlbench.errors import EXIT_BAD_INPUT, EXIT_DIFFERENCE, EXIT_OK

RUNS = [PlannedRun("a", seed, {500: [1 / 3], 1000: [10.0 * seed, 1.0]}) for seed in range(2)]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(write_store(tmp_path / "results", RUNS).path)


def files_under(folder: str | Path) -> set[str]:
    return {str(path) for path in Path(folder).rglob("*")}


def test_report_of_the_only_experiment_goes_into_the_store(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert rlbench.report.main([f"store={store}"]) == EXIT_OK
    page = Path(store) / "reports/example/report.html"
    assert page.exists()
    out = capsys.readouterr().out
    assert "final return" in out
    assert f"report: {page}" in out


def test_a_report_ends_with_the_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = {500: (0.25, 1.0, 2.0, 3.0)}
    runs = [PlannedRun("a", seed, {500: [1.0], 1000: [2.0]}, diagnostics=same) for seed in range(2)]
    write_store(tmp_path, runs)
    assert rlbench.report.main([f"store={tmp_path}"]) == EXIT_DIFFERENCE
    assert "audit: a on CartPole-v1: seeds 0, 1" in capsys.readouterr().err
    assert (tmp_path / "reports/example/report.html").exists()


def test_report_goes_where_it_is_told(store: str, tmp_path: Path) -> None:
    assert rlbench.report.main([f"store={store}", "experiment=example", f"out={tmp_path / 'there'}"]) == EXIT_OK
    assert (tmp_path / "there/report.md").exists()
    assert not (Path(store) / "reports").exists()


def test_several_experiments_are_listed(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_store(Path(store), RUNS, name="another")
    assert rlbench.report.main([f"store={store}"]) == EXIT_BAD_INPUT
    assert "choose one with experiment=NAME: example, another" in capsys.readouterr().err
    assert rlbench.report.main([f"store={store}", "experiment=another"]) == EXIT_OK


@pytest.mark.parametrize("command", [rlbench.report, rlbench.results])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["experiment=exampel"], "unknown experiment 'exampel'; did you mean 'example'?"),
        (["experimnt=example"], "unknown key 'experimnt'; did you mean 'experiment'?"),
        (["example"], "expected key=value, got 'example'"),
        (["store=/nowhere/at/all"], "no results folder"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    command: object, words: list[str], said: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_under(store)
    words = words if words[0].startswith("store=") else [f"store={store}", *words]
    assert command.main(words) == EXIT_BAD_INPUT  # type: ignore[attr-defined]
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert files_under(store) == before


def test_results_as_csv_are_all_rows_exactly(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert rlbench.results.main([f"store={store}", "table=evaluations", "format=csv"]) == EXIT_OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 6
    assert float(rows[0]["episode_return"]) == 1 / 3


def test_results_as_json_are_all_rows_exactly(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert rlbench.results.main([f"store={store}", "table=runs", "format=json", "experiment=example"]) == EXIT_OK
    rows = json.loads(capsys.readouterr().out)
    assert [(row["variant"], row["seed"], row["status"]) for row in rows] == [("a", 0, "done"), ("a", 1, "done")]
    assert rows[0]["auc"] == (1 / 3 + 0.5) / 2
    assert rows[0]["trial"] is None
    assert rlbench.results.main([f"store={store}", "table=diagnostics", "format=json"]) == EXIT_OK
    assert json.loads(capsys.readouterr().out) == []


def test_results_as_a_table_say_what_they_leave_out(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rlbench.results, "MAX_SHOWN", 4)
    assert rlbench.results.main([f"store={store}", "table=evaluations"]) == EXIT_OK
    assert "2 more of 6 rows" in capsys.readouterr().out
    assert rlbench.results.main([f"store={store}", "table=diagnostics"]) == EXIT_OK
    assert capsys.readouterr().out == "no rows\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["table=rnus"], "unknown table 'rnus'; did you mean 'runs'?"),
        (["format=xml"], "unknown format 'xml'"),
    ],
)
def test_results_refuse_unknown_tables_and_formats(
    words: list[str], said: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rlbench.results.main([f"store={store}", *words]) == EXIT_BAD_INPUT
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", [rlbench.report, rlbench.results])
def test_help_names_every_key(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--help"]) == EXIT_OK  # type: ignore[attr-defined]
    out = capsys.readouterr().out
    assert "default: results" in out
    assert "experiment" in out


def test_a_closed_pipe_ends_quietly(store: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "rlbench.results", f"store={store}", "table=runs", "format=csv"]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, text=True)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (EXIT_OK, "")
