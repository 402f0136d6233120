"""The follower offline, with the real client: one folder per run, every number, after whatever happened."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from follower_processes import Followers, assert_nothing_planted, log_lines, num_mirrored
from numpy.testing import assert_equal
from tracking_toy import ToyStore
from wandb_files import OfflineRun, offline_folders, offline_runs, read_offline_run

from rlbench.store import Member, load
from rlbench.store.erasing import erase, erasure
from rlbench.tracking import Follower, TrackingSettings, require_login
from rlbench.tracking.ledger import destination_folder
from rlbench.tracking.mirror import is_mirrored

Until = Callable[..., None]


def assert_complete(toy: ToyStore) -> dict[str, OfflineRun]:
    """Every run has one folder, with all its numbers in their order; returns them."""
    runs = offline_runs(toy.path)
    assert set(runs) == set(toy.run_ids)
    for run_id, run in runs.items():
        expected = toy.expected_rows(run_id)
        assert run.steps == list(range(len(expected)))
        assert_equal(run.rows, expected)  # knows that NaN is NaN
    return runs


def test_every_number_arrives(toy: ToyStore, followers: Followers) -> None:
    toy.statuses = {1: "diverged"}
    toy.train([300, 600, 1000])
    assert followers.run(toy.path, TrackingSettings(project="p", entity="e", tags=("a", "b"))) == 0
    stored = load(toy.path).runs.set_index("run_id")
    for run_id, run in assert_complete(toy).items():
        row = stored.loc[run_id]
        assert (run.header.project, run.header.entity, list(run.header.tags)) == (
            "p",
            "e",
            ["a", "b", "toy", "CartPole-v1"],
        )
        assert run.header.display_name == f"soft_huber-s{row.seed}"
        assert (run.header.run_group, run.header.job_type) == ("soft_huber", "train")
        expected = {"variant": "soft_huber", "experiment": "toy", "env": "CartPole-v1", "seed": row.seed}
        expected |= {"study": None, "trial": None, **toy.settings(run_id)}
        assert {key: value for key, value in run.config.items() if key != "_wandb"} == expected
        assert {name for name, step in run.step_metrics.items() if step == "env_steps"} == {
            "episode/*",
            "evaluation/*",
            "diagnostics/*",
        }
        assert (run.summary["status"], run.summary["digest"]) == (row.status, row.digest)
        for name in ("final_return", "auc", "train_return_last100"):
            assert run.summary[name] == pytest.approx(row[name], rel=1e-12), name
        assert run.exit_code == (1 if row.seed == 1 else 0)
    assert log_lines(toy.path) == []


def test_the_trials_of_a_study_are_grouped_by_the_study(toy: ToyStore, followers: Followers) -> None:
    members = [
        Member(run_id, f"soft_huber trial {place}", place, "cartpole", place)
        for place, run_id in enumerate(toy.run_ids)
    ]
    toy.store.record_experiment("toy", {"name": "toy", "final_window": 3}, members, toy.specs)
    toy.train([1000])
    assert followers.run(toy.path) == 0
    runs = assert_complete(toy)
    assert {run.header.run_group for run in runs.values()} == {"cartpole"}
    assert [(runs[run_id].config["study"], runs[run_id].config["trial"]) for run_id in toy.run_ids] == [
        ("cartpole", place) for place in range(3)
    ]


def test_a_second_follower_finds_nothing_to_do(toy: ToyStore, followers: Followers) -> None:
    toy.train([1000])
    assert followers.run(toy.path) == 0
    before = {path: path.stat().st_mtime_ns for path in (toy.path / "wandb").glob("offline-run-*/*.wandb")}
    assert followers.run(toy.path, TrackingSettings(project="another")) == 0
    assert {path: path.stat().st_mtime_ns for path in (toy.path / "wandb").glob("offline-run-*/*.wandb")} == before


def test_whether_a_follower_would_find_something_is_known_without_one(toy: ToyStore, followers: Followers) -> None:
    settings = TrackingSettings()
    toy.train([1000])
    assert not is_mirrored(toy.store, settings)
    assert followers.run(toy.path, settings) == 0
    assert is_mirrored(toy.store, settings)
    assert not is_mirrored(toy.store, TrackingSettings(mode="online"))  # only the server knows
    assert not is_mirrored(toy.store, TrackingSettings(project="another"))  # which is to be remembered
    shutil.rmtree(offline_folders(toy.path)[0])
    assert not is_mirrored(toy.store, settings)


def test_a_run_that_was_deleted_and_trained_again_is_shown_anew(toy: ToyStore, followers: Followers) -> None:
    toy.train([1000])
    assert followers.run(toy.path) == 0
    erase(toy.store, lambda: erasure(toy.store, ["toy"]))
    assert followers.run(toy.path) == 0
    members = [Member(run_id, "soft_huber", place) for place, run_id in enumerate(toy.run_ids)]
    toy.store.record_experiment("toy", {"name": "toy", "final_window": 3}, members, toy.specs)
    toy.train([1000])
    assert followers.run(toy.path) == 0
    assert_complete(toy)


def test_it_mirrors_while_training_goes_on(toy: ToyStore, followers: Followers, until: Until) -> None:
    follower = followers.start(toy.path)
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 500)
        until(lambda: len(offline_folders(toy.path)) == 3)
        toy.commit(program, 500, 1000)
        until(lambda: num_mirrored(toy.path) == 3)
    assert followers.end(follower) == 0
    assert_complete(toy)


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_one_folder_per_run(
    tmp_path: Path, followers: Followers, until: Until
) -> None:
    toy = ToyStore(tmp_path / "store", num_runs=12, num_episodes=200)
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 500)
        for folders in (1, 5, 12):
            follower = followers.start(toy.path)
            until(lambda folders=folders: len(offline_folders(toy.path)) >= folders)
            follower.kill()
            follower.wait()
        toy.commit(program, 500, 1000)
    done = 0
    for more in (1, 2, 3):
        follower = followers.start(toy.path)
        until(lambda more=more, done=done: num_mirrored(toy.path) >= done + more)
        follower.kill()
        follower.wait()
        done = num_mirrored(toy.path)
    assert followers.run(toy.path) == 0
    assert_complete(toy)
    assert num_mirrored(toy.path) == 12  # nothing that was complete has been made again


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds W&B's service by /proc")
def test_it_survives_the_end_of_wandbs_service(toy: ToyStore, followers: Followers, until: Until) -> None:
    follower = followers.start(toy.path)
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 500)
        until(lambda: len(offline_folders(toy.path)) == 3)
        (service,) = Path(f"/proc/{follower.pid}/task/{follower.pid}/children").read_text().split()
        os.kill(int(service), signal.SIGKILL)
        toy.commit(program, 500, 1000)
        until(lambda: num_mirrored(toy.path) == 3)
    assert followers.end(follower) == 0
    assert_complete(toy)
    lost, found = log_lines(toy.path)
    assert "training goes on" in lost
    assert "takes rows again" in found


def test_interrupted_training_goes_on_in_the_same_run(toy: ToyStore, followers: Followers) -> None:
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 400)
    assert followers.run(toy.path) == 0
    for run_id, run in offline_runs(toy.path).items():
        begun = [row for row in toy.expected_rows(run_id) if row["env_steps"] < 400]
        assert_equal(run.rows, begun)
        assert "final_return" not in run.summary
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 400, 1000)
    assert followers.run(toy.path) == 0
    assert_complete(toy)


def test_a_failed_run_that_is_tried_again_is_one_run(toy: ToyStore, followers: Followers, until: Until) -> None:
    follower = followers.start(toy.path)
    with toy.store.program(toy.run_ids) as program:
        unlucky = toy.fail_first(program, 500)
        until(lambda: num_mirrored(toy.path) == 1)
        (folder,) = (toy.path / "wandb").glob(f"offline-run-*-{unlucky}")
        assert read_offline_run(folder).summary["status"] == "failed"
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 500, 1000)
    assert followers.end(follower) == 0
    assert {run.summary["status"] for run in assert_complete(toy).values()} == {"done"}


def test_a_folder_that_somebody_removed_is_made_again(toy: ToyStore, followers: Followers) -> None:
    toy.train([1000])
    assert followers.run(toy.path) == 0
    for path in offline_folders(toy.path)[0].rglob("*"):
        if path.is_file():
            path.unlink()
    offline_folders(toy.path)[0].rename(toy.path / "elsewhere")
    assert followers.run(toy.path) == 0
    assert_complete(toy)


def test_runs_of_other_programs_are_left_alone(toy: ToyStore, followers: Followers) -> None:
    foreign = toy.path / "wandb" / "offline-run-20260101_000000-somebody"
    foreign.mkdir(parents=True)
    toy.train([1000])
    assert followers.run(toy.path) == 0
    assert foreign.is_dir()


def test_a_paused_follower_holds_up_nobody(toy: ToyStore, followers: Followers, until: Until) -> None:
    follower = followers.start(toy.path)
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 300)
        until(lambda: offline_folders(toy.path))
        follower.send_signal(signal.SIGSTOP)
        toy.commit(program, 300, 600)
        toy.commit(program, 600, 1000)
    digests = set(load(toy.path).runs.digest)
    follower.send_signal(signal.SIGCONT)
    assert followers.end(follower) == 0
    assert {run.summary["digest"] for run in assert_complete(toy).values()} == digests


def test_two_followers_make_no_doubles(toy: ToyStore, followers: Followers, until: Until) -> None:
    first = followers.start(toy.path)
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 500)
        until(lambda: len(offline_folders(toy.path)) == 3)
        second = followers.start(toy.path)
        toy.commit(program, 500, 1000)
    assert followers.end(first) == 0
    assert followers.end(second) == 0
    assert_complete(toy)
    assert num_mirrored(toy.path) == 3


def test_while_another_one_has_the_lock_it_does_nothing(toy: ToyStore, followers: Followers) -> None:
    toy.train([1000])
    folder = destination_folder(toy.path, "wandb", "offline")
    folder.mkdir(parents=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = followers.start(toy.path, None, None, "--handover-seconds=0.1")
        assert followers.end(second) == 3
    assert "nothing was mirrored: another follower" in second.words  # type: ignore[attr-defined]
    assert offline_folders(toy.path) == []
    assert followers.run(toy.path) == 0
    assert_complete(toy)


def test_the_end_of_the_parent_is_the_word_to_stop(toy: ToyStore, until: Until) -> None:
    toy.train([1000])
    code = (
        "import sys, os; from pathlib import Path; from rlbench.tracking import Follower, TrackingSettings\n"
        "follower = Follower(Path(sys.argv[1]), TrackingSettings()); print(follower.pids[0], flush=True); os._exit(9)"
    )
    parent = subprocess.run([sys.executable, "-c", code, toy.path], capture_output=True, text=True, check=False)
    assert parent.returncode == 9
    until(lambda: not is_running(int(parent.stdout)))
    assert_complete(toy)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_program_starts_and_stops_it(toy: ToyStore, until: Until) -> None:
    with Follower(toy.path, TrackingSettings()) as follower:
        toy.train([500, 1000])
        (pid,) = follower.pids
        assert os.getsid(pid) == pid  # out of the reach of the terminal's Ctrl-C
        until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == 19)
    follower.stop()
    assert follower.wait(60) == 0
    assert_complete(toy)


def test_disabled_is_no_process_and_no_file(toy: ToyStore) -> None:
    require_login(TrackingSettings("disabled"))
    with Follower(toy.path, TrackingSettings("disabled")) as follower:
        toy.train([1000])
    assert follower.pids == []
    assert follower.wait(0) == 0
    assert not (toy.path / "wandb").exists()


def test_no_secret_lands_in_a_file(toy: ToyStore, followers: Followers) -> None:
    toy.train([500, 1000])
    assert followers.run(toy.path) == 0
    assert_complete(toy)
    assert_nothing_planted(toy.path)


def test_weights_are_an_artifact_on_request(tmp_path: Path, followers: Followers) -> None:
    toy = ToyStore(tmp_path / "store", num_runs=1, weights=True)
    toy.train([1000])
    assert followers.run(toy.path, TrackingSettings(artifacts=True)) == 0
    ((run_id, run),) = assert_complete(toy).items()
    ((name, kind),) = {(artifact.name, artifact.type) for artifact in run.artifacts}
    assert (name, kind) == (f"weights-{run_id}", "model")


def test_weights_stay_here_without_request(tmp_path: Path, followers: Followers) -> None:
    toy = ToyStore(tmp_path / "store", num_runs=1, weights=True)
    toy.train([1000])
    assert followers.run(toy.path) == 0
    (run,) = assert_complete(toy).values()
    assert run.artifacts == []


def test_a_folder_without_a_store_is_refused(tmp_path: Path, followers: Followers) -> None:
    follower = followers.start(tmp_path / "nothing")
    assert followers.end(follower) == 2
    assert "there is no results folder" in follower.words  # type: ignore[attr-defined]
    assert not (tmp_path / "nothing").exists()
