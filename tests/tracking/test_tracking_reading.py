"""Reading along: whole commits, and each part once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tracking_toy import ToyStore

from rlbench.rows import TABLES
from rlbench.store import Store, compaction, index_log, parts
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
    opened: list[str] = []
    read_part = parts.read_part
    monkeypatch.setattr(parts, "read_part", lambda layout, part: opened.append(part.table) or read_part(layout, part))
    counts(reader)
    assert len([table for table in opened if table in TABLES]) == 6
    opened.clear()
    counts(reader)
    assert opened == []


def test_a_commit_that_is_being_published_waits(toy: ToyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = PartReader(Store.open(toy.path, create=False))
    transact, looked = index_log.IndexLog.transact, list[bool]()

    def looking(log: index_log.IndexLog, change: Any) -> Any:
        looked.append(all(any((toy.path / "tables" / table).iterdir()) for table in TABLES))
        assert counts(reader) == {}
        return transact(log, change)

    with toy.store.program(toy.run_ids) as program:
        with monkeypatch.context() as patch:
            patch.setattr(index_log.IndexLog, "transact", looking)
            toy.commit(program, 0, 500)
        assert looked == [True]  # all parts were in their places
        assert counts(reader) == {"episodes": episodes_until(toy, 500), "evaluations": 3 * 20, "diagnostics": 3 * 10}


def test_merged_parts_are_not_read_again(toy: ToyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FAN", 3)
    reader = PartReader(Store.open(toy.path, create=False))
    seen: Counter[str] = Counter()
    with toy.store.program(toy.run_ids) as program:
        for end in range(100, 1001, 100):
            toy.commit(program, end - 100, end)
            if end % 200 == 0:
                seen += counts(reader)
    assert len(toy.store.parts("diagnostics")) == 2  # 9 of 10 commits twice merged, and the last one
    assert seen == {"episodes": 3 * 40, "evaluations": 3 * 40, "diagnostics": 3 * 20}


def test_one_runs_rows_can_be_had_again(toy: ToyStore) -> None:
    toy.train([300, 1000])
    reader = PartReader(toy.store)
    assert list(reader.rows_again(toy.run_ids[0])) == []
    counts(reader)
    again: Counter[str] = Counter()
    for table, columns in reader.rows_again(toy.run_ids[0]):
        again[table] += len(columns["env_steps"])
    assert again == {"episodes": 40, "evaluations": 40, "diagnostics": 20}
