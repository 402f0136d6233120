"""A dry run refuses what the run would refuse, and writes nothing; recipes carry their own names."""

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


def test_a_dry_run_refuses_what_the_run_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path, "variant=hard_mse")
    before = files(tmp_path)
    words = [f"store={tmp_path}", "variant=soft_mse", "final_window=3", "wandb.mode=disabled", "seeds=1"]
    told = []
    for more in ([], ["--dry-run"]):
        assert command.main([*words, *more]) == 2
        told.append(capsys.readouterr().err)
    assert told[0] == told[1]
    assert "has final_window=5" in told[0]
    assert files(tmp_path) == before


def test_a_dry_run_sees_that_the_store_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert command.main([f"store={tmp_path}/file/below", *QUIET]) == 2
    assert "ot a directory" in capsys.readouterr().err
