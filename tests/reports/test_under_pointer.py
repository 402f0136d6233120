"""What the page says under the pointer: every text is a record of stats.json, at a place within its panel."""

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from written_runs import PlannedRun, write_store

from rlbench.reports.ledger import FORMATS
from rlbench.reports.report import write_report
from rlbench.text import place_of

pytestmark = pytest.mark.usefixtures("blank_pictures")

ENVS = ("CartPole-v1", "Acrobot-v1")
PAIRS = [["soft", "hard"], ["lone", "hard"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three variants on two environments, one of them with two runs only, which allow no band."""
    place = tmp_path_factory.mktemp("pointer")
    runs = [
        PlannedRun(
            variant, seed, {250: [3.0 * seed - 400 * is_low], 1000: [(7.0 + place) * seed - 300 * is_low]}, env=env
        )
        for is_low, env in enumerate(ENVS)
        for place, (variant, seeds) in enumerate((("hard", 5), ("soft", 5), ("lone", 2)))
        for seed in range(seeds)
    ]
    results = write_store(place / "results", runs, comparisons=[{"family": "f", "pairs": PAIRS}])
    return write_report(results, "example", place / "out").parent


def hovers(folder: Path) -> list[dict[str, Any]]:
    found = re.findall(r'data-hover="([^"]*)"', (folder / "report.html").read_text())
    return [json.loads(html.unescape(given)) for given in found]


def record_of(label: str, panel: str, stats: dict[str, Any]) -> dict[str, Any]:
    env = ENVS[int(re.findall(r"\d", panel)[0])]
    if panel.startswith("curves"):
        return dict(stats[f"curve/{env}/{label}"])
    return dict(stats[f"curve difference along training/f/{env}/{label.replace(' − ', ' against ')}"])


def test_every_text_is_a_record(folder: Path) -> None:
    stats = json.loads((folder / "stats.json").read_text())["statistics"]
    given = hovers(folder)
    assert len(given) == 4
    for hover in given:
        panel = hover["panels"][0]["id"]
        how = "number" if panel.startswith("curves") else "signed"
        for line in hover["lines"]:
            record = record_of(line["label"], panel, stats)
            assert line["steps"] == [FORMATS["count"](step) for step in record["env_steps"]]
            for place, told in enumerate(line["told"]):
                estimate, low, high = (record[name][place] for name in ("estimate", "low", "high"))
                digits = place_of(low, high, estimate)
                write = FORMATS[how if digits is None else f"{how}@{digits}"]
                assert told == (write(estimate) if low is None else f"{write(estimate)} [{write(low)}, {write(high)}]")


def test_places_are_within_the_panel_and_every_panel_is_on_the_page(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    for hover in hovers(folder):
        assert {one["id"].removeprefix("wide-") for one in hover["panels"]} <= {
            f"{kind}{env}-panel-{place}" for kind in ("curves", "apart") for env in (0, 1) for place in range(3)
        }
        shown = [place for panel in hover["panels"] for place in panel["own"]]
        assert sorted(shown) == sorted([*range(len(hover["lines"]))] * 2)  # narrow and wide
        for line in hover["lines"]:
            assert all(0.0 <= share <= 1.0 for share in [*line["x"], *line["y"]])
            assert len(line["x"]) == len(line["y"]) == len(line["told"]) == len(line["steps"])
            assert all(0 <= variant < 3 for variant in line["variants"])
    assert [re.sub(r"<[^>]*>", "", one) for one in re.findall(r"<button[^>]*data-of.*?</button>", page)] == [
        "hard",
        "soft",
        "lone",
    ]


def test_two_variants_are_compared_along_training_though_nothing_is_declared(tmp_path: Path) -> None:
    runs = [PlannedRun(v, seed, {500: [seed], 1000: [2.0 * seed]}) for v in ("a", "b") for seed in range(4)]
    page = write_report(write_store(tmp_path / "results", runs), "example", tmp_path / "out")
    (line,) = hovers(page.parent)[1]["lines"]
    assert line["label"] == "b − a"
    assert line["variants"] == [1, 0]
