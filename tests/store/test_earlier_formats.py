"""Stores of formats 1 and 2: read as they are, and taken over once, whatever happens meanwhile."""

import errno
import fcntl
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import store_toy
from store_damage import changed, flipped, one_line, parts_of, shown
from store_toy import Toy, everything, record

from rlbench.errors import DamagedError, StoreError, WriteError
from rlbench.store import Store, compaction, earlier, files, load
from rlbench.store import layout as formats
from rlbench.store.sealed import seal
from rlbench.store.tensors import write_tensors


def as_of_format_1(path: Path) -> None:
    """Make a store what earlier versions have written: no index, no beginnings, no checksums."""
    shutil.rmtree(path / "index")
    shutil.rmtree(path / "tables" / "starts")
    (path / "format.json").write_text('{"format": 1}')
    results = Store.open(path, create=False)
    for run_id in results.specs():
        tensors = results.weights(run_id)
        results.weights_path(run_id).unlink()
        write_tensors(results.layout.objects, results.layout.weights(run_id), tensors, {"spec": "{}"})


def test_a_store_of_format_1_is_read_without_a_word_and_taken_over_when_written_to(store: Path) -> None:
    before, _ = shown(store)
    as_of_format_1(store)
    assert shown(store) == (before, [])
    assert not (store / "index").exists()
    Store.open(store)
    assert json.loads((store / "format.json").read_text()) == {"format": 3}
    assert Store.open(store).index.read().old_parts > 5
    assert shown(store) == (before, [])
    part = Store.open(store).parts("episodes")[0]
    part.write_bytes(flipped(part, 100))
    assert len(shown(store)[1]) == 1


def as_written_by_format_2(path: Path) -> None:
    """Make a store whose programs have ended what an earlier version has written."""
    index = Store.open(path).index.read()
    for name in ("index.json", "index.copy.json"):
        (path / name).write_text(json.dumps(seal({"parts": [vars(part) for part in index.parts]})))
    for folder in ("index", "leases"):
        shutil.rmtree(path / folder)
    (path / "format.json").write_text('{"format": 2}')


def as_of_format_2(path: Path) -> Path:
    """Make a store with one commit what an earlier version has left that was killed before it published it; returns what it staged."""
    index = Store.open(path).index.read()
    (checkpoint,) = (path / "checkpoints").iterdir()
    program = checkpoint.name[:12]
    checkpoint.rename(checkpoint.with_name(f"{program}.safetensors"))
    staged = path / "staging" / f"{program}-000001"
    staged.mkdir()
    own = [part for part in index.parts if program in part.name]
    for part in own:
        (path / "tables" / part.table / part.name).rename(staged / f"{part.table}-{part.name}")
    (staged / "record.json").write_text(json.dumps(seal({"parts": [vars(part) for part in own], "replaces": []})))
    before = [vars(part) for part in index.parts if part not in own]
    for name in ("index.json", "index.copy.json"):
        (path / name).write_text(json.dumps(seal({"parts": before})))
    (path / "staging" / "index.json.new").touch()
    for folder in ("index", "leases"):
        shutil.rmtree(path / folder)
    (path / "format.json").write_text('{"format": 2}')
    return staged


def test_what_a_killed_program_of_format_2_had_committed_is_published_when_it_is_taken_over(
    half: Path, whole: Path
) -> None:
    as_of_format_2(half)
    assert len(load(half).episodes) == 0
    assert Store.open(half, create=False).progress() == dict.fromkeys(Toy((20, 30)).run_ids, 10)
    assert len(load(half).episodes) == 0  # reading has changed nothing
    Store.open(half)
    assert len(load(half).episodes) == 4
    assert sorted(path.name for path in half.iterdir() if path.is_file()) == ["format.json"]
    assert list((half / "staging").iterdir()) == []
    Toy((20, 30)).finish(half)
    assert everything(half) == everything(whole)
    assert shown(half)[1] == []


