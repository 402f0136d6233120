"""Deleting: what goes is gone, what stays is as it was, whoever holds a run is named, and a kill at any moment leaves a store that verifies."""

import io
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import store_toy
from store_toy import Toy, record, spec_of

import rlbench.delete
from rlbench.errors import ConfigError
from rlbench.store import Store, compaction, erasing, load, sweeping
from rlbench.store.checking import check_files
from rlbench.store.erasing import erase, erasure
from rlbench.store.parts import TableReader

MINE, SHARED, OTHER = Toy((20, 30)), Toy((20,)), "other"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two runs of the experiment toy, the first of which another one has too."""
    path = tmp_path / "results"
    MINE.finish(path)
    record(Store.open(path), list(SHARED.specs.values()), OTHER)
    return path


def problems(path: Path) -> list[str]:
    """Whatever `verify` would say of the files of a store."""
    store = Store.open(path, create=False)
    check_files(store)
    store.note_strays()
    results = load(path)
    wrong = [
        run_id
        for run_id, found in results.stored_digests(results.runs["run_id"]).items()
        if found != store.outcomes()[run_id]["digest"]
    ]
    return [*store.damage.lines, *results.store.damage.lines, *wrong]


def delete(path: Path, *experiments: str) -> None:
    store = Store.open(path)
    erase(store, lambda: erasure(store, experiments))


def test_an_experiment_goes_and_what_another_one_has_too_stays(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shared, own), before = MINE.run_ids, store_toy.everything(path)
    assert rlbench.delete.main([store_toy.NAME, "--yes", f"store={path}"]) == 0
    assert "1 run of other experiments too, which stay" in capsys.readouterr().out
    results = load(path)
    assert list(results.experiments) == [OTHER]
    assert list(results.runs["run_id"]) == [shared]
    assert not results.weights_path(own).exists()
    assert own not in str(store_toy.everything(path))
    assert store_toy.everything(path)["weights"][shared] == before["weights"][shared]
    assert problems(path) == []


def test_nothing_of_a_deleted_run_is_left_in_any_file(path: Path) -> None:
    _, own = MINE.run_ids
    delete(path, store_toy.NAME)
    tables = [
        file for file in path.rglob("*.parquet") if file.parent.name != "starts"
    ]  # a beginning stays: it has no results
    assert not [file for file in tables if own.encode() in file.read_bytes()]


def test_a_deleted_run_can_be_trained_again(path: Path) -> None:
    before = store_toy.everything(path)
    delete(path, store_toy.NAME)
    MINE.finish(path)
    assert store_toy.everything(path) == before
    assert problems(path) == []


def test_a_run_goes_out_of_all_its_experiments(path: Path) -> None:
    shared, own = MINE.run_ids
    assert rlbench.delete.main([shared, "--yes", f"store={path}"]) == 0
    assert list(load(path).experiments) == [store_toy.NAME, OTHER]
    assert list(load(path).runs["run_id"]) == [own]


def test_a_state_among_those_of_others_is_not_gone_on_from(tmp_path: Path) -> None:
    path, (first, second) = tmp_path / "results", MINE.run_ids
    with MINE.program(path) as program:
        MINE.train(program, commits=1)
    store = Store.open(path)
    erase(store, lambda: erasure(store, [], [first]))
    assert set(Store.open(path).progress()) == {second}
    MINE.finish(path)
    MINE.finish(tmp_path / "fresh")
    assert store_toy.everything(path) == store_toy.everything(tmp_path / "fresh")
    assert problems(path) == []


def test_who_reads_along_sees_that_a_run_is_gone(path: Path) -> None:
    reader = Store.open(path, create=False)
    assert len(reader.specs()) == 2
    delete(path, store_toy.NAME)
    assert list(reader.experiments()) == [OTHER]
    assert list(reader.specs()) == list(reader.outcomes()) == SHARED.run_ids


def test_what_is_being_trained_is_refused_and_its_process_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results"
    record(Store.open(path), list(MINE.specs.values()))
    holder = store_toy.start("hold", path, *MINE.run_ids, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout
        holder.stdout.readline()
        assert rlbench.delete.main([store_toy.NAME, "--yes", f"store={path}"]) == 2
        assert f"toy is being trained by process {holder.pid} on" in capsys.readouterr().err
        assert list(load(path).experiments) == [store_toy.NAME]
    finally:
        holder.communicate()
    assert rlbench.delete.main([store_toy.NAME, "--yes", f"store={path}"]) == 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "is_gone"), [("y\n", True), ("\n", False), ("", False), ("no\n", False)])
def test_it_asks(path: Path, answer: str, is_gone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert rlbench.delete.main([store_toy.NAME, f"store={path}"]) == 0
    assert (store_toy.NAME not in load(path).experiments) == is_gone


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["toyy", "--yes"], "no run or experiment 'toyy'"),
        (["othr", "--yes"], "did you mean 'other'?"),
        ([], "say what to delete"),
        (["toy"], "nobody can be asked here"),
        (["toy", "--force"], "expected key=value, got '--force'"),
    ],
)
def test_what_cannot_be_deleted_is_one_line(
    path: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert rlbench.delete.main([*words, f"store={path}"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert list(load(path).experiments) == [store_toy.NAME, OTHER]


def test_an_experiment_of_a_study_is_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(Store.open(path), [spec_of(7)], "trials", tuning_of="study")
    assert rlbench.delete.main(["trials", "--yes", f"store={path}"]) == 2
    assert "'trials' is of the study 'study'" in capsys.readouterr().err


def killed_before(path: Path, primitives: int) -> bool:
    """Delete in a process that is killed before its nth file operation; whether it came to its end before."""
    child = os.fork()
    if child == 0:
        left = primitives

        def count(name: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        store_toy.before_each_primitive(count)
        delete(path, store_toy.NAME)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return not os.WIFSIGNALED(status)


def test_a_kill_at_any_moment_deletes_all_or_nothing(path: Path, tmp_path: Path, stride: int) -> None:
    before = store_toy.everything(path)
    outcomes: list[Any] = []
    for n in range(0, 200, stride):
        copy = tmp_path / "copy"
        shutil.copytree(path, copy)
        is_done = killed_before(copy, n)
        Store.open(copy)
        assert problems(copy) == []
        outcomes.append(list(load(copy).experiments))
        if outcomes[-1] != [OTHER]:
            assert store_toy.everything(copy) == before
        shutil.rmtree(copy)
        if is_done:
            break
    assert outcomes == sorted(outcomes, reverse=True)  # from some operation on it is deleted
    assert outcomes[0] == [store_toy.NAME, OTHER]
    assert outcomes[-1] == [OTHER]


def test_what_is_trained_while_parts_are_rewritten_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results"
    with MINE.program(path) as program:
        MINE.train(program, commits=1)
    rewritten, trained = erasing._rewritten, []

    def late(*args: Any) -> Any:
        if not trained:
            trained.append(True)
            MINE.finish(path)
        return rewritten(*args)

    monkeypatch.setattr(erasing, "_rewritten", late)
    delete(path, store_toy.NAME)
    left = [
        one
        for one in path.rglob("*")
        if one.is_file()
        for run_id in MINE.run_ids
        if run_id.encode() in one.read_bytes()
    ]
    assert {one.parent.name for one in left} <= {"starts", "index"}  # that they began, and that their weights went
    assert len(load(path).episodes) == 0
    assert list(path.joinpath("weights").iterdir()) == []
    assert problems(path) == []


def test_who_slept_while_removing_weights_leaves_those_of_the_run_that_was_trained_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, slept = sweeping._remove_doomed, []

    def late(*args: Any) -> None:
        if not slept:
            slept.append(True)
            Store.open(path)  # somebody else removes them
            MINE.finish(path)
        remove(*args)

    monkeypatch.setattr(sweeping, "_remove_doomed", late)
    delete(path, store_toy.NAME, OTHER)
    assert len(list((path / "weights").iterdir())) == len(MINE.run_ids)
    assert list((path / "staging").iterdir()) == []
    assert problems(path) == []


def test_what_is_still_to_be_removed_is_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "settle", lambda _: None)  # killed before
    delete(path, store_toy.NAME, OTHER)
    monkeypatch.undo()
    assert len(list((path / "weights").iterdir())) == 2
    assert problems(path) == []
    Store.open(path)
    assert list((path / "weights").iterdir()) == []


def test_who_reads_records_while_they_are_erased_finds_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, pieces, erased = Store.open(path, create=False), TableReader.pieces, list[bool]()

    def late(*args: Any) -> Any:
        if not erased:
            erased.append(True)
            delete(path, store_toy.NAME)
        return pieces(*args)

    monkeypatch.setattr(TableReader, "pieces", late)
    reading.specs()
    assert reading.damage.lines == []
    assert set(reading.specs()) == set(SHARED.run_ids)


def test_a_run_that_is_added_and_taken_meanwhile_is_not_deleted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewritten, programs = erasing._rewritten, []

    def late(*args: Any) -> Any:
        if not programs:
            other = Store.open(path)
            programs.append(other.program(record(other, [spec_of(9)])))
        return rewritten(*args)

    monkeypatch.setattr(erasing, "_rewritten", late)
    with pytest.raises(ConfigError, match=f"{store_toy.NAME} is being trained by process {os.getpid()}"):
        delete(path, store_toy.NAME)
    assert len(Store.open(path).members(store_toy.NAME)) == 3
    programs[0].close()


def test_parts_that_are_merged_meanwhile_are_rewritten_as_they_are_then(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten, trained, toy = erasing._rewritten, [], Toy((40,))

    def late(*args: Any) -> Any:
        if not trained:
            trained.append(True)
            monkeypatch.setattr(compaction, "FAN", 2)
            other = Store.open(path)
            with other.program(record(other, list(toy.specs.values()), "third")) as program:
                toy.train(program)
        return rewritten(*args)

    monkeypatch.setattr(erasing, "_rewritten", late)
    delete(path, store_toy.NAME)
    assert set(load(path).runs["run_id"]) == {*SHARED.run_ids, *toy.run_ids}
    assert problems(path) == []


def test_who_verifies_while_a_run_is_deleted_finds_nothing_of_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, specs = Store.open(path, create=False), Store.specs

    def late(self: Store, *args: Any) -> Any:
        if self is store:
            with monkeypatch.context() as patch:
                patch.setattr(Store, "settle", lambda _: None)
                patch.setattr(Store, "specs", specs)
                delete(path, store_toy.NAME, OTHER)
        return specs(self, *args)

    store.memberships()
    monkeypatch.setattr(Store, "specs", late)
    check_files(store)
    assert store.damage.lines == []
