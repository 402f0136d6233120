"""`list` says how a store's experiments stand, `show` what makes a run again; a wrong name is one line with the nearest."""

from pathlib import Path

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
