"""Results over a hand-written store give hand-worked numbers."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import store_toy
from store_toy import Toy

from rlbench.errors import ConfigError, DamagedError, StoreError
from rlbench.store import Finished, Member, Store, load
from rlbench.store.run_table import RUN_COLUMNS


def rows_of(run_id: str, evaluations: dict[int, list[float]], episode_returns: list[float]) -> dict[str, Any]:
    points = [(steps, i, value) for steps, values in evaluations.items() for i, value in enumerate(values)]
    n = len(episode_returns)
    return {
        "evaluations": {
            "run_id": [run_id] * len(points),
            "env_steps": [steps for steps, _, _ in points],
            "episode": [i for _, i, _ in points],
            "episode_return": [value for _, _, value in points],
            "length": [1] * len(points),
        },
        "episodes": {
            "run_id": [run_id] * n,
            "episode": list(range(n)),
            "env_steps": list(range(1, n + 1)),
            "length": [1] * n,
            "episode_return": episode_returns,
            "terminated": [True] * n,
        },
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Experiments `first` (runs 2, 1, 0; window 2) and `second` (2, 0, 3); run 0 done, 1 diverged, 2 and 3 planned."""
    store = Store.open(tmp_path)
    specs = [store_toy.spec_of(seed, 200, env="Acrobot-v1" if seed == 3 else "CartPole-v1") for seed in range(4)]
    ids = [store_toy.run_id_of(spec) for spec in specs]
    by_id = dict(zip(ids, specs, strict=True))
    store.record_experiment(
        "first", {"final_window": 2}, [Member(ids[i], "a", 2 - i, "study", i) for i in (0, 1, 2)], by_id
    )
    store.record_experiment("second", {}, [Member(ids[i], "b", place) for place, i in enumerate((2, 0, 3))], by_id)
    with store.program(ids) as program:
        returns = [1000.0] + [1.0] * 50 + [3.0] * 50  # the first is not among the last 100
        evaluations = {50: [0.0, 2.0], 100: [4.0, 4.0], 150: [6.0, 8.0], 200: [10.0, 10.0]}
        done = Finished(ids[0], "done", 200, 190, 101, 1.5, "ab" * 32)
        program.commit(rows_of(ids[0], evaluations, returns), None, [done], platform="cpu", launcher="local")
        diverged = Finished(ids[1], "diverged", 60, 50, 2, 0.5, "cd" * 32, "loss is inf")
        program.commit(rows_of(ids[1], {50: [-1.0]}, [5.0, 6.0]), None, [diverged], platform="cpu", launcher="local")
    return tmp_path


def test_runs(path: Path) -> None:
    runs = load(path).runs
    assert list(runs.columns) == RUN_COLUMNS
    assert list(runs["experiment"]) == ["first", "first", "first", "second"]
    assert list(runs["variant"]) == ["a", "a", "a", "b"]
    assert list(runs["seed"]) == [2, 1, 0, 3]  # by position
    assert list(runs["env"]) == ["CartPole-v1"] * 3 + ["Acrobot-v1"]
    assert list(runs["status"]) == ["pending", "diverged", "done", "pending"]
    assert list(runs["namespace"]) == ["train"] * 4
    assert list(runs["study"])[:3] == ["study"] * 3
    assert list(runs["trial"])[:3] == [2, 1, 0]
    assert pd.isna(runs["trial"][3])
    done = runs.iloc[2]
    assert (done["env_steps"], done["updates"], done["episodes"], done["wall_s"]) == (200, 190, 101, 1.5)
    assert done["final_return"] == (7 + 10) / 2
    assert done["auc"] == (1 + 4 + 7 + 10) / 4
    assert done["train_return_last100"] == 2.0
    assert (done["digest"], done["platform"], done["launcher"], done["error"]) == ("ab" * 32, "cpu", "local", "")
    diverged = runs.iloc[1]
    assert (diverged["final_return"], diverged["auc"], diverged["train_return_last100"]) == (-1.0, -1.0, 5.5)
    assert diverged["error"] == "loss is inf"
    pending = runs.iloc[0]
    assert (pending["env_steps"], pending["updates"], pending["episodes"], pending["digest"]) == (0, 0, 0, "")
    assert all(math.isnan(pending[key]) for key in ("final_return", "auc", "train_return_last100", "wall_s"))
    assert all(runs[column].dtype == "int64" for column in ("seed", "env_steps", "updates", "episodes"))


def test_one_experiment(path: Path) -> None:
    results = load(path, "second")
    assert list(results.runs["seed"]) == [2, 0, 3]
    assert set(results.runs["experiment"]) == {"second"}
    assert set(results.runs["variant"]) == {"b"}
    assert results.runs["final_return"][1] == (1 + 4 + 7 + 10) / 4  # its window is 5: all four points
    assert len(results.evaluations) == 8  # not those of run 1
    assert results.episodes["run_id"].nunique() == 1
    assert load(path).experiment("first").evaluations["run_id"].nunique() == 2
    assert list(load(path).experiments) == ["first", "second"]
    assert load(path).experiments["first"] == {"final_window": 2}


