"""A study on a store in S3: the trials and digests of a folder, also where the machine with its trials is gone."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from rlbench.places import beside, place_of
from rlbench.store import Store, load
from tests.tuning.studies import command, run, told, trials_in, write_study

SMALL: dict[str, Any] = {
    "trials": 3,
    "steps": 500,
    "evaluation": {"period": 250, "episodes": 1},
    "pruner": {"kind": "none"},
    "objective": {"window": 1},
    "confirm": {"top": 1, "seeds": 6},
}


def tuned(folder: Path, store: str | Path) -> tuple[list[Any], dict[str, str]]:
    """The trials of the study and the digests of all its runs."""
    code, out, err = run(command(folder, store))
    assert code == 0, err
    assert "report: " in out
    runs = load(store).runs
    assert set(runs["status"]) == {"done"}
    place = beside(place_of(store))
    assert (place / "studies" / "tiny.yaml").exists()
    digests = dict(zip(runs["run_id"], runs["digest"], strict=True))
    return told(trials_in(f"sqlite:///{place.absolute()}/studies/optuna.db")), digests


@pytest.mark.slow
def test_a_study_is_the_same_in_a_bucket_and_on_a_machine_that_has_only_the_bucket(bucket: str, tmp_path: Path) -> None:
    write_study(tmp_path, **SMALL)
    url = f"{bucket}/store"
    trials, digests = tuned(tmp_path, tmp_path / "folder")
    assert len(digests) > 3 * 2
    assert tuned(tmp_path, url) == (trials, digests)
    begun = Store.open(url).read_rows("starts")
    shutil.rmtree(tmp_path / "s3")
    assert tuned(tmp_path, url) == (trials, digests)
    assert Store.open(url).read_rows("starts") == begun  # nothing was trained a second time
    shutil.rmtree(tmp_path / "s3")
    write_study(tmp_path, **SMALL, space={"optimizer.lr": {"log": ["1e-5", "1e-3"]}})
    code, _, err = run(command(tmp_path, url))
    assert (code, len(err.splitlines())) == (2, 1)
    assert "study 'tiny' exists and differs in space.optimizer.lr" in err
    assert not (tmp_path / "s3").exists()
