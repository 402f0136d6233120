"""What is accepted as scores, and what is refused before anything is computed."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from rlbench.stats import (
    aggregate,
    bootstrap_interval,
    cliffs_delta,
    paired_permutation_test,
    permutation_test,
)
from rlbench.stats.scores import without_duplicates

ROWS = pd.DataFrame(
    {"env": ["b", "b", "a", "a"], "seed": [1, 0, 0, 1], "score": [4.0, 3.0, 1.0, 2.0], "note": ["", "", "", ""]}
)


def once(frame: pd.DataFrame, value: str = "score", duplicates: str = "error") -> pd.DataFrame:
    return without_duplicates(frame, value, ["seed", "env"], duplicates)


def test_a_run_counted_twice_is_refused_unless_told_how_it_counts() -> None:
    twice = pd.concat([ROWS, pd.DataFrame({"env": ["a"], "seed": [0], "score": [9.0]})])
    with pytest.raises(ValueError, match=r"1 rows repeat a run, .*'env': 'a'"):
        once(twice)
    values = {
        how: once(twice, duplicates=how).set_index(["seed", "env"]).loc[(0, "a"), "score"]
        for how in ("mean", "first", "last")
    }
    assert values == {"mean": 5.0, "first": 1.0, "last": 9.0}


@pytest.mark.parametrize(
    ("frame", "arguments", "message"),
    [
        (ROWS, {"value": "reward"}, r"no column \['reward'\]"),
        (ROWS.iloc[:0], {}, "empty"),
        (ROWS.assign(score=[1.0, np.nan, 2.0, 3.0]), {}, "1 NaN"),
        (ROWS, {"duplicates": "median"}, "unknown duplicates 'median'"),
    ],
)
def test_a_frame_that_does_not_say_every_run_once_is_refused(
    frame: pd.DataFrame, arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        once(frame, **arguments)


def test_a_mapping_is_per_environment_and_a_table_is_by_run() -> None:
    assert aggregate({"a": [1.0, 2.0, 3.0], "b": [10.0, 20.0]}, "mean") == (2.0 + 15.0) / 2
    # Also where the lengths agree.
    assert aggregate({"a": [1.0, 5.0], "b": [2.0, 9.0]}, "median") == (3.0 + 5.5) / 2
    assert aggregate([[1.0, 5.0], [2.0, 9.0]], "median") == (1.5 + 7.0) / 2


@pytest.mark.parametrize(
    "scores",
    [
        [np.array([1.0, 5.0]), np.array([2.0, 9.0])],
        (np.array([1.0, 5.0]), np.array([2.0, 9.0])),
        [pd.Series([1.0, 5.0]), pd.Series([2.0, 9.0])],
    ],
)
def test_a_list_whose_meaning_would_depend_on_its_lengths_is_refused(scores: list[np.ndarray]) -> None:
    message = r"give one array \[runs, environments\], or a mapping environment -> \[runs\]"
    for function in (aggregate, bootstrap_interval):
        with pytest.raises(ValueError, match=message):
            function(scores)
    for compare in (cliffs_delta, permutation_test, paired_permutation_test):
        with pytest.raises(ValueError, match=message):
            compare(scores, np.zeros((2, 2)))


@pytest.mark.parametrize("kind", [list, np.array])
def test_a_ragged_list_is_one_environment_each(kind: Callable[[list[float]], Sequence[float]]) -> None:
    ragged = [kind([1.0, 5.0, 6.0]), kind([2.0, 9.0])]
    by_name = {"a": [1.0, 5.0, 6.0], "b": [2.0, 9.0]}
    assert bootstrap_interval(ragged, resamples=100) == bootstrap_interval(by_name, resamples=100)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"a": [1.0, 2.0], "b": [np.nan]}, "1 NaN"),
        ({"a": [1.0, 2.0], "b": []}, "empty"),
        ({}, "empty"),
        ({"a": np.zeros((3, 2))}, "one number a run"),
    ],
)
def test_ragged_scores_are_checked_too(scores: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(scores)  # type: ignore[arg-type]


def test_two_sides_are_matched_by_the_name_of_the_environment() -> None:
    x, y = {"a": [2.0, 2.0], "b": [0.0]}, {"b": [5.0, 5.0], "a": [1.0]}
    assert cliffs_delta(x, y) == 0.0  # +1 on a, -1 on b; by position it would be -1 and -1
    with pytest.raises(ValueError, match="only one has \\['c'\\]"):
        cliffs_delta({**x, "c": [1.0]}, y)
    with pytest.raises(ValueError, match="2 environments and y has 1"):
        cliffs_delta(np.zeros((3, 2)), [1.0, 2.0])
