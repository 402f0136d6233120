"""The sources' own picture: durations and their 100-episode mean, for experiments with a recipe only."""

from pathlib import Path

import numpy as np
import pytest

from rlbench.reports.document import Figures
from rlbench.reports.report import write_summary
from rlbench.reports.sections.durations import durations_of, durations_section, mean_of_last
from rlbench.reports.summary import Summary, summarise
from rlbench.store import load

from written_runs import PlannedRun, write_store  # isort: skip


def test_the_mean_is_that_of_each_hundred_in_a_row() -> None:
    durations = np.random.default_rng(0).integers(1, 500, 250).astype(float)
    expected = [durations[i : i + 100].mean() for i in range(151)]
    assert mean_of_last(durations).tolist() == pytest.approx(expected)
    assert len(mean_of_last(durations[:100])) == 1
    assert len(mean_of_last(durations[:99])) == 0


def summary_of(tmp_path: Path, overrides: dict[str, str]) -> Summary:
    """Three runs of one cell, whose settings were these."""
    runs = [PlannedRun("slow", seed, {500: [5.0]}, training_returns=(10.0 + seed, 20.0)) for seed in range(3)]
    cells = [{"variant": "slow", "env": "CartPole-v1", "overrides": overrides}]
    return summarise(write_store(tmp_path / "store", runs, "pictured", cells=cells), "pictured")


def test_only_a_recipe_has_the_picture(tmp_path: Path) -> None:
    assert durations_section(summary_of(tmp_path, {"variant": "slow"})) is None
    section = durations_section(summary_of(tmp_path, {"recipe": "slow"}))
    assert section is not None
    assert section.title == "Durations of training episodes"
    assert isinstance(section.blocks[0], Figures)


def test_the_page_has_it(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, {"recipe": "slow"})
    page = write_summary(summary, tmp_path / "report")
    assert "Durations of training episodes" in page.read_text()
    assert (tmp_path / "report" / "figures" / "durations-0.svg").exists()


def test_durations_are_the_lengths_in_the_order_of_episodes(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, {})
    episodes = load(tmp_path / "store").episodes
    runs = durations_of(summary, summary.cells[0])
    assert len(runs) == 3
    for run, own in zip(summary.cells[0].runs, runs, strict=True):
        rows = episodes[episodes["run_id"] == run.run_id].sort_values("episode")
        assert own.tolist() == rows["length"].tolist()
