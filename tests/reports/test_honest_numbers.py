"""One estimand a row, intervals where returns can be, and the digits that they support: on every form of the page."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from written_runs import PlannedRun
from written_runs import write_store as write_any_store

from rlbench.envs.scores import possible_returns
from rlbench.reports.report import write_report
from rlbench.reports.summary import summarise
from rlbench.reports.terminal import table_of
from rlbench.store import Results

pytestmark = pytest.mark.usefixtures("blank_pictures")

SPREAD = (20.0, 35.0, 90.0, 480.0)  # 4 runs of CartPole whose t intervals leave [0, 500] at both ends


def runs_of(values: dict[str, list[float]], **more: Any) -> list[PlannedRun]:
    """Runs whose returns rise to these at the end."""
    return [
        PlannedRun(variant, seed, {500: [value / 2], 1000: [value]}, training_returns=[value], **more)
        for variant, own in values.items()
        for seed, value in enumerate(own)
    ]


def write_store(path: Path, runs: list[PlannedRun], **definition: Any) -> Results:
    return write_any_store(path, runs, final_window=1, **definition)


def written(results: Results, path: Path) -> tuple[dict[str, dict[str, Any]], str, str]:
    """The records, the page's text and its Markdown."""
    folder = write_report(results, "example", path).parent
    page = re.sub(r"<svg.*?</svg>", "", (folder / "report.html").read_text(), flags=re.DOTALL)
    text = " ".join(re.sub(r"<[^>]*>", "", page.replace("</th>", " ")).split())
    return json.loads((folder / "stats.json").read_text())["statistics"], text, (folder / "report.md").read_text()


def terminal(results: Results) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table_of(summarise(results, "example")))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("env_id", "limit", "expected"),
    [
        ("CartPole-v1", None, (0.0, 500.0)),
        ("CartPole-v0", None, (0.0, 200.0)),
        ("CartPole-v1", 1000, (0.0, 1000.0)),
        ("MountainCar-v0", None, (-200.0, 0.0)),
        ("Acrobot-v1", None, (-500.0, 0.0)),
        ("LunarLander-v3", None, None),
    ],
)
def test_possible_returns_are_those_of_gymnasium(env_id: str, limit: int | None, expected: object) -> None:
    import gymnasium

    assert possible_returns(env_id, limit) == expected
    if expected and limit is None and env_id != "CartPole-v0":  # which Gymnasium calls out of date
        steps = gymnasium.spec(env_id).max_episode_steps
        assert steps == max(abs(end) for end in expected)  # type: ignore[attr-defined]
        env = gymnasium.make(env_id)
        env.reset(seed=0)
        rewards = [env.step(env.action_space.sample())[1] for _ in range(5)]
        assert all(expected[0] / steps <= float(reward) <= expected[1] / steps for reward in rewards)  # type: ignore[index]


@pytest.mark.parametrize("num_runs", [4, 10])
def test_an_estimate_stands_beside_the_interval_of_itself(tmp_path: Path, num_runs: int) -> None:
    values = [*SPREAD, *np.linspace(100, 400, 6)][:num_runs]
    results = write_store(tmp_path / "results", runs_of({"a": list(values), "b": [v / 2 for v in values]}))
    stats, text, _ = written(results, tmp_path / "out")
    name = "mean" if num_runs < 10 else "IQM"
    assert f"Final return, {name} 95 % interval of the {name}" in text
    for key, record in stats.items():
        if key.split("/")[0] in ("final_return", "auc", "train_return_last100"):
            assert record["statistic"] == record["interval_of"] == name.lower(), key
            assert record["low"] <= record["estimate"] <= record["high"], key
    assert ("Mean" in text.split("Final return,")[1].split("AUC")[0]) == (num_runs >= 10)


def test_rows_of_different_statistics_say_which(tmp_path: Path) -> None:
    results = write_store(tmp_path / "results", runs_of({"few": [1.0, 2.0, 4.0], "many": list(range(10))}))
    _, _, markdown = written(results, tmp_path / "out")
    assert "| Variant | n | Statistic | Final return, mean or IQM | 95 % interval |" in markdown
    assert "| few | 3 | mean | **2.33** |" in markdown
    assert "| many | 10 | IQM | **4.5" in markdown
    shown = terminal(results)
    assert re.search(r"few +3 +mean +2\.33 ", shown)
    assert re.search(r"many +10 +IQM +4\.5", shown)


