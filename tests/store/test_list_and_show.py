"""`list` says how a store's experiments stand, `show` what makes a run again; a wrong name is one line with the nearest."""

import io
from pathlib import Path

import pandas as pd
import pytest
import store_toy
import yaml
from store_toy import Toy

import rlbench.list
import rlbench.results
import rlbench.show
from rlbench.store import load


@pytest.fixture
def path(tmp_path: Path, toy: Toy) -> Path:
    toy.finish(tmp_path / "results")
    return tmp_path / "results"


def test_list_counts_runs_by_state(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rlbench.list.main([f"store={path}"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if store_toy.NAME in line)
    assert row.split()[:4] == [store_toy.NAME, "2", "2", "done"]


def test_show_gives_the_specification_of_a_run(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = load(path)
    run_id = results.runs["run_id"][0]
    assert rlbench.show.main([run_id, f"store={path}"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["settings"] == results.specs([run_id])[run_id]


def test_show_gives_what_an_experiment_is_made_of(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rlbench.show.main([store_toy.NAME, f"store={path}"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["experiment"] == store_toy.NAME
    definition = load(path).experiments[store_toy.NAME]
    assert {key: shown[key] for key in definition if key not in ("name", "command")} == {
        key: value for key, value in definition.items() if key not in ("name", "command")
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [(["toyy"], "no run or experiment 'toyy'"), ([], "got none"), (["a", "b"], "got a b")],
)
def test_what_cannot_be_shown_is_one_line(
    path: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rlbench.show.main([*words, f"store={path}"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_nothing_is_listed_of_a_folder_that_is_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rlbench.list.main([f"store={tmp_path / 'nope'}"]) == 2
    assert "there is no results folder" in capsys.readouterr().err


def test_columns_are_chosen_in_the_order_given(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rlbench.results.main([f"store={path}", "format=csv", "columns=seed,status"]) == 0
    assert capsys.readouterr().out.splitlines() == ["seed,status", "0,done", "1,done"]
    assert rlbench.results.main([f"store={path}", "format=csv", "columns=seeed"]) == 2
    assert "unknown column 'seeed'; did you mean 'seed'?" in capsys.readouterr().err


def test_parquet_holds_what_the_frame_holds(path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert rlbench.results.main([f"store={path}", "format=parquet", "columns=run_id,seed,final_return,trial"]) == 0
    read = pd.read_parquet(io.BytesIO(capfdbinary.readouterr().out))
    pd.testing.assert_frame_equal(read, load(path).runs[["run_id", "seed", "final_return", "trial"]])


def test_parquet_is_not_written_to_a_screen(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert rlbench.results.main([f"store={path}", "format=parquet"]) == 2
    assert "format=parquet > runs.parquet" in capsys.readouterr().err


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_is_as_wide_as_the_terminal_and_says_what_it_leaves_out(
    path: Path, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert rlbench.results.main([f"store={path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert {"run_id", "seed"} <= set(lines[0].split())  # what tells the rows apart stays
    told = " ".join(lines[3:])
    assert {name for name in load(path).runs if name not in lines[0].split()} == set(
        told.removeprefix("left out for the terminal's width: ").partition(";")[0].split(", ")
    )