def test_what_it_had_committed_and_is_damaged_is_told_and_its_runs_begin_again(
    half: Path, whole: Path, tmp_path: Path
) -> None:
    record = as_of_format_2(half) / "record.json"
    for bit in random.Random(6).sample(range(8 * record.stat().st_size), 10):
        copy = Path(shutil.copytree(half, tmp_path / f"{bit}"))
        damaged = copy / record.relative_to(half)
        damaged.write_bytes(flipped(damaged, bit))
        opened = Store.open(copy)
        one_line(opened.damage.lines)
        assert opened.damage.lines
        Toy((20, 30)).finish(copy)
        assert everything(copy) == everything(whole)


def test_a_store_to_which_an_earlier_version_is_writing_is_not_taken_over(half: Path) -> None:
    as_of_format_2(half)
    with open(half / "claims" / "0123456789ab", "w") as claim:
        fcntl.flock(claim, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="an earlier rlbench is writing to"):
            Store.open(half)
        assert (half / "index.json").exists()
    Store.open(half)


def test_a_damaged_part_of_format_1_is_told(store: Path) -> None:
    as_of_format_1(store)
    for path in parts_of(store):
        with changed(path, path.read_bytes()[:-30]):
            lines = shown(store)[1]
        one_line(lines)
        assert any(str(path) in line for line in lines)


def test_a_missing_part_of_format_2_is_told_and_the_others_are_read(store: Path) -> None:
    before = len(load(store).episodes)
    as_written_by_format_2(store)
    part = parts_of(store)[0]
    part.unlink()
    numbers, lines = shown(store)
    assert any(f"{part} is missing" in line for line in lines)
    assert numbers
    assert len(load(store).episodes) <= before


