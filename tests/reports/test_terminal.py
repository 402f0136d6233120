"""The table at the end of a command."""

import io
from pathlib import Path

from rich.console import Console
from written_runs import PlannedRun, write_store

from rlbench.reports.summary import summarise
from rlbench.reports.terminal import print_summary


def shown(path: Path, runs: list[PlannedRun], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_summary(console, summarise(write_store(path / "results", runs), "example"))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= width for line in text.splitlines())
    return str(text)


def row_of(text: str, variant: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.strip().startswith(variant))


def test_a_row_has_n_the_mean_of_few_runs_and_its_interval(tmp_path: Path) -> None:
    runs = [PlannedRun("a", seed, {1000: [10.0 * seed]}, training_returns=[4.0]) for seed in range(3)]
    text = shown(tmp_path, runs)
    # t(0.975, 2) = 4.3027; standard error 10 / sqrt(3): 10 +- 24.84, and no return of CartPole is below 0.
    assert row_of(text, "a") == ["a", "3", "10.0", "[0.0,", "34.8]", "10.0", "4.00"]
    caption = " ".join(text.split())
    assert (
        "final return over done runs: mean with its t interval, under 10 runs; cut at the possible returns" in caption
    )
    assert "not done" not in text


def test_what_is_not_done_is_counted(tmp_path: Path) -> None:
    runs = [
        PlannedRun("a", 0, {1000: [1.0]}),
        PlannedRun("a", 1, {500: [1.0]}, status="diverged"),
        PlannedRun("a", 2, status="pending"),
    ]
    assert "1 diverged, 1 pending" in shown(tmp_path, runs)


def test_environments_have_their_own_part(tmp_path: Path) -> None:
    runs = [PlannedRun("a", 0, {1000: [value]}, env=env) for env, value in (("X-v0", 1.0), ("Y-v0", 2.0))]
    lines = [line.strip() for line in shown(tmp_path, runs).splitlines()]
    assert lines.index("X-v0") < lines.index("Y-v0")


def test_brackets_in_a_name_are_not_markup(tmp_path: Path) -> None:
    assert "[red]a" in shown(tmp_path, [PlannedRun("[red]a", 0, {1000: [1.0]})])


def test_a_narrow_terminal_gets_a_narrow_table(tmp_path: Path) -> None:
    text = shown(tmp_path, [PlannedRun("a_rather_long_name_of_a_variant", 0, {1000: [1.0]})], width=66)
    assert row_of(text, "a_rather_long_name_of_a_variant")[1:3] == ["1", "1.00"]
    assert "train last 100" not in text


def test_a_name_wider_than_the_terminal_is_folded(tmp_path: Path) -> None:
    shown(tmp_path, [PlannedRun("a_rather_long_name_of_a_variant" * 4, 0, {1000: [1.0]})], width=80)
