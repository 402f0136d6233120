"""Rows keep their types, and a run's digest depends on nothing but its rows and weights."""

import hashlib
import json
import struct
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlbench.rows import TABLES
from rlbench.store.schema import RowDigest, digest_rows, row_table, run_digest, split_rows

END = {"status": "done", "env_steps": 5, "updates": 4, "episodes": 3}
EPISODES = {
    "episode": [0, 1, 2],
    "env_steps": [9, 29, 60],
    "length": [9, 20, 31],
    "episode_return": [9.0, -0.5, float("nan")],
    "terminated": [True, False, True],
}
EMPTY: dict[str, dict[str, list]] = {name: {column: [] for column in table.names} for name, table in TABLES.items()}


def cut(columns: dict[str, list], *bounds: int) -> list[dict[str, list]]:
    edges = [0, *bounds, None]
    return [{name: values[a:b] for name, values in columns.items()} for a, b in pairwise(edges)]


def test_the_chain_is_the_one_that_is_documented() -> None:
    digest = RowDigest()
    digest.advance("episodes", EPISODES)
    chain = hashlib.sha256(b"episodes").digest()
    for row in zip(*EPISODES.values(), strict=True):
        chain = hashlib.sha256(chain + struct.pack("<qqqd?", *row)).digest()
    assert digest.state()["episodes"] == chain.hex()
    assert digest.state()["evaluations"] == hashlib.sha256(b"evaluations").hexdigest()


@given(st.lists(st.integers(0, 3), max_size=3).map(sorted))
def test_it_does_not_depend_on_how_rows_were_cut_into_parts(bounds: list[int]) -> None:
    whole, pieces = RowDigest(), RowDigest()
    whole.advance("episodes", EPISODES)
    for piece in cut(EPISODES, *bounds):
        pieces = RowDigest(json.loads(json.dumps(pieces.state())))  # through a checkpoint
        pieces.advance("episodes", piece)
    assert pieces.state() == whole.state()


@pytest.mark.parametrize("column", EPISODES)
def test_every_column_counts(column: str) -> None:
    changed = {name: list(values) for name, values in EPISODES.items()}
    changed[column][1] = not changed[column][1] if column == "terminated" else changed[column][1] + 1
    first, second = RowDigest(), RowDigest()
    first.advance("episodes", EPISODES)
    second.advance("episodes", changed)
    assert first.state() != second.state()


def test_rows_of_one_table_do_not_pass_for_those_of_another() -> None:
    first, second = RowDigest(), RowDigest()
    first.advance("evaluations", {"env_steps": [0], "episode": [0], "episode_return": [0.0], "length": [0]})
    assert first.state()["episodes"] == second.state()["episodes"]
    assert first.state()["evaluations"] != second.state()["evaluations"]
    assert run_digest(first, {}, END) != run_digest(second, {}, END)


def test_a_nan_is_a_nan_whatever_its_sign() -> None:
    """Vector and scalar code may disagree on it: 0/0 is negative on x86, a literal positive."""
    negative = np.copysign(np.array([9.0, -0.5, np.nan]), [1, -1, -1])
    assert negative.tobytes() != np.array(EPISODES["episode_return"]).tobytes()
    first, second = RowDigest(), RowDigest()
    first.advance("episodes", EPISODES)
    second.advance("episodes", {**EPISODES, "episode_return": negative})
    assert first.state() == second.state()


def test_recomputation_from_stored_rows_in_any_order() -> None:
    digest = RowDigest()
    digest.advance("episodes", EPISODES)
    frame = pd.DataFrame({"run_id": "r", **EPISODES}).sample(frac=1, random_state=3)
    stored = row_table("episodes", frame.to_dict("list")).to_pandas()
    assert digest_rows({**EMPTY, "episodes": stored}).state() == digest.state()


def test_rows_of_many_runs_reach_their_own_digests_in_order() -> None:
    columns = {"run_id": ["b", "a", "b"], **EPISODES}
    whole, alone = RowDigest(), RowDigest()
    whole.advance("episodes", split_rows("episodes", columns)["b"])
    alone.advance("episodes", {name: [values[0], values[2]] for name, values in EPISODES.items()})
    assert whole.state() == alone.state()
    assert {run_id: list(rows["episode"]) for run_id, rows in split_rows("episodes", columns).items()} == {
        "a": [1],
        "b": [0, 2],
    }


def test_the_run_digest_covers_how_the_run_ended() -> None:
    changed = [END, END | {"status": "diverged"}, END | {"env_steps": 9}, END | {"updates": 9}, END | {"episodes": 9}]
    assert len({run_digest(RowDigest(), {}, end) for end in changed}) == len(changed)
    assert run_digest(RowDigest(), {}, END | {"wall_s": 3.0}) == run_digest(RowDigest(), {}, END)


def test_the_run_digest_covers_names_types_shapes_and_bytes_of_weights() -> None:
    weight = torch.arange(6, dtype=torch.float32)
    digests = [
        run_digest(RowDigest(), weights, END)
        for weights in (
            {},
            {"0.weight": weight},
            {"1.weight": weight},
            {"0.weight": weight.reshape(2, 3)},
            {"0.weight": weight.view(torch.int32)},
            {"0.weight": weight + 1},
        )
    ]
    assert len(set(digests)) == len(digests)
    two = {"b": weight, "a": weight.double()}
    assert run_digest(RowDigest(), two, END) == run_digest(RowDigest(), dict(sorted(two.items())), END)
    assert run_digest(RowDigest(), {"0.weight": weight.numpy()}, END) == digests[1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"episode": [0]}, "has the columns"),
        ({**EPISODES, "colour": [0, 0, 0]}, "has the columns"),
        ({**EPISODES, "episode": [0, 1]}, "unequal length"),
        ({**EPISODES, "episode": [0, 1, 2.5]}, "holds int64, got float64"),
        ({**EPISODES, "terminated": [0, 1, 0]}, "holds bool, got int64"),
        ({**EPISODES, "length": [[1], [2], [3]]}, "one-dimensional"),
    ],
)
def test_rows_that_are_not_of_the_table_are_refused(columns: dict[str, list], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RowDigest().advance("episodes", columns)


def test_rows_without_a_run_are_not_stored() -> None:
    with pytest.raises(ValueError, match="without run_id"):
        row_table("episodes", EPISODES)


def test_a_state_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="has the chains"):
        RowDigest({"episodes": ""})
