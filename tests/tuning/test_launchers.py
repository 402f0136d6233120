"""A study has the same trials and the same digests whoever runs its workers, in a folder and in a bucket."""

from pathlib import Path
from typing import Any

import pytest

from rlbench.places import beside, place_of
from rlbench.store import load
from tests.runner.ray_clusters import cluster_of
from tests.tuning.studies import command, run, told, trials_in, write_study

SMALL: dict[str, Any] = {
    "trials": 4,
    "steps": 500,
    "evaluation": {"period": 250, "episodes": 1},
    "sampler": {"kind": "random"},
    "pruner": {"kind": "none"},
    "objective": {"window": 1},
    "confirm": {"seeds": 0},
}


@pytest.mark.slow
def test_a_study_is_the_same_by_processes_on_two_ray_nodes_and_by_jobs(bucket: str, tmp_path: Path) -> None:
    pytest.importorskip("rlbench.runner.ray", exc_type=ImportError)
    pytest.importorskip("submitit")
    write_study(tmp_path, **SMALL)
    with cluster_of(2) as cluster:
        found = [
            tuned(tmp_path, place, launcher, *words)
            for place in (str(tmp_path), bucket)
            for launcher, *words in (
                ("thread",),
                ("ray", f"launcher.address={cluster.address}"),
                ("slurm", "launcher.executor=local"),
            )
        ]
    assert len(found[0][1]) == 4 * 2
    assert all(one == found[0] for one in found)


def tuned(folder: Path, place: str, launcher: str, *words: str) -> tuple[list[Any], dict[str, str]]:
    """The trials of a study with two workers, and the digests of its runs."""
    store = f"{place}/{launcher}"
    own = [] if launcher == "thread" else [f"launcher={launcher}", *words]
    plain = [word for word in command(folder, store) if word != "workers=1"]
    code, _, err = run([*plain, "workers=2", *own])
    assert code == 0, err
    runs = load(store).experiment("tiny.tuning").runs
    assert set(runs["launcher"]) == {launcher}
    assert set(runs["status"]) == {"done"}
    trials = trials_in(f"sqlite:///{beside(place_of(store)).absolute()}/studies/optuna.db")
    return told(trials), dict(zip(runs["run_id"], runs["digest"], strict=True))
