"""A stalled owner that comes back cannot publish over its successor, wherever it stalled; and nobody waits for a lock."""

import math
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import store_toy
from store_toy import LONG, Toy, everything, record, spec_of, taken_over

from rlbench.errors import LeaseLostError, WriteError
from rlbench.store import Store, audit, compaction, files, load
from rlbench.store.claims import ClaimReader
from rlbench.store.erasing import erase, erasure
from rlbench.store.index import Index
from rlbench.store.index_log import KEPT, _object
from rlbench.store.schema import SCHEMAS
from rlbench.store.sweeping import strays

TOY = Toy((20, 30))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("whole")
    TOY.finish(path)
    return everything(path)


def finish(path: Path) -> None:
    store = taken_over(path)
    with store.program(TOY.run_ids) as program:
        assert set(program.run_ids) == set(TOY.run_ids) - store.final_runs()
        TOY.train(program)


def check(path: Path, whole: dict[str, Any]) -> None:
    """The store is what it would have been without any stall, and nothing is left."""
    Store.open(path).settle()
    assert everything(path) == whole
    assert audit(load(path)) == []
    store = Store.open(path)
    assert strays(store.layout, store.index) == []
    assert store.index.read().writers == {}
    for folder in ("staging", "checkpoints", "claims", "leases"):
        assert not list((path / folder).iterdir()), folder


def test_an_owner_that_gives_no_sign_is_succeeded_and_cannot_publish(tmp_path: Path, whole: dict[str, Any]) -> None:
    store = Store.open(tmp_path)
    stalled = store.program(record(store, list(TOY.specs.values())), LONG)
    TOY.train(stalled, commits=1)
    with Store.open(tmp_path).program(TOY.run_ids) as other:
        assert other.run_ids == ()  # who has not watched yet leaves it alone
    finish(tmp_path)
    for write in (lambda: TOY.train(stalled, commits=1), lambda: stalled.claim([]) or stalled.release(TOY.run_ids)):
        with pytest.raises(LeaseLostError, match="its runs are another's"):
            write()
    stalled.close()
    check(tmp_path, whole)


class _NeverStalledError(Exception):
    """The training came to its end before."""


