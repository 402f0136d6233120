"""Damage: no bit, cut or stray file changes a number without a word, and none ends in anything but one line."""

import hashlib
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import store_toy
from store_damage import ROWS, changed, flipped, one_line, parts_of, shown
from store_toy import Toy, everything, index_of

from rlbench.errors import ConfigError, DamagedError
from rlbench.store import Results, Store, audit, compaction, load
from rlbench.store.index import TablePart
from rlbench.store.schema import SCHEMAS
from rlbench.store.sealed import seal, unseal
from rlbench.verify import is_as_written
from tests.benchmarks.growth_store import SHAPES, write_store


def bits(paths: list[Path], count: int, seed: int) -> list[tuple[Path, int]]:
    """Bits of these files, drawn evenly over all their bytes."""
    draw = random.Random(seed)
    sizes = [path.stat().st_size for path in paths]
    return [(path, draw.randrange(path.stat().st_size * 8)) for path in draw.choices(paths, weights=sizes, k=count)]


def weights_of(path: Path) -> list[Path]:
    return sorted((path / "weights").iterdir())


def check_no_silent_change(store: Path, path: Path, content: bytes, before: dict[str, str]) -> bool:
    """Whether damage of this file was told; if not, nothing may have changed."""
    with changed(path, content):
        numbers, lines = shown(store)
    one_line(lines)
    assert lines or numbers == before, path
    return bool(lines)


@pytest.mark.parametrize("count", [60, pytest.param(400, marks=pytest.mark.slow)])
def test_a_flipped_bit_of_a_part_is_told(store: Path, count: int) -> None:
    before, said = shown(store)
    assert said == []
    assert all(
        check_no_silent_change(store, path, flipped(path, bit), before) for path, bit in bits(parts_of(store), count, 1)
    )


@pytest.mark.parametrize("count", [15, pytest.param(60, marks=pytest.mark.slow)])
def test_a_flipped_bit_of_weights_is_told_or_harmless(store: Path, count: int) -> None:
    before, _ = shown(store)
    told = [
        check_no_silent_change(store, path, flipped(path, bit), before)
        for path, bit in bits(weights_of(store), count, 2)
    ]
    assert sum(told) > count / 2


@pytest.mark.parametrize("count", [12, pytest.param(40, marks=pytest.mark.slow)])
def test_a_file_that_was_cut_is_told(store: Path, count: int) -> None:
    before, _ = shown(store)
    draw = random.Random(3)
    for path in draw.choices(parts_of(store) + weights_of(store), k=count):
        content = path.read_bytes()
        for kept in (0, draw.randrange(len(content))):
            assert check_no_silent_change(store, path, content[:kept], before)
        assert check_no_silent_change(store, path, content + b"\0", before)


