"""Workers that are jobs, by submitit's local executor: the contract of workers, equal digests, and who is gone."""

import os
import pickle
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from rlbench.config.launchers import LauncherSettings
from rlbench.runner import slurm
from rlbench.runner.mailbox import Inbox, Outbox
from rlbench.runner.worker import Worker, WorkerSettings
from rlbench.store import load
from tests.runner.commands import FOUR, SMALL, digests, run
from tests.runner.small_runs import opened
from tests.runner.worker_contract import RUNS, WorkerContract

pytest.importorskip("submitit")
SETTINGS = LauncherSettings(kind="slurm", executor="local")
EXPERIMENT = (FOUR, "seeds=2", *SMALL, "name=small")


@pytest.fixture(scope="module")
def alone() -> dict[str, str]:
    """The digests of the runs, each trained as the only lane."""
    from rlbench.verify import digest_alone

    return {run.run_id: digest_alone(run.run) for run in RUNS}


@pytest.mark.slow
class TestJobs(WorkerContract):
    def new_launcher(self) -> Any:
        return slurm.SlurmLauncher(SETTINGS)

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(slurm, "LAST_WORDS_SECONDS", 0.5)

    def crash(self, worker: Worker) -> None:
        """The job and its worker are killed together, as when their node is lost."""
        assert isinstance(worker, slurm.SlurmWorker)
        controller = worker.job._process.pid
        for process in (controller, *descendants(controller)):
            os.kill(process, signal.SIGKILL)


def descendants(process: int) -> list[int]:
    children = [
        int(child)
        for path in Path("/proc", str(process), "task").glob("*/children")
        for child in path.read_text().split()
    ]
    return [one for child in children for one in (child, *descendants(child))]


@pytest.mark.slow
def test_jobs_give_the_digests_of_processes_and_leave_no_files(tmp_path: Path) -> None:
    code, _, err = run(tmp_path / "local", *EXPERIMENT)
    assert code == 0, err
    words = ("launcher=slurm", "launcher.executor=local", "workers=2")
    code, _, err = run(tmp_path / "slurm", *EXPERIMENT, *words)
    assert code == 0, err
    assert "8 of 8 runs to train, 2 workers of slurm" in err
    assert digests(tmp_path / "slurm") == digests(tmp_path / "local")
    assert set(load(tmp_path / "slurm").runs["launcher"]) == {"slurm"}
    assert not (tmp_path / "slurm" / "slurm").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("workers=2",), "launcher=slurm: there is no sbatch here; launcher.executor=local runs the same jobs"),
        (("workers=auto", "launcher.executor=local"), "launcher=slurm needs workers=N, the jobs to submit"),
    ],
)
def test_where_no_jobs_can_be_submitted_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], text: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for more in ((), ("--dry-run",)):
        code, out, err = run(tmp_path / "store", *EXPERIMENT, "launcher=slurm", *words, *more)
        assert (code, out) == (2, "")
        assert text in err
        assert len(err.strip().splitlines()) == 1
        assert not (tmp_path / "store").exists()


def test_words_arrive_whole_and_in_order_however_they_are_cut(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    out = Outbox(whole)
    said = [b"one", b"", bytes(range(256)) * 40]
    for word in said:
        out.put(word)
    inbox, heard = Inbox(tmp_path / "cut"), []
    (tmp_path / "cut").touch()
    for byte in whole.read_bytes():
        with open(tmp_path / "cut", "ab") as file:
            file.write(bytes([byte]))
        if byte % 7 == 0:
            heard += inbox.read()
    assert heard + inbox.read() == said
    assert inbox.read() == []


def test_a_job_is_submitted_with_what_was_asked_for_and_cancelled_while_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SLURM that takes every job and runs none."""
    for name, does in (
        ("sbatch", f"cat $1 > {tmp_path}/script; echo Submitted batch job 7"),
        ("srun", ""),
        ("sacct", ""),
    ):
        program(tmp_path / name, does)
    program(tmp_path / "scancel", f"echo $1 > {tmp_path}/cancelled")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    settings = LauncherSettings(
        "slurm", partition="cpu", account="lab", cpus=2, memory_gb=3.0, minutes=90, sbatch=("qos=short", "exclusive")
    )
    launcher = slurm.SlurmLauncher(settings, 1)
    launcher.check()
    worker = launcher.start(WorkerSettings(tmp_path / "store", 4, 1.0, "slurm"))
    script = (tmp_path / "script").read_text()
    for option in ("partition=cpu", "account=lab", "cpus-per-task=2", "mem=3GB", "time=90", "qos=short", "exclusive"):
        assert f"#SBATCH --{option}\n" in script
    assert (worker.receive(), worker.died()) == (None, None)
    worker.stop()
    assert worker.died() is None  # until its job is gone, or nothing was heard of it for a moment
    monkeypatch.setattr(slurm, "LAST_WORDS_SECONDS", 0.0)
    assert worker.died() == "before it was needed"
    assert (tmp_path / "cancelled").read_text() == "7\n"
    launcher.close()
    assert not (tmp_path / "store" / "slurm").exists()


def program(path: Path, does: str) -> None:
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


@pytest.mark.slow
def test_a_job_stops_by_itself_when_its_command_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path / "store", RUNS)
    folder = tmp_path / "pool" / "worker"
    folder.mkdir(parents=True)
    Outbox(folder.parent / "beats")
    Outbox(folder / "orders")
    monkeypatch.setattr(slurm, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # those of this process stay
    began = time.monotonic()
    slurm.work(str(folder), [], pickle.dumps(WorkerSettings(store.root, 4, 1.0, "slurm")))
    assert time.monotonic() - began > 1.0
    heard = [pickle.loads(word) for word in Inbox(folder / "words").read()]
    assert heard[-1].died is not None
    assert load(store.root).runs["status"].tolist() == ["pending"] * len(RUNS)
