"""What each part does: the two halves side by side, the claims of others, the cost, and the answer that they make."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_answer import runs_of, summary_of, told

from rlbench.reports.answer import answers_to
from rlbench.reports.comparisons import families_of
from rlbench.reports.document import plain
from rlbench.reports.parts import HOLDS, REVERSED, UNKNOWN, claims_of, parts_of
from rlbench.reports.report import write_summary
from rlbench.reports.summary import Summary, seconds_a_run

# Alone, double helps and noise hurts; the whole loses by leaving double out, and noise does nothing in it.
MEANS = {
    "dqn": 100.0,
    "double": 150.0,
    "noisy": 60.0,
    "whole": 200.0,
    "whole_no_double": 120.0,
    "whole_no_noisy": 200.5,
}
PARTS = {
    "base": "dqn",
    "whole": "whole",
    "added": [["double", "double"], ["noise", "noisy"]],
    "left_out": [["double", "whole_no_double"], ["noise", "whole_no_noisy"]],
}
COMPARISONS = [
    {"family": "parts added to dqn", "pairs": [["double", "dqn"], ["noisy", "dqn"]]},
    {"family": "parts of whole", "pairs": [["whole", "whole_no_double"], ["whole", "whole_no_noisy"]]},
]
CLAIMS = [
    {"claim": "Double DQN beats DQN", "source": "van Hasselt et al. (2016)", "pair": ["double", "dqn"]},
    {"claim": "Noisy layers beat DQN", "source": "Fortunato et al. (2018)", "pair": ["noisy", "dqn"]},
    {"claim": "The whole needs no noise", "source": "somebody", "pair": ["whole_no_noisy", "whole"]},
]


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    definition: dict[str, Any] = {"parts": PARTS, "comparisons": COMPARISONS, "claims": CLAIMS}
    return summary_of(tmp_path, runs_of(MEANS), **definition)


def test_a_part_has_both_its_halves_and_above_0_means_that_it_helps(summary: Summary) -> None:
    parts = parts_of(summary, families_of(summary))
    assert parts is not None
    double, noise = parts.effects["CartPole-v1"]
    seen = [m.test.estimate for m in (double.added, double.left_out, noise.added, noise.left_out) if m and m.test]
    assert [round(value / 10) for value in seen] == [5, 8, -4, 0]
    assert [m.word for m in (double.added, double.left_out, noise.added, noise.left_out) if m] == [
        "supported", "supported", "opposite", "inconclusive",
    ]  # fmt: skip


def test_claims_are_turned_as_their_authors_have_them(summary: Summary) -> None:
    assert [one.word for one in claims_of(summary, families_of(summary))] == [HOLDS, REVERSED, UNKNOWN]


def test_the_answer_tells_each_half_in_a_sentence(summary: Summary) -> None:
    (alone, is_decided), (within, _) = told(summary)
    number = r"\d+\.\d \[\d+\.\d, \d+\.\d\] \(p 0\.0\d+\)"
    assert is_decided
    assert re.fullmatch(rf"Added to dqn, on CartPole-v1: double helps by {number}; noise hurts by {number}\.", alone)
    assert re.fullmatch(
        rf"In whole, against itself without the part, on CartPole-v1: double helps by {number}; noise is not decided\.",
        within,
    )


def test_the_page_has_figure_table_cost_and_claims_and_their_numbers_are_recorded(
    summary: Summary, tmp_path: Path
) -> None:
    page = write_summary(summary, tmp_path / "out").read_text()
    assert 'id="parts"' in page
    assert (tmp_path / "out/figures/parts-0.svg").exists()
    for word in ("holds here", "opposite here", "cannot be told", "van Hasselt et al. (2016)", "hurts"):
        assert word in page
    statistics = json.loads((tmp_path / "out/stats.json").read_text())["statistics"]
    seconds = seconds_a_run(summary, ("variant", "env"))
    assert statistics["cost/CartPole-v1/double"]["seconds"] == seconds["double", "CartPole-v1"]
    assert statistics["cost/CartPole-v1/dqn"]["times"] == 1.0


def test_an_answer_with_something_undecided_does_not_stand_out(summary: Summary) -> None:
    alone, without = [one for one in answers_to(summary) if one.is_decided]
    assert alone.stands_out
    assert "not decided" in plain(without.parts)
    assert not without.stands_out


def test_without_parts_there_is_no_such_section(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, runs_of({"a": 1.0, "b": 2.0}), comparisons=[{"family": "f", "pairs": [["a", "b"]]}])
    assert parts_of(summary, families_of(summary)) is None
    assert 'id="parts"' not in write_summary(summary, tmp_path / "out").read_text()


def test_claims_without_parts_stand_under_one_heading(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, runs_of(MEANS), comparisons=COMPARISONS, claims=CLAIMS)
    write_summary(summary, tmp_path / "out")
    assert (tmp_path / "out/report.md").read_text().count("# What others claimed") == 1