@pytest.mark.parametrize("count", [30, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["index", "format.json"])
def test_a_flipped_bit_of_the_index_or_the_format_is_told_or_harmless(store: Path, name: str, count: int) -> None:
    before, _ = shown(store)
    for path, bit in bits([index_of(store) if name == "index" else store / name], count, 4):
        check_no_silent_change(store, path, flipped(path, bit), before)
    with changed(index_of(store), b""):
        numbers, lines = shown(store)
        assert numbers == before  # from the copy
        assert f"{index_of(store)} is damaged" in lines[0]
        with changed(index_of(store, ".copy"), b"{}"):
            assert f"{index_of(store)} is damaged" in shown(store)[1][0]


def test_an_index_that_is_missing_is_read_from_its_copy_and_made_good(store: Path) -> None:
    before, _ = shown(store)
    index = index_of(store)
    index.unlink()
    numbers, lines = shown(store)
    assert numbers == before
    assert f"{index} is missing; its copy is used" in lines[0]
    Toy((30,)).finish(store)
    assert shown(store)[1] == []


def test_a_store_without_any_index_is_damaged(store: Path) -> None:
    for path in (store / "index").iterdir():
        path.unlink()
    assert "has no version of the index" in shown(store)[1][0]
    with pytest.raises(DamagedError, match="has no version of the index"):
        Store.open(store)


@pytest.mark.parametrize("count", [15, pytest.param(60, marks=pytest.mark.slow)])
def test_a_run_whose_checkpoint_is_damaged_begins_again(half: Path, whole: Path, tmp_path: Path, count: int) -> None:
    (checkpoint,) = (half / "checkpoints").iterdir()
    expected, told = everything(whole), 0
    contents = [flipped(checkpoint, bit) for _, bit in bits([checkpoint], count, 5)]
    contents += [checkpoint.read_bytes()[:kept] for kept in (0, 7, 100, checkpoint.stat().st_size - 1)]
    for number, content in enumerate(contents):
        copy = Path(shutil.copytree(half, tmp_path / f"{number}"))
        (copy / "checkpoints" / checkpoint.name).write_bytes(content)
        lines: list[str] = []
        opened = Store.open(copy, say=lines.append)
        with opened.program(store_toy.record(opened, list(Toy((20, 30)).specs.values()))) as program:
            Toy((20, 30)).train(program)
        assert everything(copy) == expected
        assert shown(copy)[1] == []  # nothing is left to complain of
        one_line(lines)
        told += bool(lines)
    assert told > 0.8 * len(contents)


def test_a_checkpoint_that_was_removed_doubles_no_row(half: Path, whole: Path) -> None:
    shutil.rmtree(half / "checkpoints")
    assert len(load(half).episodes) == 4  # nobody has begun again yet
    Toy((20, 30)).finish(half)
    assert everything(half) == everything(whole)
    results = load(half)
    assert audit(results) == []
    assert results.stored_digests(results.runs["run_id"]) == dict(results.runs[["run_id", "digest"]].to_numpy())


def test_reading_needs_no_checkpoint(half: Path) -> None:
    before, _ = shown(half)
    (checkpoint,) = (half / "checkpoints").iterdir()
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    numbers, lines = shown(half)
    assert numbers["episodes"] == before["episodes"]
    assert lines == [f"{checkpoint} is damaged: not a safetensors file"]


def test_one_damaged_lane_costs_one_run(half: Path) -> None:
    (checkpoint,) = (half / "checkpoints").iterdir()
    checkpoint.write_bytes(flipped(checkpoint, 8 * checkpoint.stat().st_size - 3))  # the last lane's last number
    opened = Store.open(half)
    with opened.program(opened.specs()) as program:
        states = [program.checkpoint_of(run_id) for run_id in program.run_ids]
    assert [state is None for state in states] == [False, True]
    assert opened.damage.lines[0].startswith(f"{checkpoint} is damaged: ")
    assert "begins again" in opened.damage.lines[0]


def test_a_run_that_began_again_twice_has_its_rows_once(half: Path, whole: Path) -> None:
    toy = Toy((20, 30))
    for _ in range(2):
        shutil.rmtree(half / "checkpoints")
        with toy.program(half) as program:
            toy.train(program, commits=1)
        assert len(load(half).episodes) == 4
    toy.finish(half)
    assert everything(half) == everything(whole)


def test_a_stray_file_is_left_aside(store: Path) -> None:
    before, _ = shown(store)
    first = Store.open(store).parts("episodes")[0]
    copy = first.with_name(first.name.replace(first.name[:20], "0" * 19 + "1"))
    shutil.copy(first, copy)
    (first.parent / "backup.parquet").write_text("mine")
    numbers, lines = shown(store)
    assert numbers == before
    assert lines == [f"{path} is of no commit, and left aside" for path in (copy, first.parent / "backup.parquet")]
    Toy((20, 30)).finish(store)
    assert copy.exists()


@pytest.mark.parametrize("table", [*ROWS, "members", "specs", "outcomes", "experiments"])
def test_a_missing_table_is_told(store: Path, table: str) -> None:
    shutil.rmtree(store / "tables" / table)
    numbers, lines = shown(store)
    one_line(lines)
    assert any(table in line and "is missing" in line for line in lines)
    assert "episodes" in numbers


def test_runs_with_lost_rows_have_no_results_and_the_others_theirs(tmp_path: Path) -> None:
    toy = Toy((20, 30))
    store = Store.open(tmp_path)
    for run_id in store_toy.record(store, list(toy.specs.values())):  # one after the other: parts of their own
        with store.program([run_id]) as program:
            toy.train(program)
    before = load(tmp_path).runs
    part = store.parts("evaluations")[0]
    part.write_bytes(part.read_bytes()[:-1])
    after = load(tmp_path).runs
    assert list(after["status"]) == ["failed", "done"]
    assert after["final_return"].isna().tolist() == [True, False]
    assert after.iloc[1].equals(before.iloc[1])


def rewrite(path: Path, table: str, change: Callable[[dict[str, Any]], None], *, consistent: bool) -> None:
    """Change the rows of a record table, as somebody with a Parquet library would; `consistent`: with checksums that fit."""
    index = json.loads(index_of(path).read_text())
    for entry in (entry for entry in index["parts"] if entry["table"] == table):
        part = path / "tables" / table / entry["name"]
        rows = pq.read_table(part).to_pylist()
        for row in rows:
            change(row)
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[table]), part)
        entry["sha256"] = hashlib.sha256(part.read_bytes()).hexdigest()
    if consistent:
        index.pop("sha256")
        index_of(path).write_text(json.dumps(seal(index)))


