"""Two configurations under one name are told apart in every table, by the labels that the report has."""

from pathlib import Path
from typing import Any

import pytest

import rlbench
import rlbench.results
from rlbench.reports.summary import summarise
from rlbench.store import Finished, Member, Store, load
from rlbench.store.labels import distinct_labels


def spec(seed: int, env: str = "CartPole-v1", limit: int | None = None, **settings: Any) -> dict[str, Any]:
    return {
        "variant": settings,
        "env": {"id": env, "max_env_steps": limit},
        "budget": {"steps": 100},
        "seed": seed,
        "namespace": "train",
    }


def write(path: Path, experiment: str, runs: dict[str, tuple[str, dict[str, Any]]]) -> None:
    """Done runs without rows: run_id -> (variant, specification)."""
    store = Store.open(path)
    members = [
        Member(run_id, variant, place)
        for place, (variant, _) in enumerate(runs.values())
        for run_id in [list(runs)[place]]
    ]
    store.record_experiment(experiment, {"name": experiment}, members, {k: one for k, (_, one) in runs.items()})
    with store.program(list(runs)) as program:
        ends = [Finished(run_id, "done", 100, 1, 1, 1.0, "") for run_id in program.run_ids]
        program.commit({}, None, ends, "cpu", "local")


def test_a_label_says_in_what_namesakes_differ() -> None:
    specs = {"1": spec(0, lr=1), "2": spec(0, lr=2), "3": spec(1, lr=2), "4": spec(0, lr=1)}
    found = distinct_labels({"1": "a", "2": "a", "3": "a", "4": "b"}, specs)
    assert found == {"1": "a (variant.lr=1)", "2": "a (variant.lr=2)", "3": "a (variant.lr=2)", "4": "b"}


def test_other_environments_are_no_namesakes_and_a_setting_that_is_absent_is_one() -> None:
    specs = {"1": spec(0, lr=1), "2": spec(0, env="Acrobot-v1", lr=2)}
    assert set(distinct_labels({"1": "a", "2": "a"}, specs).values()) == {"a"}
    specs = {"1": spec(0, clip=None), "2": spec(0), "3": spec(0, clip=True), "4": spec(0, clip=1)}
    found = distinct_labels(dict.fromkeys("1234", "a"), specs)
    assert list(found.values()) == [f"a (variant.clip={one})" for one in ("None", "absent", "True", "1")]


def test_another_limit_of_steps_is_another_setting() -> None:
    found = distinct_labels({"1": "a", "2": "a"}, {"1": spec(0, limit=200), "2": spec(0)})
    assert list(found.values()) == ["a (env.max_env_steps=200)", "a (env.max_env_steps=None)"]


def test_every_table_has_the_labels_of_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = {f"{lr}{seed}".zfill(16): ("mine", spec(seed, lr=lr)) for lr in (1, 2) for seed in range(2)}
    write(tmp_path, "adhoc", dict(list(runs.items())[:2]))
    assert set(load(tmp_path).runs["variant"]) == {"mine"}
    write(tmp_path, "adhoc", runs)
    write(tmp_path, "other", {"10".zfill(16): ("mine", spec(0, lr=1))})
    labels = {"mine (variant.lr=1)", "mine (variant.lr=2)"}
    assert set(load(tmp_path).runs["variant"]) == labels
    assert set(load(tmp_path, "adhoc").runs["variant"]) == labels == set(summarise(load(tmp_path), "adhoc").variants)
    # A part of the runs has the labels of the whole, so that two parts can be put together again.
    assert list(load(tmp_path, "adhoc").only(["10".zfill(16)]).runs["variant"]) == ["mine (variant.lr=1)"]
    assert list(load(tmp_path, "other").runs["variant"]) == ["mine"]
    rlbench.results.main([f"store={tmp_path}", "format=csv", "experiment=adhoc"])
    assert capsys.readouterr().out.count("mine (variant.lr=2)") == 2


def test_two_calls_from_python_with_one_label(tmp_path: Path) -> None:
    for steps in (60, 80):
        settings: dict[str, Any] = {"store": tmp_path, "workers": 1, "evaluation__period": 20}
        results = rlbench.run("random", seeds=1, steps=steps, **settings)
    told = [f"random (budget.steps={steps}, variant.exploration.decay_steps={steps // 5})" for steps in (60, 80)]
    assert list(results.runs["variant"]) == told[1:]
    found = load(tmp_path)
    assert list(found.runs["variant"]) == told
    named = found.evaluations.merge(found.runs[["run_id", "variant"]], on="run_id")
    assert named["variant"].nunique() == 2
