"""A help text, a plan, a command with nothing to do and a report answer at once: held by what they import, not by a clock."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import importlib, sys
code = importlib.import_module("rlbench." + sys.argv[1]).main(sys.argv[2:])
print("imported:", *(name for name in ("torch", "wandb", "optuna", "gymnasium", "matplotlib", "scipy.stats") if name in sys.modules))
sys.exit(code)
"""


def imported(folder: Path, *words: str) -> set[str]:
    """Which of the large packages a command has imported by its end."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        cwd=folder,
        env=os.environ | {"RLBENCH_COMPILE": "0"},
        text=True,
        capture_output=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one run is stored."""
    folder = tmp_path_factory.mktemp("at_once")
    assert imported(folder, "run", *WORDS) == set()  # it is the workers that train
    assert "torch" in imported(folder, "verify")
    return folder


WORDS = ("variant=random", "seeds=1", "steps=300", "workers=1", "report=false")


def test_help_and_plan_import_nothing_large(tmp_path: Path) -> None:
    assert imported(tmp_path, "run", "--help") == set()
    assert imported(tmp_path, "run", "experiment=quickstart", "--dry-run") == set()


def test_nothing_to_do_and_a_report_import_no_torch(folder: Path) -> None:
    assert imported(folder, "run", *WORDS) == set()
    assert imported(folder, "report") == {"matplotlib", "scipy.stats"}  # with seaborn, for the figures
