"""What notebooks take from results: rows that say what they are of, and a display that counts the runs."""

from pathlib import Path

import pytest
import store_toy
from store_toy import Toy

from rlbench.errors import ConfigError, StoreError
from rlbench.store import load


@pytest.fixture
def path(tmp_path: Path, toy: Toy) -> Path:
    toy.finish(tmp_path / "results")
    return tmp_path / "results"


def test_curves_have_a_row_for_each_run_and_point(path: Path) -> None:
    results = load(path)
    curves = results.curves
    assert list(curves) == ["run_id", "experiment", "variant", "env", "seed", "env_steps", "episode_return"]
    assert not curves.duplicated(["run_id", "env_steps"]).any()
    points = results.evaluations.groupby(["run_id", "env_steps"])["episode_return"].mean()
    assert curves.set_index(["run_id", "env_steps"])["episode_return"].to_dict() == points.to_dict()
    assert len(curves) > 2


@pytest.mark.parametrize("table", ["episodes", "evaluations", "diagnostics"])
def test_rows_say_what_they_are_of(path: Path, table: str) -> None:
    results = load(path)
    rows = results.frame(table)
    assert len(rows) == len(getattr(results, table)) > 0
    assert set(rows["variant"]) == {"v (budget.steps=20)", "v (budget.steps=30)"}  # namesakes stay apart
    assert set(rows["experiment"]) == {store_toy.NAME}
    seeds = results.runs.set_index("run_id")["seed"]
    assert (rows["seed"] == rows["run_id"].map(seeds)).all()


def test_config_adds_the_settings_that_differ_and_no_other(path: Path) -> None:
    results = load(path)
    added = set(results.frame("runs", config=True)) - set(results.runs)
    assert added == {"budget.steps"}  # the toy's two runs have budgets of 20 and 30
    by_seed = results.frame("runs", config=True).set_index("seed")["budget.steps"]
    assert by_seed.to_dict() == {0: 20, 1: 30}


def test_unknown_tables_and_runs_are_told_with_the_nearest_name(path: Path) -> None:
    results = load(path)
    with pytest.raises(ConfigError, match="unknown table 'epsodes'; did you mean 'episodes'"):
        results.frame("epsodes")
    run_id = results.runs["run_id"][0]
    with pytest.raises(StoreError, match=f"no run '{run_id[:-1]}' in these results; did you mean '{run_id}'"):
        results.network(run_id[:-1])


def test_a_notebook_is_shown_how_the_runs_stand(path: Path) -> None:
    results = load(path).experiment(store_toy.NAME)
    assert repr(results) == f"<Results of experiment '{store_toy.NAME}' in '{path}': 2 runs (2 done)>"
    assert "2 runs (2 done)" in results._repr_html_()
    assert "<table" in results._repr_html_()
