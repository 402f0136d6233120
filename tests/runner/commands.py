"""Commands, for the tests of the runner: in this process, or as programs that are started, watched in the store, and killed."""

import contextlib
import importlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rlbench.store import Store, load

PATIENCE_SECONDS = 240.0
# Small and seldom updates: eager calls cost the same for any size, and it is the runner that is under test.
SMALL = (
    "steps=400",
    "network.units=[16,16]",
    "batch_size=16",
    "update_period=4",
    "replay.warmup=100",
    "replay.capacity=300",
    "evaluation.period=200",
    "evaluation.episodes=2",
    "diagnostics.period=100",
)
SMALL_UNIFORM = tuple(word for word in SMALL if not word.startswith("network."))
FOUR = "variant=hard_mse,hard_huber,soft_mse,soft_huber"


def environment() -> dict[str, str]:
    """The tests' own environment, eager and without a terminal."""
    return os.environ | {"RLBENCH_COMPILE": os.environ.get("RLBENCH_COMPILE", "0"), "NO_COLOR": "1"}


def start(store: Path, *words: str, module: str = "rlbench.run") -> "subprocess.Popen[str]":
    """Start a command as a program in a process group of its own, eager, with `quiet` words."""
    command = [sys.executable, "-m", module, *quiet(store, words, module)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment()
    )


def quiet(store: Path, words: Sequence[str], module: str) -> list[str]:
    """A command's words; unless they say so themselves, a run has no mirror, one worker and no report: none of it is what is tested."""
    defaults = ("workers=1", "wandb.mode=disabled", "report=false") if module == "rlbench.run" else ()
    kinds = {word.partition("=")[0].partition(".")[0] for word in words}
    return [
        f"store={store}",
        *words,
        *(word for word in defaults if word.partition("=")[0].partition(".")[0] not in kinds),
    ]


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Wait for a command: exit code, stdout, stderr."""
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out, err


def run(store: Path, *words: str, module: str = "rlbench.run") -> tuple[int, str, str]:
    """Run a command to its end in this process, with `quiet` words."""
    return called(module, quiet(store, words, module))


def called(module: str, argv: list[str]) -> tuple[int, str, str]:
    """Call a command in this process: exit code, stdout, stderr. A traceback would be an exception here."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = importlib.import_module(module).main(argv)
    return code, out.getvalue(), err.getvalue()


def kill(process: "subprocess.Popen[str]") -> None:
    """kill -9 the command and everything that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)


def wait_until(process: "subprocess.Popen[str]", reached: Callable[[], bool]) -> None:
    """Watch until something is so; fails when the command ends or patience does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert process.poll() is None, f"ended too early: {process.communicate()}"
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)  # a poll of the store, not a guess of how long something takes


def progress(store: Path) -> Mapping[str, int]:
    """run_id -> env_steps of its checkpoint, for runs that are not finished; empty where there is no store yet."""
    return Store.open(store, create=False).progress() if (store / "format.json").exists() else {}


def digests(store: Path) -> dict[tuple[str, int], str]:
    """(variant, seed) -> digest of every finished run."""
    runs = load(store).runs
    assert set(runs["status"]) == {"done"}, runs[["variant", "seed", "status", "error"]]
    return {(row.variant, row.seed): row.digest for row in runs.itertuples()}
