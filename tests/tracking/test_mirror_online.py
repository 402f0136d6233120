"""The follower online, against a real server on loopback: each number arrives exactly once, whatever happens."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from follower_processes import PLANTED, Followers, assert_nothing_planted, log_lines, num_mirrored
from openwandb import OpenWandb
from tracking_toy import ToyStore
from wandb_files import offline_folders, offline_runs

from rlbench.errors import ConfigError
from rlbench.store import load
from rlbench.tracking import Follower, TrackingSettings, require_login
from rlbench.training import await_mirror

Until = Callable[..., None]
ONLINE = TrackingSettings("online")


def assert_arrived(toy: ToyStore, server: OpenWandb) -> None:
    """Every run is there, with every number once, and with its summary."""
    stored = load(toy.path).runs.set_index("run_id")
    for run_id in toy.run_ids:
        expected = {
            step: {key: None if math.isnan(value) else value for key, value in row.items()}
            for step, row in enumerate(toy.expected_rows(run_id))
        }
        assert server.rows(run_id) == expected
        run, row = server.run(run_id), stored.loc[run_id]
        assert run["state"] == "finished"
        summary = json.loads(run["summary_json"])
        assert (summary["status"], summary["digest"]) == (row.status, row.digest)
        for name in ("final_return", "auc", "train_return_last100"):
            assert summary[name] == pytest.approx(row[name], rel=1e-12), name


def sync(store: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rlbench.sync", f"store={store}", *words],
        env={**os.environ, **PLANTED, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_number_arrives_once(toy: ToyStore, followers: Followers, server: OpenWandb) -> None:
    toy.train([300, 1000])
    settings = TrackingSettings("online", project="arrives", tags=("a", "b"))
    for _ in range(2):
        assert followers.run(toy.path, settings, server.environment) == 0
        assert_arrived(toy, server)
    run = server.run(toy.run_ids[0])
    config = {key: item["value"] for key, item in json.loads(run["config_json"]).items() if key != "_wandb"}
    assert config == {
        "variant": "soft_huber",
        "experiment": "toy",
        "env": "CartPole-v1",
        "seed": 0,
        "study": None,
        "trial": None,
        **toy.settings(toy.run_ids[0]),
    }
    assert (run["display_name"], run["host"]) == ("soft_huber-s0", "")
    assert json.loads(run["tags_json"]) == ["a", "b", "toy", "CartPole-v1"]
    assert log_lines(toy.path) == []
    assert list((toy.path / "wandb").glob("run-*")) == []  # nothing of it is kept here


def test_it_mirrors_while_training_goes_on(
    toy: ToyStore, followers: Followers, server: OpenWandb, until: Until
) -> None:
    follower = followers.start(toy.path, ONLINE, server.environment)
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 500)
        until(lambda: server.run_ids() >= set(toy.run_ids))
        toy.commit(program, 500, 1000)
        until(lambda: num_mirrored(toy.path) == 3)
    assert followers.end(follower) == 0
    assert_arrived(toy, server)


@pytest.mark.slow
def test_killed_again_and_again_each_number_arrives_once(
    toy: ToyStore, followers: Followers, server: OpenWandb, until: Until
) -> None:
    def kill_when(condition: Callable[[], object]) -> None:
        follower = followers.start(toy.path, ONLINE, server.environment)
        until(condition)
        follower.kill()
        follower.wait()

    def more_numbers() -> Callable[[], bool]:
        before = server.num_values(*toy.run_ids)
        return lambda: server.num_values(*toy.run_ids) > before

    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 200)
        kill_when(lambda: len(list((toy.path / "wandb").glob("run-*"))) == 2)  # between two beginnings
        assert followers.run(toy.path, ONLINE, server.environment) == 0
        assert server.num_values(*toy.run_ids) > 0
        toy.commit(program, 200, 500)
        kill_when(more_numbers())  # after a live transmission
        toy.commit(program, 500, 1000)
    kill_when(more_numbers())  # between two ends
    kill_when(lambda: num_mirrored(toy.path))  # with a run written down
    assert followers.run(toy.path, ONLINE, server.environment) == 0
    assert_arrived(toy, server)


def test_a_lost_ledger_makes_no_doubles(toy: ToyStore, followers: Followers, server: OpenWandb) -> None:
    # As when the follower is killed after everything has arrived, and before it has written that down.
    toy.train([1000])
    assert followers.run(toy.path, ONLINE, server.environment) == 0
    (ledger,) = (toy.path / "wandb").glob("follower/online-*/mirrored.jsonl")
    ledger.unlink()
    assert followers.run(toy.path, ONLINE, server.environment) == 0
    assert_arrived(toy, server)


def test_interrupted_training_goes_on_in_the_same_run(toy: ToyStore, followers: Followers, server: OpenWandb) -> None:
    for since, until_steps in ((0, 400), (400, 1000)):
        with toy.store.program(toy.run_ids) as program:
            toy.commit(program, since, until_steps)
        assert followers.run(toy.path, ONLINE, server.environment) == 0
    assert_arrived(toy, server)


@pytest.mark.slow
def test_a_server_that_comes_late_gets_everything(
    toy: ToyStore, followers: Followers, new_server: OpenWandb, until: Until
) -> None:
    follower = followers.start(toy.path, ONLINE, new_server.environment)
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 500)
        until(lambda: log_lines(toy.path))
        toy.commit(program, 500, 1000)  # training does not notice
        new_server.start()
        until(lambda: num_mirrored(toy.path) == 3)
    assert followers.end(follower) == 0
    assert_arrived(toy, new_server)
    lost, found = log_lines(toy.path)
    assert "cannot be reached" in lost
    assert "takes rows again" in found
    assert "127.0.0.1" in lost


@pytest.mark.slow
def test_a_server_that_goes_away_in_between_misses_nothing(
    toy: ToyStore, followers: Followers, new_server: OpenWandb, until: Until
) -> None:
    new_server.start()
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 500)
        assert followers.run(toy.path, ONLINE, new_server.environment) == 0
        assert new_server.num_values(*toy.run_ids) > 0
        follower = followers.start(toy.path, ONLINE, new_server.environment)
        until(lambda: len(list((toy.path / "wandb").glob("run-*"))) == 3)
        new_server.stop()
        toy.commit(program, 500, 800)
    assert followers.end(follower) == 3
    assert "cannot be reached" in follower.words  # type: ignore[attr-defined]
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 800, 1000)
    again = sync(toy.path, new_server.environment)
    assert again.returncode == 3
    assert "cannot be reached" in again.stdout
    new_server.start()
    done = sync(toy.path, new_server.environment)  # it knows where to: online
    assert (done.returncode, done.stderr) == (0, "")
    assert_arrived(toy, new_server)


def test_a_store_mirrored_offline_can_go_online_later(toy: ToyStore, followers: Followers, server: OpenWandb) -> None:
    toy.train([1000])
    assert followers.run(toy.path) == 0
    folders = offline_folders(toy.path)
    done = sync(toy.path, server.environment, "wandb.mode=online", "wandb.project=later")
    assert done.returncode == 0
    assert all(line.startswith("mirroring: ") for line in done.stderr.splitlines())
    assert_arrived(toy, server)
    assert offline_folders(toy.path) == folders
    assert len(offline_runs(toy.path)) == 3


def test_who_trains_is_told_where_to_look(
    toy: ToyStore, server: OpenWandb, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (PLANTED | server.environment).items():
        monkeypatch.setenv(name, value)
    toy.train([1000])
    with Follower(toy.path, ONLINE) as follower:
        pass
    await_mirror(follower, toy.path)
    told, _, address = capsys.readouterr().err.rstrip("\n").partition(": http")
    assert told == f"online: {len(toy.run_ids)} complete runs at W&B project {ONLINE.project}"
    assert address.endswith(f"/{ONLINE.project}")


def test_two_followers_make_no_doubles(toy: ToyStore, followers: Followers, server: OpenWandb, until: Until) -> None:
    first = followers.start(toy.path, ONLINE, server.environment)
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 500)
        until(lambda: server.run_ids() >= set(toy.run_ids))
        second = followers.start(toy.path, ONLINE, server.environment)
        toy.commit(program, 500, 1000)
    assert followers.end(first) == 0
    assert followers.end(second) == 0
    assert_arrived(toy, server)


def test_weights_are_an_artifact_on_request(tmp_path: Path, followers: Followers, server: OpenWandb) -> None:
    toy = ToyStore(tmp_path / "store", num_runs=1, weights=True, salt="artifact")
    toy.train([1000])
    assert followers.run(toy.path, TrackingSettings("online", artifacts=True), server.environment) == 0
    assert_arrived(toy, server)
    assert server.artifacts(toy.run_ids[0]) == [f"weights-{toy.run_ids[0]}"]


def test_no_secret_lands_in_a_file(toy: ToyStore, followers: Followers, new_server: OpenWandb, tmp_path: Path) -> None:
    new_server.start()
    toy.train([500, 1000])
    planted = new_server.environment | PLANTED  # this server takes any key
    assert followers.run(toy.path, ONLINE, planted) == 0
    assert_arrived(toy, new_server)
    new_server.stop()
    assert followers.run(toy.path, TrackingSettings("online", project="another"), planted) == 3
    assert_nothing_planted(tmp_path)  # neither here nor there


@pytest.mark.parametrize(("key", "words"), [("", "needs a W&B key"), ("short", "WANDB_API_KEY invalid")])
def test_without_a_key_nothing_is_written(
    toy: ToyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    toy.train([1000])
    for name, value in {"WANDB_API_KEY": key, "HOME": str(tmp_path / "home"), "NETRC": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    done = sync(toy.path, {"WANDB_API_KEY": key}, "wandb.mode=online")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    with pytest.raises(ConfigError, match=words):
        require_login(ONLINE)
    assert not (toy.path / "wandb").exists()
    assert not (tmp_path / "home").exists()
