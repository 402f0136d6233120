"""The order of a run's W&B rows, and the numbers of its summary."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracking_toy import ToyStore

from rlbench.rows import TABLES
from rlbench.store import load
from rlbench.store.schema import ROW_TABLES
from rlbench.tracking.rows import Row, RunRows

EPISODES = {
    "episode": [0, 1, 2],
    "env_steps": [7, 10, 15],
    "length": [7, 3, 5],
    "episode_return": [1.0, 2.5, -3.0],
    "terminated": [True, False, True],
}
EVALUATIONS = {"env_steps": [5, 5, 10, 10], "episode": [0, 1, 0, 1], "episode_return": [1.0, 2.0, 4.0, 8.0]}
DIAGNOSTICS = {
    **{name: [0.5, 1.5] for name in TABLES["diagnostics"].names},
    "env_steps": [10, 20],
    "updates": [3, 8],
}
WHOLE: dict[str, dict[str, list[Any]]] = {
    "episodes": EPISODES,
    "evaluations": EVALUATIONS,
    "diagnostics": DIAGNOSTICS,
}


def kind(row: Row) -> str:
    return next(key for key in row if key != "env_steps").partition("/")[0]


def piece(table: str, since: int, until: int) -> dict[str, list[Any]]:
    columns = WHOLE[table]
    wanted = [i for i, at in enumerate(columns["env_steps"]) if since < at <= until]
    return {name: [values[i] for i in wanted] for name, values in columns.items()}


def whole() -> RunRows:
    rows = RunRows()
    for table, columns in WHOLE.items():
        rows.add(table, columns)
    return rows


def test_the_tables_are_those_of_the_store() -> None:
    assert set(TABLES) == set(ROW_TABLES)


def test_rows_come_by_env_steps_and_then_by_table() -> None:
    rows = whole().ready(is_final=True)
    assert [(row["env_steps"], kind(row)) for row in rows] == [
        (5, "evaluation"),
        (7, "episode"),
        (10, "episode"),
        (10, "evaluation"),
        (10, "diagnostics"),
        (15, "episode"),
        (20, "diagnostics"),
    ]
    assert rows[0] == {
        "env_steps": 5,
        "evaluation/return": 1.5,
        "evaluation/return_min": 1.0,
        "evaluation/return_max": 2.0,
    }
    assert rows[1] == {
        "env_steps": 7,
        "episode/index": 0,
        "episode/return": 1.0,
        "episode/length": 7,
        "episode/terminated": 1,
    }
    assert rows[6]["diagnostics/updates"] == 8
    assert len(rows[6]) == len(DIAGNOSTICS)


def test_the_last_env_steps_wait_for_what_may_join_them() -> None:
    rows = RunRows()
    rows.add("diagnostics", piece("diagnostics", 0, 10))
    assert rows.ready(is_final=False) == []
    rows.add("evaluations", piece("evaluations", 0, 10))
    assert [row["env_steps"] for row in rows.ready(is_final=False)] == [5]
    rows.add("episodes", piece("episodes", 9, 15))
    assert [kind(row) for row in rows.ready(is_final=False)] == ["episode", "evaluation", "diagnostics"]
    assert rows.num_rows == 4


@given(st.lists(st.integers(1, 19), max_size=6))
def test_the_order_does_not_depend_on_when_rows_were_seen(cuts: list[int]) -> None:
    rows = RunRows()
    given_rows: list[Row] = []
    bounds = [0, *sorted(cuts), 20]
    for since, until in itertools.pairwise(bounds):
        for table in TABLES:
            rows.add(table, piece(table, since, until))
        given_rows += rows.ready(is_final=False)
    given_rows += rows.ready(is_final=True)
    assert given_rows == whole().ready(is_final=True)
    assert rows.ready(is_final=True) == []


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown table 'weights'"):
        RunRows().add("weights", {"env_steps": [1]})


def test_a_run_without_rows_has_no_measures() -> None:
    assert RunRows().measures() == {}


def test_measures_have_hand_worked_values() -> None:
    rows = whole()
    rows.ready(is_final=True)
    assert rows.measures() == {"final_return": 3.75, "auc": 3.75, "train_return_last100": pytest.approx(0.5 / 3)}
    last = RunRows(final_window=1)
    last.add("evaluations", EVALUATIONS)
    last.ready(is_final=True)
    assert last.measures() == {"final_return": 6.0, "auc": 3.75}


def test_measures_are_those_of_the_store(tmp_path: Path) -> None:
    toy = ToyStore(tmp_path / "s", num_runs=2, num_episodes=130)
    toy.train([400, 1000])
    runs = load(toy.path).runs.set_index("run_id")
    for run_id in toy.run_ids:
        rows = RunRows(final_window=3)
        for table in TABLES:
            rows.add(table, {name: values.tolist() for name, values in toy.rows[run_id][table].items()})
        rows.ready(is_final=True)
        for name, value in rows.measures().items():
            assert math.isclose(value, runs.loc[run_id, name], rel_tol=1e-12), name
        assert set(rows.measures()) == {"final_return", "auc", "train_return_last100"}
        assert np.isfinite(list(rows.measures().values())).all()
