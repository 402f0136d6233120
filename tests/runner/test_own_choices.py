"""Runs of choices of one's own: trained by workers, verified, resumed, and told apart when their code changes.

Commands run in this process, whose modules are made anew with each version of the code; workers are processes of their own.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlbench.config import resolve, spec_of
from rlbench.store import Member, Store, load
from tests.config.own_modules import ALL, LOG_COSH, MEMBERS, Write, write

__all__ = ["write"]

SETTINGS = ("steps=240", "evaluation.period=120", "evaluation.episodes=2", "diagnostics.period=60", "batch_size=8")
QUIET = ("workers=1", "wandb.mode=disabled", "report=false")
ONE = ("seeds=1", "loss=own_one:LogCosh", "network.units=[8,8]", "replay.warmup=60", *SETTINGS)
CHANGED = LOG_COSH.replace("math.log(2)", "math.log(2.0)")

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """`command(name, *words)` runs `python -m rlbench.NAME` on the test's store: exit code, and what it said, on one line each."""

    def command(name: str, *words: str) -> tuple[int, str, str]:
        own = QUIET if name == "run" else ()
        code = importlib.import_module(f"rlbench.{name}").main([f"store={tmp_path}/store", *words, *own])
        said = capsys.readouterr()
        return code, " ".join(said.out.split()), " ".join(said.err.split())

    return command


def test_all_groups_at_once_train_in_workers_and_verify(write: Write, tmp_path: Path, command: Command) -> None:
    write("own_all", ALL)
    choices = [f"{group}=own_all:{name}" for group, name in MEMBERS.items() if group != "observation"]
    code, _, err = command(
        "run", "seeds=2", *choices, "network.units=[8,8]", "replay.warmup=60", "loss.scale=2", *SETTINGS
    )
    assert code == 0, err
    results = load(tmp_path / "store")
    assert list(results.runs["status"]) == ["done", "done"]
    assert (results.runs["updates"] > 100).all()
    assert results.runs["digest"].nunique() == 2
    code, out, err = command("verify")
    assert code == 0, err
    assert "the same digest" in out


def test_changed_code_is_another_run_and_never_mixes(write: Write, tmp_path: Path, command: Command) -> None:
    write("own_one")
    assert command("run", *ONE)[0] == 0
    (old,) = load(tmp_path / "store").runs["run_id"]
    write("own_one", CHANGED)
    code, out, _ = command("verify", f"run={old}")
    assert (code, "the same digest" in out) == (0, False)
    assert f"not trained again: run {old}: loss own_one:LogCosh has changed since: its source has the digest" in out
    code, _, err = command("play", f"run={old}")
    assert code == 2
    assert f"run {old}: loss own_one:LogCosh has changed since" in err
    assert command("run", *ONE)[0] == 0
    runs = load(tmp_path / "store").runs
    assert len(runs) == 2
    assert old in set(runs["run_id"])
    code, out, _ = command("verify")
    assert (code, "the same digest" in out) == (0, True)  # the new one is trained again: the old one is never drawn
    code, out, _ = command("report")
    assert code == 0
    assert f"note: run {old}: loss own_one:LogCosh has changed since" in out
    page = (tmp_path / "store/reports/adhoc/report.md").read_text()
    assert page.count("variant.loss.source=") >= 2  # two configurations under one name, which are not pooled
    write("own_one", "raise RuntimeError('broken')\n")
    code, out, _ = command("verify")
    assert code == 0
    assert "not trained again: 2 runs" in out
    assert "module 'own_one' does not import: RuntimeError: broken" in out


def test_an_open_run_goes_on_with_its_code_and_not_with_other_code(
    write: Write, tmp_path: Path, command: Command
) -> None:
    write("own_one")
    request = resolve(ONE)
    (old,) = request.planned
    store = Store.open(tmp_path / "store")
    store.record_experiment(
        "adhoc", request.definition, [Member(old.run_id, old.variant, 0)], {old.run_id: spec_of(old.run)}
    )
    write("own_one", CHANGED)
    code, _, err = command("run", *ONE)
    assert code == 0, err
    assert f"adhoc: not continued: run {old.run_id}: loss own_one:LogCosh has changed since" in err
    (new,) = store.final_runs()
    assert new != old.run_id
    write("own_one")
    code, _, err = command("run", *ONE)
    assert code == 0, err
    assert "not continued" not in err
    assert store.final_runs() == {old.run_id, new}


@pytest.mark.usefixtures("worker_processes")
def test_a_worker_refuses_code_that_changed_under_way(write: Write, command: Command) -> None:
    """The module is another one each time it is imported: what a worker would train is not what was planned."""
    rewriting = "\nimport pathlib\n_here = pathlib.Path(__file__)\n_here.write_text(_here.read_text().replace('+ 0', '+ 0 * 1'))\n"
    write("own_one", LOG_COSH.replace("math.log(2)", "math.log(2 + 0)") + rewriting)
    code, _, err = command("run", *ONE)
    assert code == 3
    assert "the code of its own choices has changed since the command began" in err


@pytest.mark.usefixtures("worker_processes")
def test_a_module_that_workers_cannot_import_ends_the_command_in_one_line(write: Write, command: Command) -> None:
    broken_there = (
        "\nimport sys\nif 'pytest' not in sys.modules:\n    raise RuntimeError('only in the first process')\n"
    )
    write("own_one", LOG_COSH + broken_there)
    code, _, err = command("run", *ONE)
    assert code == 2
    assert "a worker cannot import what its runs are made of: RuntimeError: only in the first process" in err
    assert "Traceback" not in err


def test_the_console_script_finds_modules_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m` puts that folder on the path itself; a script has its own folder there."""
    from rlbench.__main__ import main

    (tmp_path / "own_here.py").write_text(LOG_COSH)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    try:
        assert main(["run", "loss=own_here:LogCosh", "seeds=1", "--dry-run", "store=nowhere"]) == 0
    finally:
        sys.modules.pop("own_here", None)
    assert "1 runs, 0 of them done" in capsys.readouterr().out
    assert sys.path[0] == str(tmp_path)