def test_no_interval_and_no_band_leaves_the_possible_returns(tmp_path: Path) -> None:
    settings = {"target": {"kind": "x"}}
    runs = runs_of({"a": list(SPREAD), "b": [500.0 - value for value in SPREAD]}, settings=settings)
    pairs = [{"family": "one", "pairs": [["a", "b"]]}]
    results = write_store(tmp_path / "results", runs, comparisons=pairs)
    stats, text, markdown = written(results, tmp_path / "out")
    for key, record in stats.items():
        kind = key.split("/")[0]
        if kind in ("final_return", "auc", "train_return_last100"):
            assert 0.0 <= record["low"] <= record["high"] <= 500.0, key
        elif kind in ("comparison", "curve difference"):
            assert -500.0 <= record["low"] <= record["high"] <= 500.0, key
    assert stats["final_return/CartPole-v1/a"]["is_cut"]
    assert stats["comparison/one/CartPole-v1/a against b"]["is_cut"]
    assert "Returns of CartPole-v1 lie in [0.00, 500.0]: intervals that went beyond were cut there." in text
    assert "Bands are cut at the possible returns, [0.00, 500.0]." in text
    assert "No two returns on CartPole-v1 are further apart than 500.0: intervals were cut there." in text
    assert "cut at the possible returns" in " ".join(terminal(results).split())
    import pandas as pd

    curves = pd.read_csv(tmp_path / "out/tables/curves.csv")
    assert curves["low"].min() == 0.0
    assert curves["high"].max() == 500.0
    assert "cut" in markdown


def test_effects_are_no_larger_than_returns_allow(tmp_path: Path) -> None:
    levels = {"target": ("hard", "soft"), "loss": ("mse", "huber")}
    ends = ([0.0, 500.0, 0.0], [500.0, 0.0, 500.0], [500.0, 0.0, 500.0], [0.0, 500.0, 250.0])
    runs = [
        run
        for place, own in enumerate(ends)
        for run in runs_of(
            {f"{levels['target'][place // 2]}_{levels['loss'][place % 2]}": own},
            settings={name: {"kind": levels[name][place // 2 if name == "target" else place % 2]} for name in levels},
        )
    ]
    stats, text, _ = written(write_store(tmp_path / "results", runs), tmp_path / "out")
    for name, most in (("target", 500.0), ("loss", 500.0), ("loss:target", 1000.0)):
        record = next(stats[key] for key in stats if key.replace(".kind", "") == f"effect/CartPole-v1/{name}")
        for end in ("paired_low", "paired_high", "unpaired_low", "unpaired_high"):
            assert abs(record[end]) <= most, (name, end)
    assert "allow no larger effect" in text


def test_returns_that_cannot_be_say_that_the_range_is_not_known(tmp_path: Path) -> None:
    results = write_store(tmp_path / "results", runs_of({"a": [400.0, 450.0, 900.0]}))
    assert summarise(results, "example").possible("CartPole-v1") is None
    longer = [PlannedRun("a", seed, {1000: [value]}, settings={}) for seed, value in enumerate((400.0, 450.0, 500.0))]
    assert summarise(write_store(tmp_path / "other", longer), "example").possible("CartPole-v1") == (0.0, 500.0)


def test_seeds_that_all_agree_have_no_interval_without_width(tmp_path: Path) -> None:
    runs = runs_of({"a": [500.0] * 5, "b": [500.0] * 5})
    pairs = [{"family": "one", "pairs": [["a", "b"]]}]
    results = write_store(tmp_path / "results", runs, comparisons=pairs, smallest_effect=25.0)
    stats, text, _ = written(results, tmp_path / "out")
    assert stats["final_return/CartPole-v1/a"]["low"] == pytest.approx(239.1, abs=0.1)
    assert stats["comparison/one/CartPole-v1/a against b"]["verdict"] == "inconclusive"
    assert "Where all runs agree there is no spread to measure" in text


def test_small_returns_keep_their_digits_everywhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    values = {name: list(rng.normal(mean, 2e-5, 10)) for name, mean in (("a", 1e-4), ("b", 2e-4))}
    results = write_store(tmp_path / "results", runs_of(values, env="Small-v0"))
    stats, text, markdown = written(results, tmp_path / "out")
    for said in (text, markdown, terminal(results)):
        assert not re.search(r"0\.000\b", said)
        assert re.search(r"\d\.\d+e-4", said)
    claim = next(line for line in markdown.splitlines() if "b is better than a" in line)
    assert re.search(r"difference \*\*\+\d\.\d+e-[45]\*\* \\\[\+\d\.\d+e-[45], \+\d\.\d+e-[45]\\\]", claim)
    record = stats["comparison/exploratory/Small-v0/b against a"]
    assert record["verdict"] == "supported"
    assert f"+{record['estimate']:.2e}".replace("e-04", "e-4") in claim


@pytest.mark.parametrize("size", [1e155, 3.4e38, 1e300])
def test_large_returns_have_a_page_in_scientific_notation(tmp_path: Path, size: float) -> None:
    rng = np.random.default_rng(4)
    values = {name: list(size * rng.normal(1.0, 0.1, 10)) for name in ("a", "b")}
    results = write_store(tmp_path / "results", runs_of(values, env="Large-v0"))
    stats, text, markdown = written(results, tmp_path / "out")
    record = stats["final_return/Large-v0/a"]
    assert record["low"] < record["estimate"] < record["high"]
    spread = np.std(np.array(values["a"]) / size)
    assert 0.1 * spread < (record["high"] - record["low"]) / size < 4.0 * spread
    for said in (text, markdown, terminal(results)):
        assert re.search(r"\d\.\d+e\d+", said)
        assert not re.search(r"\d{12}|\d( \d{3}){4}", said.replace("\N{NO-BREAK SPACE}", " "))
