"""Reading along: whole commits, each part once, and no lock."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tracking_toy import ToyStore

from rlbench.store import Store, files
from rlbench.tracking import reading
from rlbench.tracking.reading import PartReader


def counts(reader: PartReader) -> Counter[str]:
    """Rows by table."""
    found: Counter[str] = Counter()
    for _, table, columns in reader.new_rows():
        found[table] += len(columns["env_steps"])
    return found


def test_rows_are_read_once(toy: ToyStore) -> None:
    reader = PartReader(Store.open(toy.path, create=False))
    assert counts(reader) == {}
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 500)
        assert counts(reader) == {"episodes": episodes_until(toy, 500), "evaluations": 3 * 20, "diagnostics": 3 * 10}
        assert counts(reader) == {}
        toy.commit(program, 500, 1000)
    rest = counts(reader)
    assert rest["episodes"] + episodes_until(toy, 500) == 3 * 40
    assert (rest["evaluations"], rest["diagnostics"]) == (3 * 20, 3 * 10)


def episodes_until(toy: ToyStore, env_steps: int) -> int:
    return sum(int((rows["episodes"]["env_steps"] <= env_steps).sum()) for rows in toy.rows.values())


def test_old_parts_are_not_opened_again(toy: ToyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.train([300, 1000])
    reader = PartReader(toy.store)
    opened: list[Path] = []
    read_part = reading.read_part
    monkeypatch.setattr(reading, "read_part", lambda path: opened.append(path) or read_part(path))
    counts(reader)
    assert len(opened) == 6
    counts(reader)
    assert len(opened) == 6


@pytest.mark.parametrize("missing", ["evaluations", "diagnostics"])
def test_a_commit_that_is_being_published_waits(toy: ToyStore, missing: str) -> None:
    with toy.store.program(toy.run_ids) as program:
        toy.commit(program, 0, 500)
        part = toy.store.parts(missing)[0]
        staging = toy.store.layout.staging / part.stem.partition("-")[2]
        staging.mkdir()
        part.rename(staging / f"{missing}.parquet")  # as it is in the middle of a publication
        reader = PartReader(toy.store)
        assert counts(reader) == {}
        (staging / f"{missing}.parquet").rename(part)
        assert counts(reader)[missing] > 0


def test_one_runs_rows_can_be_had_again(toy: ToyStore) -> None:
    toy.train([300, 1000])
    reader = PartReader(toy.store)
    assert list(reader.rows_again(toy.run_ids[0])) == []
    counts(reader)
    again: Counter[str] = Counter()
    for table, columns in reader.rows_again(toy.run_ids[0]):
        again[table] += len(columns["env_steps"])
    assert again == {"episodes": 40, "evaluations": 40, "diagnostics": 20}


def test_reading_needs_no_lock(toy: ToyStore) -> None:
    toy.train([1000])
    with files.locked(toy.store.layout):
        assert counts(PartReader(Store.open(toy.path, create=False)))["episodes"] == 3 * 40
