"""What the wheel holds is enough: installed somewhere else, the commands work from a folder that has no checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.commands import SMALL

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the package of a wheel that was built here."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("rlbench-*.whl")
    site = folder / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    return site


def run(installed: Path, folder: Path, *words: str) -> str:
    """The output of a Python command in `folder` that imports rlbench from the wheel."""
    environment = os.environ | {"PYTHONPATH": str(installed), "RLBENCH_COMPILE": "0", "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_trains_reports_and_verifies_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    assert str(installed) in run(installed, tmp_path, "-c", "import rlbench; print(rlbench.__file__)")
    words = ("-m", "rlbench.run", "variant=hard_mse,soft_huber", "seeds=2", *SMALL, "wandb.mode=disabled")
    assert "report: " in run(installed, tmp_path, *words)
    assert (tmp_path / "results/reports/adhoc/report.html").exists()
    assert "the same digest" in run(installed, tmp_path, "-m", "rlbench.verify")
    assert "32 runs" in run(installed, tmp_path, "-m", "rlbench.run", "experiment=quickstart", "--dry-run")
    assert "64 trials" in run(installed, tmp_path, "-m", "rlbench.tune", "study=cartpole", "--dry-run")
    script = installed / "bin" / "rlbench"
    assert script.exists()


@pytest.mark.slow
def test_a_wheel_says_its_licence(installed: Path) -> None:
    (folder,) = installed.glob("rlbench-*.dist-info")
    assert "License-Expression: Apache-2.0" in (folder / "METADATA").read_text()
    assert "Apache License" in (folder / "licenses/LICENSE").read_text()


USER_SCRIPT = """
import pandas as pd
import rlbench

results: rlbench.Results = rlbench.run("soft_huber", env="CartPole-v1", seeds=16, steps=20_000, optimizer__lr=1e-3)
several: rlbench.Results = rlbench.run(["soft_huber", "hard_mse"], seeds=[0, 1])
runs: pd.DataFrame = rlbench.load("results").experiment("adhoc").runs
variant = rlbench.Variant(double=True)
"""


@pytest.mark.slow
def test_a_users_script_is_checked_against_the_types_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    def checked(text: str) -> str:
        (tmp_path / "script.py").write_text(text)
        command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--strict", "script.py"]
        environment = os.environ | {"MYPYPATH": "", "PYTHONPATH": str(installed)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout

    assert (installed / "rlbench" / "py.typed").exists()
    assert "Success" in checked(USER_SCRIPT)
    assert 'Revealed type is "rlbench.store.results.Results"' in checked(f"{USER_SCRIPT}reveal_type(several)\n")
    told = checked('import rlbench\nrlbench.run("soft_huber", seeds="many", steps="long")\n')
    assert 'Argument "steps" to' in told