def stalled_at(path: Path, place: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Train until before the nth file operation, where somebody takes over and trains to the end; then go on. What came of it."""
    store = Store.open(path)
    program = store.program(record(store, list(TOY.specs.values())), LONG)
    left = place

    def stall(name: str) -> None:
        nonlocal left
        left -= 1
        if left == -1:
            finish(path)

    with monkeypatch.context() as patch:
        for name in store_toy.PRIMITIVES:
            patch.setattr(files, name, getattr(files, name))  # so that it is put back
        store_toy.before_each_primitive(stall)
        try:
            TOY.train(program)
            return "ended" if left < 0 else "never stalled"
        except LeaseLostError:
            return "fenced"
        finally:
            program.close()


def test_stalled_before_any_file_operation_nothing_is_lost_or_doubled(
    tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    ends: list[str] = []
    while not ends or ends[-1] != "never stalled":
        path = tmp_path / f"{len(ends)}"
        ends.append(stalled_at(path, stride * len(ends), monkeypatch))
        check(path, whole)
    assert ends.count("fenced") > 25 // stride
    assert ends.count("ended") <= math.ceil(9 / stride)  # behind its last commit


def test_a_stopped_process_is_succeeded_and_comes_back_to_nothing(tmp_path: Path, whole: dict[str, Any]) -> None:
    store = Store.open(tmp_path)
    run_ids = record(store, list(TOY.specs.values()))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with store_toy.start("stall", tmp_path, *run_ids, **pipes) as stalled:
        assert stalled.stdout is not None
        assert stalled.stdout.readline().split() == run_ids
        stalled.send_signal(signal.SIGSTOP)
        program = store.program([])
        while not program.claim(run_ids):
            time.sleep(0.05)
        with program:
            TOY.train(program)
        stalled.send_signal(signal.SIGCONT)
        _, err = stalled.communicate()
    assert "LeaseLostError: the lease on" in err.splitlines()[-1]
    check(tmp_path, whole)


def test_writers_at_once_lose_no_commit(tmp_path: Path) -> None:
    Store.open(tmp_path)
    shares = [("0", "1"), ("2", "3"), ("4", "5")]
    writers = [store_toy.start("train-own", tmp_path, 60, *seeds) for seeds in shares]
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0, 0]
    results = load(tmp_path)
    assert list(results.runs["status"]) == ["done"] * 6
    assert list(results.episodes.groupby("run_id").size()) == [12] * 6
    assert results.stored_digests(results.runs["run_id"]) == dict(results.runs[["run_id", "digest"]].to_numpy())
    assert len(Store.open(tmp_path).read_rows("outcomes")) == 6
    store = Store.open(tmp_path)
    assert strays(store.layout, store.index) == []
    assert len(list((tmp_path / "index").iterdir())) <= 2 * (KEPT + 1)


def test_a_writer_that_slept_until_its_number_was_free_again_follows_nothing_old(tmp_path: Path) -> None:
    """Between its look at the index and its write, so many others wrote that the version it would write had been removed."""
    store, other = Store.open(tmp_path), Store.open(tmp_path)
    seen: list[int] = []

    def slow(index: Index) -> Index:
        if not seen:
            for seed in range(KEPT):
                record(other, [spec_of(seed)], f"e{seed}")
            assert not (tmp_path / _object(index.version + 1)).exists()
        seen.append(index.version)
        return index.with_doomed([f"weights/{'0' * 16}.safetensors"])

    following = store.index.transact(slow)
    assert len(seen) == 2
    assert seen[1] > seen[0] + KEPT
    assert following.version == seen[1] + 1
    assert len(Store.open(tmp_path, create=False).experiments()) == KEPT


def test_records_follow_from_the_records_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that add to one experiment at once, the second adds to what the first has made of it."""
    store, other = Store.open(tmp_path), Store.open(tmp_path)
    put, is_first = store.index.objects.put, True

    def late(name: str, data: bytes) -> bool:
        nonlocal is_first
        if is_first and name.startswith("index/") and "record" in data.decode():
            is_first = False
            record(other, [spec_of(0), spec_of(1)], command="b", comparisons=[{"family": "f", "pairs": [["v", "w"]]}])
        return put(name, data)

    monkeypatch.setattr(store.index.objects, "put", late)
    record(store, [spec_of(1), spec_of(2)], command="a")
    assert not is_first
    assert len(Store.open(tmp_path).members(store_toy.NAME)) == 3
    assert len(Store.open(tmp_path).read_rows("specs")) == 3
    definition = Store.open(tmp_path).experiments()[store_toy.NAME]
    assert definition["comparisons"] == [{"family": "f", "pairs": [["v", "w"]]}]
    assert definition["commands"] == ["b", "a"]


def test_of_two_that_claim_at_once_one_holds_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = Store.open(tmp_path), Store.open(tmp_path)
    run_ids = record(store, list(TOY.specs.values()))
    program, taken = store.program([]), []
    write: Callable[..., bool] = store.index.objects.put

    def late(name: str, data: bytes) -> bool:
        if not taken:
            taken.append(other.program(run_ids[:1]))
        return write(name, data)

    monkeypatch.setattr(store.index.objects, "put", late)
    assert program.claim(run_ids) == (run_ids[1],)
    assert taken[0].run_ids == (run_ids[0],)
    program.close()
    taken[0].close()


def test_who_is_overtaken_while_claiming_keeps_what_it_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = Store.open(tmp_path), Store.open(tmp_path)
    first, second = record(store, list(TOY.specs.values()))
    program, taken = store.program([first]), []
    write: Callable[..., bool] = store.index.objects.put

    def late(name: str, data: bytes) -> bool:
        if not taken:
            taken.append(other.program([second]))
        return write(name, data)

    monkeypatch.setattr(store.index.objects, "put", late)
    assert program.claim([second]) == ()
    assert set(Store.open(tmp_path).claimed()) == {first, second}
    TOY.train(program)
    with taken[0] as successor:
        TOY.train(successor)
    program.close()
    assert set(Store.open(tmp_path).outcomes()) == {first, second}


def test_versions_do_not_pile_up_where_each_is_overtaken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = Store.open(tmp_path), Store.open(tmp_path)
    put = store.index.objects.put

    def overtaken(name: str, data: bytes) -> bool:
        is_given = put(name, data)
        if is_given and name.startswith("index/") and "copy" not in name:
            other.index.transact(lambda index: index.with_doomed([f"weights/{index.version:016d}.safetensors"]))
        return is_given

    monkeypatch.setattr(store.index.objects, "put", overtaken)
    for seed in range(2 * KEPT):
        record(store, [spec_of(seed)], f"e{seed}")
    assert len(Store.open(tmp_path, create=False).experiments()) == 2 * KEPT
    assert len(list((tmp_path / "index").iterdir())) <= 2 * (KEPT + 2)


@pytest.mark.parametrize("commits", [1, 2 * KEPT])
def test_a_listing_that_is_late_makes_nothing_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    """As an NFS client may see it: names are given, and parts merged, that a list of names does not show yet."""
    toy = Toy((1000, 1000))
    store = Store.open(tmp_path)
    with store.program(record(store, list(toy.specs.values()))) as program:
        toy.train(program, commits=1)
        reader = Store.open(tmp_path, create=False)
        held, seen, names = reader.index.read(), reader.index.objects.names("index"), reader.index.objects.names
        monkeypatch.setattr(compaction, "FAN", 2)
        toy.train(program, commits=commits)
        late = [seen] * 20 if commits == 1 else [seen] * 3  # a listing is late, and not for ever

        def listed(folder: str) -> list[str]:
            return late.pop() if folder == "index" and late else names(folder)

        monkeypatch.setattr(reader.index.objects, "names", listed)
        fresh = ClaimReader(reader.layout, reader.index, reader.damage)
        assert len(reader.read_rows("episodes")) >= 4
        assert fresh.held(held) in (None, fresh.held(reader.index.read()))
        assert set(fresh.held_now(()).values()) == {frozenset(toy.run_ids)}
        version = reader.index.latest().version
        assert reader.index.read().version >= version
    assert reader.damage.lines == []


def test_who_merges_parts_by_an_old_index_leaves_what_others_have_merged(
    tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    with store.program(record(store, list(TOY.specs.values()))) as program:
        TOY.train(program)
        old = store.index.read()
        assert max(len(old.of(table)) for table in SCHEMAS) > 2
        monkeypatch.setattr(compaction, "FAN", 2)
        compaction.compact(store.layout, old, program._session)
        merged = store.index.read()
        assert merged.version > old.version
        compaction.compact(store.layout, old, program._session)
        assert store.index.read() == merged
    check(tmp_path, whole)


def refuse_to_remove(refused: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a folder does in which somebody else's files are protected."""
    remove = files.remove

    def refuse(path: Path) -> None:
        if path == refused:
            raise WriteError(f"cannot write {path}: Permission denied")
        remove(path)

    monkeypatch.setattr(files, "remove", refuse)


def test_a_writer_whose_files_cannot_be_removed_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    stalled = store.program(record(store, list(TOY.specs.values())), LONG)
    TOY.train(stalled, commits=1)
    (claim,) = (tmp_path / "claims").iterdir()
    stray = claim.with_name(f"{claim.name[:12]}-000099")
    stray.touch()
    stalled._session.close()
    with monkeypatch.context() as patch:
        refuse_to_remove(stray, patch)
        finish(tmp_path)
        assert claim.name[:12] in store.index.read().writers
    Store.open(tmp_path)
    assert not stray.exists()
    assert store.index.read().writers == {}


def test_staged_weights_that_cannot_be_removed_keep_their_runs_from_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    run_ids = record(store, list(TOY.specs.values()))
    stalled = store.program(run_ids)
    staged = tmp_path / "staging" / f"{stalled._session.name}-{run_ids[0]}.safetensors"
    staged.touch()
    stalled._session.close()
    refuse_to_remove(staged, monkeypatch)
    with pytest.raises(WriteError, match="Permission denied"):
        Store.open(tmp_path)


def test_a_run_that_was_deleted_while_it_was_being_claimed_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = Store.open(tmp_path), Store.open(tmp_path)
    run_ids = record(store, list(TOY.specs.values()))
    program, settle, erased = store.program([]), store.settle, list[bool]()

    def late() -> None:
        if not erased:
            erased.append(True)
            erase(other, lambda: erasure(other, [store_toy.NAME]))
        settle()

    monkeypatch.setattr(store, "settle", late)
    assert program.claim(run_ids) == ()
    program.close()
    with pytest.raises(RuntimeError, match="claim after close"):
        program.claim(run_ids)


def test_what_a_dead_writer_left_after_it_was_swept_is_told(tmp_path: Path) -> None:
    TOY.finish(tmp_path)
    late = tmp_path / "checkpoints" / "0123456789ab-000002.safetensors"
    late.touch()
    store = Store.open(tmp_path)
    store.note_strays()
    assert store.damage.lines == [f"{late} is of no commit, and left aside"]
