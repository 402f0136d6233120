"""What is wrong with the evidence: every fault that is planted is found, and sound evidence has none."""

from collections.abc import Callable
from pathlib import Path

import pytest
from foreign_files import curves, write_csv, write_monitor
from written_runs import PlannedRun, write_store

from rlbench.evidence import lint, read_evidence, told

SOUND = curves({"a": 0.0, "b": 3.0})
Rows = list[tuple[object, ...]]


def findings(path: Path, rows: Rows, returns: str | None = None) -> dict[str, str]:
    results = read_evidence(write_csv(path / "runs.csv", rows), returns)
    return {finding.kind: finding.text for finding in lint(results, results.name)}


def test_sound_evidence_has_no_finding(tmp_path: Path) -> None:
    assert findings(tmp_path, SOUND) == {}
    results = read_evidence(tmp_path / "runs.csv")
    assert told(lint(results, "runs"), "runs") == "runs: nothing found wrong with the evidence"


def changed(row: tuple[object, ...], **new: object) -> tuple[object, ...]:
    names = ("variant", "environment", "seed", "step", "return")
    return tuple(new.get(name, value) for name, value in zip(names, row, strict=True))


FAULTS: dict[str, tuple[Callable[[Rows], Rows], dict[str, str]]] = {
    "few seeds": (
        lambda rows: [row for row in rows if int(str(row[2])) < 9],
        {"seeds": "under 10 seeds: a on CartPole-v1 has 9, b on CartPole-v1 has 9"},
    ),
    "a duplicated row": (
        lambda rows: [*rows, rows[0]],
        {"duplicated": "a on CartPole-v1, seed 0: runs.csv row 102: step 100 again"},
    ),
    "a seed that one variant lacks": (
        lambda rows: [*rows, *(changed(row, seed=10) for row in curves({"b": 0.5}, seeds=1))],
        {"unpaired": "CartPole-v1: the variants have different seeds, 10 shared by all; a has 10, b has 11"},
    ),
    "a shorter run": (
        lambda rows: [row for row in rows if row[:3] != ("a", "CartPole-v1", 4) or int(str(row[3])) < 500],
        {
            "budgets": "CartPole-v1: the runs have unequal budgets: the last steps go from 400 to 500",
            "curve": "CartPole-v1: 1 curves have fewer points than the final window of 5",
        },
    ),
    "another grid": (
        lambda rows: [changed(row, step=250) if row[:4] == ("a", "CartPole-v1", 4, 200) else row for row in rows],
        {"grid": "CartPole-v1: the runs are evaluated at different steps, on 2 grids"},
    ),
    "a missing cell": (
        lambda rows: [*rows, *curves({"a": 0.0}, env="Acrobot-v1")],
        {"cells": "no runs at all: b on Acrobot-v1"},
    ),
    "a NaN": (
        lambda rows: [changed(rows[0], **{"return": "nan"}), *rows[1:], *[changed(row, seed=10) for row in rows[:5]]],
        {
            "diverged": "1 of 21 runs are diverged: a on CartPole-v1 seed 0 (the return at step 100 is nan)",
            "unpaired": "CartPole-v1: the variants have different seeds, 9 shared by all; a has 10, b has 10",
        },
    ),
    "a copied run": (
        lambda rows: [
            *(row for row in rows if row[:3] != ("b", "CartPole-v1", 9)),
            *(changed(row, variant="b", seed=9) for row in rows if row[:3] == ("a", "CartPole-v1", 2)),
        ],
        {"identical": "CartPole-v1: a seed 2, b seed 9 have one and the same curve"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_nothing_else(tmp_path: Path, fault: str) -> None:
    plant, expected = FAULTS[fault]
    assert findings(tmp_path, plant(SOUND)) == expected


def test_runs_that_all_reach_the_ceiling_are_not_copies(tmp_path: Path) -> None:
    rows = [
        ("a", "CartPole-v1", seed, step, 500.0 if step > 100 else seed)
        for seed in range(10)
        for step in range(100, 2100, 100)
    ]
    assert findings(tmp_path, rows) == {}


def test_training_returns_are_a_note_and_their_last_steps_may_differ_a_little(tmp_path: Path) -> None:
    rows = [(v, e, s, int(str(step)) + int(str(s)), value) for v, e, s, step, value in SOUND]
    results = read_evidence(write_csv(tmp_path / "runs.csv", rows), "training")
    (note,) = lint(results, "runs")
    assert note.is_note
    assert "Read from a CSV file: the returns are those of training episodes" in note.text
    assert told([note], "runs").startswith("runs: nothing found wrong with the evidence\n  note: Read from a CSV")
    short = [row for row in rows if row[:3] != ("a", "CartPole-v1", 4) or int(str(row[3])) < 400]
    assert set(findings(tmp_path, short, "training")) == {"budgets", "training"}


def test_two_folders_of_one_run_are_told(tmp_path: Path) -> None:
    episodes = [(float(i % 7), 10, float(i)) for i in range(50)]
    for name in ("3.monitor.csv", "seed3.monitor.csv"):
        write_monitor(tmp_path / "runs" / "a" / "CartPole-v1" / name, episodes)
    results = read_evidence(tmp_path / "runs")
    found = {finding.kind: finding.text for finding in lint(results, "runs")}
    assert found["duplicated"] == (
        "a on CartPole-v1, seed 3 is there twice: a/CartPole-v1/3.monitor.csv and a/CartPole-v1/seed3.monitor.csv"
    )


def test_a_store_is_looked_at_in_the_same_way(tmp_path: Path) -> None:
    sound = [
        PlannedRun(v, s, {k: [float((s * 7 + k) % 13), k / 100 + s + (v == "b") / 4] for k in range(200, 1200, 200)})
        for v in "ab"
        for s in range(10)
    ]
    assert lint(write_store(tmp_path / "sound", sound), "example") == []
    copied = [*sound[:-1], PlannedRun("b", 9, sound[2].points)]
    (finding,) = lint(write_store(tmp_path / "copied", copied), "example")
    assert finding.text == "CartPole-v1: a seed 2, b seed 9 have one and the same curve"
    broken = [*sound[1:], PlannedRun("a", 0, {}, status="failed", error="boom\nZeroDivisionError: no")]
    found = {finding.kind: finding.text for finding in lint(write_store(tmp_path / "broken", broken), "example")}
    assert found == {
        "failed": "1 of 20 runs are failed: a on CartPole-v1 seed 0 (ZeroDivisionError: no)",
        "unpaired": "CartPole-v1: the variants have different seeds, 9 shared by all; a has 9, b has 10",
        "seeds": "under 10 seeds: a on CartPole-v1 has 9",
    }
    twice = [*sound, PlannedRun("a", 3, sound[0].points, settings={"lr": 2})]
    found = {finding.kind: finding.text for finding in lint(write_store(tmp_path / "twice", twice), "example")}
    assert found["duplicated"] == "a on CartPole-v1: seeds 3 have more than one run"


def test_what_a_file_says_is_shown_and_not_acted_on(tmp_path: Path) -> None:
    rows = [*SOUND, ("a", "E", 0, 100, "\x1b[31m" + "x" * 1000), ("\x1b]0;b", "E", 0, 100, 1.0)]
    results = read_evidence(write_csv(tmp_path / "runs.csv", rows))
    lines = [*told(lint(results, "runs"), "runs").splitlines(), *results.listing, *results.remarks]
    assert all(line.isprintable() for line in lines)
    assert "return must be a number, not '\\x1b[31mxxxxx" in "\n".join(lines)
    assert max(map(len, lines)) < 300
