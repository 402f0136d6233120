"""Ctrl-C ends a command with 130 and no traceback from its first imports on; a program that imports rlbench keeps its own signals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlbench.interrupts import is_command

PRESS = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"


def start(tmp_path: Path, *words: str) -> tuple[int, str]:
    """A command that finds the modules of `tmp_path` first: exit code and what it said on stderr."""
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("module", ["difflib", "hydra"])  # imported at once, and in the middle of the command
def test_while_a_command_imports(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text(PRESS)
    assert start(tmp_path, "rlbench.run", "variant=hard_mse", "--dry-run") == (130, "")


def test_an_interrupt_that_a_module_swallows_into_another_error_is_still_one(tmp_path: Path) -> None:
    text = (
        "try:\n    " + PRESS.replace("\n", "\n    ") + "\nexcept KeyboardInterrupt:\n    raise ImportError('halfway')\n"
    )
    (tmp_path / "halfway.py").write_text(text)
    assert start(tmp_path, "rlbench.run", "env=halfway:X-v0", "--dry-run") == (130, "")


def test_a_module_that_raises_it_by_itself_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "pretends.py").write_text("raise KeyboardInterrupt")
    code, err = start(tmp_path, "rlbench.run", "env=pretends:X-v0", "--dry-run")
    assert code == 2
    assert "module 'pretends' does not import: KeyboardInterrupt" in err


def test_who_imports_rlbench_keeps_its_signals() -> None:
    words = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # what started the tests may ignore it
    words += "import rlbench; assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python", "-m", "rlbench.run", "steps=3"], True),
        (["python", "-X", "dev", "-m", "rlbench", "run"], True),
        (["python", "/usr/bin/rlbench", "run"], True),
        (["python", "-m", "pytest", "rlbench"], False),
        (["python", "-m"], False),
        (["python", "train.py", "rlbench"], False),
        (["python", "-c", "import rlbench"], False),
    ],
)
def test_what_a_command_is(words: list[str], expected: bool) -> None:
    assert is_command(words) == expected