def test_an_index_of_format_2_is_parsed_once_as_long_as_it_is_the_same(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_written_by_format_2(store)
    parsed: list[int] = []
    parse = earlier.parse_index
    monkeypatch.setattr(earlier, "parse_index", lambda data: parsed.append(1) or parse(data))
    opened = Store.open(store, create=False)
    for _ in range(3):
        opened.index.read()
    assert len(parsed) == 1
    content = (store / "index.json").read_bytes()
    (store / "other").write_bytes(content)
    (store / "other").rename(store / "index.json")
    opened.index.read()
    assert len(parsed) == 2


def test_a_new_store_needs_no_lock_and_one_of_an_earlier_format_says_that_it_does(
    half: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_of_format_2(half)

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    Toy((20,)).finish(tmp_path / "new")
    assert not (tmp_path / "new" / "lock").exists()
    with pytest.raises(WriteError, match=r"cannot write .*/lock: No locks available"):
        Store.open(half)


def test_of_two_that_open_a_new_store_neither_takes_it_back_to_an_earlier_format(tmp_path: Path) -> None:
    Toy((20,)).finish(tmp_path)
    formats.begin_format(Store.open(tmp_path).layout, 1)  # who has looked before anything was there
    assert formats.read_format(Store.open(tmp_path).layout) == formats.FORMAT
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_who_claims_runs_while_a_store_is_tidied_up_keeps_them(
    half: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_of_format_2(half)
    tidy_up, programs = earlier.Takeover.tidy_up, []

    def late(takeover: earlier.Takeover) -> None:
        if not programs:
            programs.append(None)
            toy_store = Store(Store.open(half, create=False).layout)
            programs[0] = toy_store.program(record(toy_store, list(Toy((20, 30)).specs.values())))
        tidy_up(takeover)

    monkeypatch.setattr(earlier.Takeover, "tidy_up", late)
    Store.open(half)
    assert set(Store.open(half).claimed()) == set(Toy((20, 30)).run_ids)
    with programs[0] as program:
        Toy((20, 30)).train(program)
    assert everything(half) == everything(whole)
    assert shown(half)[1] == []


class _Killed(BaseException):
    """The end of the process, as far as the store can tell."""


def test_a_takeover_that_is_killed_anywhere_is_ended_by_the_next_who_opens_the_store(
    half: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    as_of_format_2(half)
    place = 0
    for place in range(0, 200, stride):
        copy = Path(shutil.copytree(half, tmp_path / f"{place}"))
        if not is_killed_at(copy, place, monkeypatch):
            break
        if list((copy / "index").glob("*")):  # then no earlier rlbench writes to it any more
            assert json.loads((copy / "format.json").read_text()) == {"format": 3}
        Store.open(copy)
        assert [path.name for path in copy.glob("[!.]*") if path.is_file()] == ["format.json"], place
        assert not [path for path in (copy / "staging").iterdir() if path.is_dir() or "index" in path.name], place
        assert list((copy / "claims").iterdir()) == [], place
        assert len(load(copy).episodes) == 4
        assert shown(copy)[1] == []
    assert place > 15


def is_killed_at(path: Path, place: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Open a store, to be killed before the nth file operation; whether it was."""
    left = place

    def kill(_: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise _Killed

    with monkeypatch.context() as patch:
        for name in store_toy.PRIMITIVES:
            patch.setattr(files, name, getattr(files, name))  # so that it is put back
        store_toy.before_each_primitive(kill)
        try:
            Store.open(path)
        except _Killed:
            return True
    return False


def test_who_reads_while_a_store_is_taken_over_reads_on(half: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_of_format_2(half)
    reading = Store.open(half, create=False)
    read: Any = formats.read_format
    are_left = iter([True])

    def late(layout: formats.Layout) -> int | None:
        if next(are_left, False):
            Store.open(half)
        return read(layout)  # type: ignore[no-any-return]

    monkeypatch.setattr(formats, "read_format", late)
    assert reading.num_rows("episodes") == 4


def test_a_takeover_of_format_1_that_is_killed_anywhere_loses_no_row(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    before, _ = shown(store)
    as_of_format_1(store)
    place = 0
    for place in range(0, 200, stride):
        copy = Path(shutil.copytree(store, tmp_path / f"{place}"))
        is_killed = is_killed_at(copy, place, monkeypatch)
        assert shown(copy) == (before, []), place
        Store.open(copy)
        assert shown(copy) == (before, []), place
        if not is_killed:
            break
    assert place > 15


def test_who_reads_a_store_of_format_1_while_it_is_taken_over_and_merged_reads_on(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(load(store).episodes)
    as_of_format_1(store)
    reading = Store.open(store, create=False)
    pieces, is_first = reading._tables.pieces("episodes"), True
    num_rows = 0
    for _, rows in pieces:
        num_rows += len(rows)
        if is_first:
            is_first = False
            monkeypatch.setattr(compaction, "FAN", 2)
            opened = Store.open(store)
            with opened.program(record(opened, [store_toy.spec_of(9)], "more")) as program:
                compaction.compact(opened.layout, opened.index.read(), program._session)
    assert num_rows == before
    assert reading.damage.lines == []


def test_a_store_of_format_2_without_its_index_is_not_opened_as_an_empty_one(store: Path) -> None:
    as_written_by_format_2(store)
    for name in ("index.json", "index.copy.json"):
        (store / name).unlink()
    for create in (False, True):
        with pytest.raises(DamagedError, match=r"index\.json is missing"):
            Store.open(store, create=create).num_rows("episodes")


def test_who_finds_a_folder_that_is_just_becoming_a_store_opens_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = files.names

    def late(folder: Path, **options: bool) -> list[str]:
        monkeypatch.undo()
        Store.open(tmp_path)
        return names(folder, **options)

    monkeypatch.setattr(files, "names", late)
    assert Store.open(tmp_path).num_rows("episodes") == 0


def test_a_store_that_is_just_being_made_has_nothing_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads sees it before each of the folders is made."""
    make_folder, seen = files.make_folder, 0

    def looked_at(folder: Path) -> None:
        nonlocal seen
        if (tmp_path / formats.Layout.format).exists():
            reader = Store.open(tmp_path, create=False)
            assert (reader.num_rows("episodes"), reader.damage.lines) == (0, [])
            seen += 1
        make_folder(folder)

    monkeypatch.setattr(files, "make_folder", looked_at)
    Store.open(tmp_path)
    assert seen > 10


def test_a_table_that_is_missing_in_format_1_is_told(store: Path) -> None:
    as_of_format_1(store)
    shutil.rmtree(store / "tables" / "episodes")
    assert [line for line in shown(store)[1] if line.endswith("tables/episodes is missing; its rows are left out")]
