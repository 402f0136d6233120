"""What the seeds can show, and how many the declared effect takes: numbers of the pilot, its upper limit too."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_runs import PlannedRun, write_store

from rlbench.reports.document import Table
from rlbench.reports.html import html_page
from rlbench.reports.report import build_report
from rlbench.reports.summary import Summary, summarise
from rlbench.stats import pilot_sd, seeds_needed

pytestmark = pytest.mark.usefixtures("blank_pictures")

X = np.random.default_rng(0).normal(size=10) + 1.0
Y = np.random.default_rng(1).normal(size=10)


def summary_of(path: Path, **definition: Any) -> Summary:
    runs = [
        PlannedRun(name, seed, {1000: [float(value)]})
        for name, own in (("x", X), ("y", Y))
        for seed, value in enumerate(own)
    ]
    return summarise(
        write_store(path, runs, comparisons=[{"family": "f", "pairs": [["x", "y"]]}], **definition), "example"
    )


def titles(summary: Summary) -> Sequence[str]:
    (section,) = [one for one in build_report(summary).sections if one.id == "power"]
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    return [column.title for column in table.columns]


def test_seeds_for_a_declared_effect_are_told_with_the_pilots_upper_limit(tmp_path: Path) -> None:
    summary = summary_of(tmp_path / "results", smallest_effect={"": 0.5})
    found = build_report(summary).statistics["power/f/CartPole-v1/x against y"]
    point, upper = pilot_sd(X, Y, paired=True), pilot_sd(X, Y, paired=True, confidence=0.8)
    assert (found["spread"], found["spread_upper"]) == (point, upper)
    assert found["seeds_needed"] == seeds_needed(0.5, point, paired=True)
    assert found["seeds_needed_upper"] == seeds_needed(0.5, upper, paired=True) > found["seeds_needed"]
    assert titles(summary)[4:] == ["To show", "Seeds needed", "Seeds, upper 80 %", "More seeds", "More time"]


def test_without_a_declared_effect_nothing_is_said_of_seeds(tmp_path: Path) -> None:
    summary = summary_of(tmp_path / "results")
    report = build_report(summary)
    found = report.statistics["power/f/CartPole-v1/x against y"]
    assert (found["wanted"], found["seeds_needed"], found["seeds_needed_upper"]) == (None, None, None)
    assert titles(summary) == ["Comparison", "Runs a side", "Spread", "Could show"]
    page = " ".join(re.sub(r"<[^>]*>", "", html_page(report)).split())
    assert "No smallest effect of interest is declared" in page
    assert "half of what" not in page
