"""A report that would be the same again is left as it is; whatever it depends on makes it anew."""

from collections.abc import Callable
from pathlib import Path

import pytest
from written_runs import PlannedRun, write_store

from rlbench.reports import made_of
from rlbench.store import Store, load
from rlbench.store.erasing import erase, erasure


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(made_of, "package_version", lambda: "1.0")
    path = tmp_path / "results"
    write_store(path, [PlannedRun("hard", 0, {100: [1.0]}), PlannedRun("soft", 0, {100: [2.0]})])
    return path


def times_written(store: Path, change: Callable[[Path], object]) -> int:
    """How often a report is written that is asked for three times, the last time after a change of the store or its folder."""
    out, count = store / "reports" / "example", 0

    def write(folder: Path) -> Path:
        nonlocal count
        count += 1
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.html").write_text("page")
        return folder / "report.html"

    for _ in range(2):
        assert made_of.written(load(store).experiment("example"), out, write) == out / "report.html"
    change(out)
    made_of.written(load(store).experiment("example"), out, write)
    return count


def a_run_goes(out: Path) -> None:
    store = Store.open(out.parents[1])
    run_id = next(iter(store.specs()))
    erase(store, lambda: erasure(store, [], [run_id]))


def a_film_is_made(out: Path) -> None:
    (out.parents[1] / "play").mkdir()
    (out.parents[1] / "play" / "film.mp4").touch()


def test_it_is_written_once(store: Path) -> None:
    assert times_written(store, lambda out: None) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda out: (out / "report.html").write_text("mine"),
        lambda out: (out / "report.html").unlink(),
        lambda out: (out / made_of.NAME).write_text("[]"),
        a_run_goes,
        a_film_is_made,
    ],
    ids=["page changed", "page gone", "note changed", "a run goes", "a film is made"],
)
def test_it_is_written_anew_after_a_change(store: Path, change: Callable[[Path], object]) -> None:
    assert times_written(store, change) == 2


def test_changed_code_has_no_name_and_writes_always(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_of, "package_version", lambda: "1.0+g123.dirty")
    assert times_written(store, lambda out: None) == 3
