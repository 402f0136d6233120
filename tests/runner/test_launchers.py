"""The `launcher` keys: what is said of them, and what is refused in a line before anything is written."""

import importlib.util
from pathlib import Path

import pytest

from rlbench.config import resolve
from rlbench.config.launchers import LAUNCHERS, LauncherSettings
from rlbench.errors import ConfigError
from tests.runner.commands import SMALL, run


def test_a_launcher_is_chosen_by_its_name_and_its_keys() -> None:
    assert resolve([]).launcher == LauncherSettings("local")
    words = ["launcher=ray", "launcher.address=10.0.0.1:6379", "launcher.cpus=0.25", "launcher.memory_gb=4"]
    assert resolve(words).launcher == LauncherSettings("ray", "10.0.0.1:6379", 0.25, 4.0)
    words = ["launcher=slurm", "launcher.partition=cpu", "launcher.sbatch=['qos=short','exclusive']", "workers=4"]
    assert resolve(words).launcher == LauncherSettings("slurm", partition="cpu", sbatch=("qos=short", "exclusive"))
    assert resolve(words).planned == resolve([]).planned


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["launcher=rya"], f"unknown launcher 'rya'; did you mean 'ray'? (one of: {', '.join(LAUNCHERS)})"),
        (["launcher=local,ray"], "launcher takes one value for the whole command; got local,ray"),
        (
            ["launcher.address=auto"],
            "'launcher.address' does not apply: launcher=local has no 'address', only launcher=ray",
        ),
        (["launcher=ray", "launcher.minutes=5"], "launcher=ray has no 'minutes', only launcher=slurm"),
        (["launcher=slurm", "launcher.cpus=0.5"], "launcher.cpus must be a whole number with launcher=slurm; got 0.5"),
        (["launcher=ray", "launcher.cpus=1.5"], "launcher.cpus must be a whole number, or below 1, with launcher=ray"),
        (["launcher=ray", "launcher.cpus=0"], "launcher.cpus must be > 0"),
        (["launcher=slurm", "launcher.sbatch=['=short']"], "launcher.sbatch is a list of texts 'option=value'"),
        (["launcher.adress=x"], "did you mean 'launcher.address'?"),
    ],
)
def test_what_no_launcher_can_use_is_refused_in_a_line(tmp_path: Path, words: list[str], text: str) -> None:
    code, out, err = run(tmp_path / "store", *words)
    assert (code, out) == (2, "")
    assert text in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "store").exists()


def test_no_file_chooses_a_launcher(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("question: where?\nvariant: hard_mse\nset: {launcher: ray}\n")
    with pytest.raises(
        ConfigError, match=r"set\.launcher is not a file's to choose: give launcher= on the command line"
    ):
        resolve([f"--config-dir={tmp_path}", "experiment=mine"])


@pytest.mark.parametrize(
    ("kind", "package", "module"), [("ray", "ray", "rlbench.run"), ("slurm", "submitit", "rlbench.tune")]
)
def test_a_launcher_whose_extra_is_missing_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, package: str, module: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == package else find(name, *more))
    words = ("study=cartpole",) if module == "rlbench.tune" else ("seeds=1", *SMALL)
    code, out, err = run(
        tmp_path / "store", *words, f"launcher={kind}", "workers=2", "wandb.mode=disabled", module=module
    )
    assert (code, out) == (2, "")
    assert err.strip().endswith(f"launcher={kind} needs {package}: pip install 'rlbench[{kind}]'")
    assert not (tmp_path / "store").exists()
