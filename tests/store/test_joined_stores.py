"""Several stores as one: every run once, with its own numbers; two that disagree are an error; nothing is written."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import store_toy
from store_toy import Toy, record, spec_of

import rlbench.report
from rlbench.store import Store, audit, load
from rlbench.store.erasing import erase, erasure
from rlbench.store.recording import publish_records

WHOLE = Toy((20, 20, 20, 20))


def with_runs(path: Path, places: list[int]) -> Path:
    """A store that has some of the runs of the whole."""
    WHOLE.finish(path)
    store, ids = Store.open(path), WHOLE.run_ids
    erase(store, lambda: erasure(store, [], [one for place, one in enumerate(ids) if place not in places]))
    return path


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    """Two stores with the seeds 0 to 2 and 2 to 3: one run is in both."""
    return [with_runs(tmp_path / "a", [0, 1, 2]), with_runs(tmp_path / "b", [2, 3])]


def test_together_they_are_the_whole(stores: list[Path], tmp_path: Path) -> None:
    WHOLE.finish(tmp_path / "whole")
    expected, joined = load(tmp_path / "whole", store_toy.NAME), load(stores, store_toy.NAME)
    beside = ["wall_s", "version"]
    for table in ("runs", "episodes", "evaluations", "diagnostics"):
        frames = [getattr(one, table).drop(columns=beside, errors="ignore") for one in (expected, joined)]
        pd.testing.assert_frame_equal(*frames)
    assert audit(joined) == []
    digests = joined.stored_digests(WHOLE.run_ids)
    assert digests == dict(zip(joined.runs["run_id"], joined.runs["digest"], strict=True))


def test_a_run_is_taken_from_where_it_has_come_furthest(tmp_path: Path) -> None:
    with WHOLE.program(tmp_path / "half") as program:
        WHOLE.train(program, commits=1)
    WHOLE.finish(tmp_path / "whole")
    assert list(load([tmp_path / "half", tmp_path / "whole"]).runs["status"]) == ["done"] * 4


def test_a_run_that_differs_is_an_error_that_names_it(stores: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    store, shared = Store.open(stores[1]), WHOLE.run_ids[2]
    end = store.outcomes()[shared]
    publish_records(store.layout, store.index, lambda: {"outcomes": [{**end, "digest": "f" * 64}]})
    assert rlbench.report.main([f"store={stores[0]},{stores[1]}"]) == 2
    error = capsys.readouterr().err
    assert f"run {shared} differs between {stores[0]} and {stores[1]}: digest" in error
    assert error.count("\n") == 1


def test_declared_seeds_are_those_of_each_cell(tmp_path: Path) -> None:
    for name, seeds in (("a", [0, 1]), ("b", [1, 2])):
        cells = [{"variant": "v", "env": "CartPole-v1"}]
        record(Store.open(tmp_path / name), [spec_of(seed) for seed in seeds], cells=cells, seeds=seeds)
    definition = load([tmp_path / "a", tmp_path / "b"]).experiments[store_toy.NAME]
    assert [cell["seeds"] for cell in definition["cells"]] == [[0, 1, 2]]
    assert definition["seeds"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("store={a},{a}", "names one folder twice"),
        ("store={a},{a}/nowhere", "there is no results folder"),
        ("store={a},{b} experiment=toyy", "did you mean 'toy'?"),
        ("store={a},{b} wandb=true", "give one of them"),
    ],
)
def test_what_cannot_be_joined_is_one_line(
    stores: list[Path], words: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stores[0].parent)
    assert rlbench.report.main(words.format(a=stores[0], b=stores[1]).split()) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not Path("reports").exists()


def test_reporting_on_them_writes_into_none(
    stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [shutil.copytree(path, tmp_path / f"{path.name}.before") for path in stores]
    monkeypatch.chdir(tmp_path)
    assert rlbench.report.main(["store=a,b", "lint=true"]) in (0, 1)
    for path, copy in zip(stores, before, strict=True):
        files = {one.relative_to(path): one.read_bytes() for one in path.rglob("*") if one.is_file()}
        assert files == {one.relative_to(copy): one.read_bytes() for one in copy.rglob("*") if one.is_file()}