def test_swapped_labels_and_another_platform_are_told(store: Path) -> None:
    for table, key in (("members", "variant"), ("outcomes", "platform")):
        copy = Path(shutil.copytree(store, store.with_name(table)))
        rewrite(copy, table, lambda row, key=key: row.update({key: "other"}), consistent=False)
        assert any(f"tables/{table}/" in line for line in shown(copy)[1])


IMPOSSIBLE = {
    "a path for a run": ("members", {"run_id": "../../evil"}),
    "a path for a run that ended": ("outcomes", {"run_id": "../../evil"}),
    "a path for an experiment": ("members", {"experiment": "../format"}),
    "a hidden experiment": ("experiments", {"name": ".hidden"}),
    "an empty specification": ("specs", {"spec": "{}"}),
    "a cut specification": ("specs", {"spec": '{"env":'}),
    "a number for a specification": ("specs", {"spec": "7"}),
    "a window below 1": ("experiments", {"definition": '{"final_window":-3}'}),
    "a window of text": ("experiments", {"definition": '{"final_window":"5"}'}),
    "seeds that are none": ("experiments", {"definition": '{"seeds":["a"]}'}),
    "comparisons that are none": ("experiments", {"definition": '{"comparisons":[{"family":"f","pairs":[["a"]]}]}'}),
    "a definition that is a list": ("experiments", {"definition": "[]"}),
    "nested without end": ("experiments", {"definition": "[" * 100_000}),
    "a status that nobody knows": ("outcomes", {"status": "finished"}),
    "steps below 0": ("outcomes", {"env_steps": -1}),
    "an empty label": ("members", {"variant": ""}),
    "a study that is a path": ("members", {"study": "../x"}),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_an_impossible_record_is_left_out_and_named(store: Path, case: str) -> None:
    table, values = IMPOSSIBLE[case]
    rewrite(store, table, lambda row: row.update(values), consistent=True)
    _, lines = shown(store)
    one_line(lines)
    assert any(table in line and "left out" in line for line in lines)


def test_an_index_that_names_a_path_is_damaged(store: Path) -> None:
    for values in ({"name": "../../../evil.parquet"}, {"table": "../evil"}, {"rows": -1}, {"rows": "many"}):
        with pytest.raises(ValueError, match=r"no part is|wrong type"):
            TablePart(**{"table": "episodes", "name": f"{0:020d}-{'a' * 12}-000001.parquet", "rows": 1} | values)


def test_a_name_that_could_be_a_path_is_not_written(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    for name in ("../format", "a/b", ".hidden", "", "a\nb"):
        with pytest.raises(ConfigError, match="plain name"):
            store_toy.record(store, [store_toy.spec_of(0)], name=name)
    assert store.experiments() == {}


def test_a_damaged_claim_of_a_live_program_is_told(half: Path) -> None:
    opened = Store.open(half)
    with opened.program(opened.specs()):
        (claim,) = (half / "claims").iterdir()
        for bit in random.Random(7).sample(range(8 * claim.stat().st_size - 16), 40):
            with changed(claim, flipped(claim, bit)):
                with pytest.raises(DamagedError, match="end the process that holds it"):
                    Store.open(half).program(opened.specs())
                assert any("claims" in line for line in shown(half)[1])


def test_merging_changes_no_row_and_no_reader(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FAN", 2)
    toy = Toy((20, 30))
    with toy.program(tmp_path / "a") as program:
        toy.train(program, commits=1)
        earlier = load(tmp_path / "a")
        toy.train(program)
    assert len(earlier.episodes) == 4  # a snapshot, although its part has been merged
    assert everything(tmp_path / "a") == everything(whole)
    assert len(Store.open(tmp_path / "a").parts("episodes")) == 2
    assert len(parts_of(tmp_path / "a")) == len(Store.open(tmp_path / "a").index.read().parts)
    assert shown(tmp_path / "a")[1] == []


def test_an_older_state_is_not_gone_on_from_where_the_latest_is_damaged(tmp_path: Path, whole: Path) -> None:
    """A program that laid a lane aside keeps its older checkpoint; of its other lanes the rows have gone on."""
    toy = Toy((20, 30))
    store = Store.open(tmp_path)
    program = store.program(store_toy.record(store, list(toy.specs.values())))
    toy.train(program, commits=1)
    (first,) = (tmp_path / "checkpoints").iterdir()
    kept = first.read_bytes()
    toy.train(program, commits=1)
    (latest,) = (tmp_path / "checkpoints").iterdir()
    store.index.transact(lambda index: index.with_checkpoints([first.name], ()))
    first.write_bytes(kept)
    program._session.close()
    latest.write_bytes(latest.read_bytes()[:100])
    Store.open(tmp_path)  # sets the damaged one aside, so that later openings do not see it
    toy.finish(tmp_path)
    assert everything(tmp_path) == everything(whole)


def test_many_commits_make_few_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FAN", 4)
    Toy((500,)).finish(tmp_path)  # 50 commits
    num_parts = {table: len(Store.open(tmp_path).parts(table)) for table in ROWS}
    assert all(count <= 3 * 3 for count in num_parts.values())  # three a level
    assert len(load(tmp_path).episodes) == 100


def test_a_sealed_record_tells_every_change() -> None:
    text = json.dumps(seal({"a": 1, "b": [1.5, None, "ü"]}))
    assert unseal(text) == {"a": 1, "b": [1.5, None, "ü"]}
    for place in range(len(text)):
        for letter in "0x":
            if text[place] != letter:
                with pytest.raises(ValueError, match=r".+"):
                    unseal(text[:place] + letter + text[place + 1 :])


def test_digests_are_checked_with_each_weights_file_and_part_opened_a_fixed_number_of_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_store(tmp_path / "store", 40, SHAPES[20])
    store = Store.open(tmp_path / "store", create=False)
    read, whole = Counter[str](), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.update([path.name]) or whole(path))
    assert is_as_written(store, Results(store), store.outcomes())
    weights = [count for name, count in read.items() if name.endswith(".safetensors")]
    assert weights == [1] * 40
    assert (
        max(count for name, count in read.items() if name.endswith(".parquet")) <= 2
    )  # whether it is whole, and its rows