def test_an_unknown_experiment_is_named_with_the_nearest(path: Path) -> None:
    with pytest.raises(StoreError, match=r"no experiment 'secnd' in .*; did you mean 'second'"):
        load(path, "secnd")
    with pytest.raises(StoreError, match="it has first, second"):
        load(path, "target_by_loss")


def test_an_empty_store_has_empty_tables(tmp_path: Path) -> None:
    Store.open(tmp_path)
    results = load(tmp_path)
    assert list(results.runs.columns) == RUN_COLUMNS
    for table in (results.runs, results.episodes, results.evaluations, results.diagnostics):
        assert table.empty
    assert results.experiments == {}


def test_progress_of_unfinished_runs(tmp_path: Path) -> None:
    toy = Toy((20, 40))
    with toy.program(tmp_path) as program:
        toy.train(program, commits=1)
        runs = load(tmp_path).runs
        assert list(runs["status"]) == ["running", "running"]
        assert list(runs["env_steps"]) == [10, 10]
        assert list(runs["updates"]) == [10, 10]
        assert list(runs["episodes"]) == [2, 2]
        toy.train(program)
    assert list(load(tmp_path).runs["status"]) == ["done", "done"]


def test_rows_are_sorted_by_run_and_then_as_they_happened(tmp_path: Path) -> None:
    toy = Toy((20, 30, 10))
    toy.finish(tmp_path)
    results = load(tmp_path)
    for frame, order in (
        (results.episodes, ["run_id", "episode"]),
        (results.evaluations, ["run_id", "env_steps", "episode"]),
        (results.diagnostics, ["run_id", "env_steps"]),
    ):
        keys = list(frame[order].itertuples(index=False, name=None))
        assert keys == sorted(keys)
        assert len(set(keys)) == len(keys) > 5


def test_results_are_a_snapshot(tmp_path: Path) -> None:
    toy = Toy((20, 30))
    with toy.program(tmp_path) as program:
        toy.train(program, commits=1)
        earlier = load(tmp_path)
        toy.train(program)
    assert len(earlier.episodes) == 4
    assert list(earlier.runs["status"]) == ["running", "running"]
    assert len(load(tmp_path).episodes) == 10


def test_the_stored_digest_tells_altered_rows_and_weights(tmp_path: Path) -> None:
    toy = Toy((20, 30))
    toy.finish(tmp_path)
    first, second = toy.run_ids
    digests = load(tmp_path).runs.set_index("run_id")["digest"]
    results = load(tmp_path)
    assert results.stored_digest(first) == digests[first]
    results.evaluations.loc[results.evaluations["run_id"] == first, "episode_return"] += 1e-12
    assert results.stored_digest(first) != digests[first]
    assert results.stored_digest(second) == digests[second]
    weights = results.weights_path(second)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DamagedError, match="do not give their checksum"):
        load(tmp_path).stored_digest(second)


def test_an_experiment_keeps_its_comparisons_and_its_final_window(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    declared = {"final_window": 5, "comparisons": [{"family": "main", "pairs": [["a", "b"], ["c", "d"]]}]}
    store.record_experiment("grid", declared, [], {})
    fewer = {"final_window": 5, "comparisons": [{"family": "main", "pairs": [["a", "b"], ["a", "c"]]}], "seeds": [7]}
    store.record_experiment("grid", fewer, [], {})
    kept = store.experiments()["grid"]
    assert kept["comparisons"] == [{"family": "main", "pairs": [["a", "b"], ["c", "d"], ["a", "c"]]}]
    assert kept["seeds"] == [7]
    with pytest.raises(ConfigError, match="'grid' has final_window=5"):
        store.record_experiment("grid", {"final_window": 1}, [], {})
    assert store.experiments()["grid"] == kept


def test_only_some_runs(path: Path) -> None:
    whole = load(path).experiment("first")
    one = whole.runs["run_id"][1]
    some = whole.only([one])
    assert list(some.runs["run_id"]) == [one]
    assert set(some.evaluations["run_id"]) <= {one}
    assert len(some.episodes) == (whole.episodes["run_id"] == one).sum()


def test_seeds_that_are_added_to_what_has_results_are_counted(tmp_path: Path) -> None:
    store = Store.open(tmp_path)

    def added(*seeds: int, **definition: Any) -> int:
        store_toy.record(store, [store_toy.spec_of(seed) for seed in seeds], **definition)
        return int(store.experiments()["toy"].get("seeds_added", 0))

    assert added(0) == 0
    assert added(0, 1) == 0  # nothing was there to look at yet
    with store.program(list(store.specs())) as program:
        ends = [Finished(run_id, "done", 20, 1, 1, 0.1) for run_id in program.run_ids]
        program.commit({}, None, ends, platform="p", launcher="l")
    assert added(0, 1) == 0
    assert added(2) == 1
    assert added(0, 1, 2) == 1
    assert added(3, sequential={"looks": [3, 4]}) == 1
    assert added(3, 4) == 2
