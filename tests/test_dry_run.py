"""A dry run refuses what the run would refuse, and writes nothing; recipes carry their own names."""

from collections.abc import Callable
from pathlib import Path

import pytest

import rlbench.run as command
from rlbench.config import resolve, spec_of
from rlbench.store import Member, Store

QUIET = ("wandb.mode=disabled", "seeds=1", "--dry-run")


def recorded(store: Path, *words: str) -> None:
    """A store that holds the plan of these words."""
    request = resolve([f"store={store}", "seeds=1", *words])
    members = [Member(planned.run_id, planned.variant, planned.position) for planned in request.planned]
    specs = {planned.run_id: spec_of(planned.run) for planned in request.planned}
    Store.open(store).record_experiment(request.name, request.definition, members, specs)


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_recipe_carries_its_name(tmp_path: Path) -> None:
    assert resolve(["recipe=mlp_hard"]).name == "mlp_hard"
    assert resolve(["recipe=mlp_hard", "name=mine"]).name == "mine"
    assert resolve(["recipe=mlp_hard,mlp_hard_fixed"]).name == "adhoc"
    recorded(tmp_path, "variant=hard_mse")
    assert (
        command.main([f"store={tmp_path}", "recipe=pytorch_state", *QUIET]) == 0
    )  # another final_window, another name


def _other_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "thesis.tex").write_text("x")
    return [f"store={tmp_path}"]


def _later_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    recorded(tmp_path, "variant=hard_mse")
    next(path for path in tmp_path.iterdir() if "format" in path.name).write_text('{"format": 99}')
    return [f"store={tmp_path}"]


def _no_such_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("CXX", "no-such-compiler")
    return [f"store={tmp_path / 's'}"]


def _below_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "file").write_text("")
    return [f"store={tmp_path}/file/below"]


def _no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    return [f"store={tmp_path / 's'}", "wandb.mode=online"]


def _a_long_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return [f"store={tmp_path / ('x' * 300)}"]


def _a_long_folder_of_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return [f"store={tmp_path / 's'}", "--config-dir", "x" * 5000]


def _another_final_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    recorded(tmp_path, "variant=hard_mse")
    return [f"store={tmp_path}", "variant=soft_mse", "final_window=3"]


@pytest.mark.parametrize(
    "case",
    [
        _other_folder,
        _later_format,
        _no_such_compiler,
        _below_a_file,
        _no_login,
        _another_final_window,
        _a_long_name,
        _a_long_folder_of_configuration,
    ],
)
def test_a_dry_run_refuses_what_the_run_refuses(
    case: Callable[[Path, pytest.MonkeyPatch], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    words = ["seeds=1", "steps=1000", *case(tmp_path, monkeypatch)]
    before, found = files(tmp_path), []
    for more in ([], ["--dry-run"]):
        found.append((command.main([*words, *more]), capsys.readouterr().err))
    assert found[0] == found[1]
    assert found[0][0] in (2, 4)
    assert len(found[0][1].splitlines()) == 1
    assert files(tmp_path) == before
