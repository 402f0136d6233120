"""Every number on the page is its record in stats.json, and the page of any experiment is whole."""

import json
import math
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import html5lib
import numpy as np
import pytest
from test_configuration import FACTORS, GRID, score
from written_runs import PlannedRun, write_store

from rlbench.envs.scores import normalise
from rlbench.reports.ledger import FORMATS, Ledger
from rlbench.reports.report import write_report
from rlbench.stats import (
    bootstrap_intervals,
    probability_of_improvement,
    run_interval,
    simultaneous_band,
    time_to_threshold,
    wilson_interval,
)
from rlbench.store import Results

pytestmark = pytest.mark.usefixtures("blank_pictures")

ENVS = ("CartPole-v1", "Acrobot-v1")


class Shown(HTMLParser):
    """The page's numbers: (key, field, format, text)."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.numbers: list[tuple[str, str, str, str]] = []
        self._open: list[str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "data-stat" in given:
            key, _, field = str(given["data-stat"]).rpartition("#")
            self._open = [key, field, str(given["data-how"]), ""]

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._open[3] += data

    def handle_endtag(self, tag: str) -> None:
        if self._open is not None:
            self.numbers.append(tuple(self._open))  # type: ignore[arg-type]
            self._open = None


def grid_runs() -> list[PlannedRun]:
    """A 2x2 grid on two environments with 10 seeds, of which some diverged, failed or are missing."""
    low = {"CartPole-v1": 20.0, "Acrobot-v1": -500.0}
    runs = []
    for env in ENVS:
        for variant, settings in GRID.items():
            for seed in range(10):
                lost = {("hard_mse", 3): "diverged", ("soft_mse", 4): "failed"}.get((variant, seed), "done")
                if (env, variant, seed) == ("Acrobot-v1", "soft_huber", 9):
                    continue
                last = low[env] + 8.0 * score(variant, seed)
                points = {250: [low[env]], 500: [last / 2, last / 2 + 1], 750: [last], 1000: [last]}
                points = points if lost == "done" else {250: [low[env]]}
                more: dict[str, Any] = {"settings": {**settings, "discount": 0.9}, "status": lost, "env": env}
                rows = {step: (0.5, 2.0, 4.0, 1.5) for step in points}
                runs.append(PlannedRun(variant, seed, points, diagnostics=rows, **more))
    return runs


DEFINITION: dict[str, Any] = {
    "factors": FACTORS,
    "comparisons": [{"family": "target", "pairs": [["soft_mse", "hard_mse"], ["soft_huber", "hard_huber"]]}],
    "smallest_effect": {"CartPole-v1": 5.0},
    "threshold": {"CartPole-v1": 60.0},
    "final_window": 2,
    "seeds": list(range(10)),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return write_store(tmp_path_factory.mktemp("grid") / "results", grid_runs(), **DEFINITION)


@pytest.fixture(scope="module")
def folder(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(results, "example", tmp_path_factory.mktemp("grid") / "out").parent


@pytest.fixture(scope="module")
def stats(folder: Path) -> dict[str, dict[str, Any]]:
    return dict(json.loads((folder / "stats.json").read_text())["statistics"])


def values(results: Results, variant: str, env: str) -> np.ndarray:
    runs = results.runs
    own = runs[(runs.variant == variant) & (runs.env == env) & (runs.status == "done")]
    return own.sort_values("seed")["final_return"].to_numpy()


def test_every_number_on_the_page_is_its_record(folder: Path, stats: dict[str, dict[str, Any]]) -> None:
    numbers = Shown((folder / "report.html").read_text()).numbers
    assert len(numbers) > 400
    for key, field, how, text in numbers:
        assert text == FORMATS[how](stats[key][field]), (key, field)
    assert {key.split("/")[0] for key, *_ in numbers} >= {
        "comparison", "effect", "runs", "lost", "final_return", "auc", "aggregate", "improvement", "threshold",
        "diagnostics", "power", "train_return_last100", "curve difference",
    }  # fmt: skip


def test_no_digit_stands_in_a_table_cell_without_a_record(folder: Path) -> None:
    html = (folder / "report.html").read_text()
    bare = re.sub(r"<span[^>]*data-stat[^>]*>[^<]*</span>", "", html)
    allowed = r"\d+ paired|\d+ \+ \d+|\d+ of \d+ points, from step [\d ]+ to [\d ]+|\d+ of \d+|under 10|\d+ (diverged|failed|missing)"
    tables = {
        label: rows
        for label, rows in re.findall(r'aria-label="([^"]*)">\s*<table>(.*?)</table>', bare, re.DOTALL)
        if not label.startswith(("Diverged and failed", "Configuration keys", "What these seeds"))
    }
    assert len(tables) > 10
    for label, rows in tables.items():
        for cell in re.findall(r"<td[^>]*>(.*?)</td>", rows, re.DOTALL):
            said = re.sub(r"<[^>]*>", "", cell)
            said = re.sub(allowed, "", said)
            if not said.strip().startswith(ENVS):
                assert not re.search(r"\d", said), (label, cell)


def test_records_are_what_the_statistics_give(results: Results, stats: dict[str, dict[str, Any]]) -> None:
    x = {env: values(results, "soft_mse", env) for env in ENVS}
    y = {env: values(results, "hard_mse", env) for env in ENVS}
    found = stats["final_return/CartPole-v1/soft_mse"]
    interval = run_interval(x["CartPole-v1"])
    assert (found["estimate"], found["low"], found["high"], found["n"]) == (
        interval.estimate,
        interval.low,
        interval.high,
        9,
    )
    scores = {env: normalise(env, own) for env, own in x.items()}
    for statistic, one in bootstrap_intervals(scores, resamples=4_000).items():
        found = stats[f"aggregate/{statistic}/soft_mse"]
        assert (found["estimate"], found["low"], found["high"]) == (one.estimate, one.low, one.high)
    better = probability_of_improvement(x, y, resamples=4_000)
    found = stats["improvement/soft_mse over hard_mse"]
    assert (found["estimate"], found["low"]) == (better.estimate, better.low)
    assert stats["improvement/hard_mse over soft_mse"]["estimate"] == 1.0 - better.estimate
    lost = wilson_interval(1, 10)
    assert stats["lost/CartPole-v1/hard_mse"]["high"] == lost.high


def test_bands_and_times_are_what_the_statistics_give(
    results: Results, folder: Path, stats: dict[str, dict[str, Any]]
) -> None:
    import pandas as pd

    rows = pd.read_csv(folder / "tables/run_curves.csv")
    rows = rows[(rows.variant == "hard_mse") & (rows.env == "CartPole-v1") & (rows.status == "done")]
    curves = rows.pivot(index="seed", columns="env_steps", values="mean_return")
    band = simultaneous_band(curves, statistic="mean", resamples=1_000)  # 9 runs
    shown = pd.read_csv(folder / "tables/curves.csv")
    shown = shown[(shown.variant == "hard_mse") & (shown.env == "CartPole-v1")]
    assert np.allclose(shown["low"], band.low, rtol=1e-12)
    assert set(shown["method"]) == {"simultaneous sup-t"}
    # The diverged run was last seen at step 250: it is censored there, and counted.
    table = np.vstack([curves.to_numpy(), [20.0, np.nan, np.nan, np.nan]])
    ends = [1000.0] * 9 + [250.0]
    expected = time_to_threshold(table, [250, 500, 750, 1000], 60.0, ends=ends, horizon=1000.0)
    found = stats["threshold/CartPole-v1/hard_mse"]
    assert (found["n"], found["num_reached"], found["is_declared"]) == (10, expected.num_reached, True)
    assert math.isclose(found["restricted_mean"], expected.restricted_mean)
    assert stats["threshold/Acrobot-v1/hard_mse"]["is_declared"] is False


def test_records_say_how_they_were_made(stats: dict[str, dict[str, Any]]) -> None:
    for key, record in stats.items():
        kind = key.split("/")[0]
        if kind in (
            "comparison",
            "effect",
            "aggregate",
            "improvement",
            "final_return",
            "threshold",
            "curve",
            "curve difference",
            "curve difference along training",
        ):
            assert record.get("method") or record.get("interval_method"), key
            assert record["n"] if "n" in record else record["n_x"], key
            assert "level" in record, key
        if kind in ("comparison", "effect", "power"):
            assert record["family"], key
    assert stats["comparison/target/CartPole-v1/soft_mse against hard_mse"]["family"] == "target"
    assert stats["effect/all/target"]["family"] == "factors, all"
    assert stats["effect/CartPole-v1/target"]["family"] == "exploratory"


def test_the_average_over_environments_says_what_it_flips(folder: Path, stats: dict[str, dict[str, Any]]) -> None:
    # Of seeds 0 to 9, one failed and one is missing; the one that diverged counts as random play: eight are complete on both.
    found = stats["effect/all/target"]
    assert (found["n"], found["blocks"], found["blocks_left_out"], found["smallest_p"]) == (8, 8, 2, 2 / 2**8)
    assert found["method"] == "sign-flip test of seeds over all environments (exact)"
    assert found["interval_method"] == "Student t (Satterthwaite)"
    page = " ".join(re.sub(r"<[^>]*>", "", (folder / "report.html").read_text()).split())
    assert "over all environments 8 seeds with a run in every cell of every environment, 2 seeds left out" in page
    assert "sign-flip test of seeds over all environments (exact)" in page


def test_q_values_are_compared_with_discounted_returns(stats: dict[str, dict[str, Any]]) -> None:
    found = stats["diagnostics/CartPole-v1/hard_mse"]
    # Every evaluation episode has length 100, and gamma is 0.9: the reward a step times (1 - 0.9^100) / (1 - 0.9).
    per_step = (20.0 + 8.0 * np.median([score("hard_mse", seed) for seed in range(10) if seed != 3])) / 100
    expected = per_step * (1 - 0.9**100) / (1 - 0.9)
    assert math.isclose(found["discounted"], expected)
    assert (found["q_mean"], found["q_max"], found["num_runs"]) == (2.0, 4.0, 9)
    assert math.isclose(found["mean_excess"], 2.0 - expected)
    assert math.isclose(found["max_excess"], 4.0 - expected)


def test_lost_and_missing_runs_are_shown(folder: Path) -> None:
    markdown = (folder / "report.md").read_text()
    for said in (
        "2 runs diverged",
        "2 runs failed",
        "1 run missing",
        "seeds differ on Acrobot-v1",
    ):
        assert f"- **{said}" in markdown
    assert markdown.count("| diverged |") == 2


def test_the_page_is_valid_html(folder: Path) -> None:
    html5lib.HTMLParser(strict=True).parse((folder / "report.html").read_text())


def test_latex_tables_are_balanced(folder: Path) -> None:
    for path in sorted((folder / "tables").glob("*.tex")):
        lines = path.read_text().splitlines()
        columns = len(re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[1]).group(1))  # type: ignore[union-attr]
        rows = [row for row in lines if row.endswith(r"\\") and "multicolumn" not in row]
        assert rows
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {columns}, path.name
        assert not [row for row in lines[1:] if re.search(r"(?<!\\)[_#%]", row)], path.name


def flat(variant: str, seeds: Sequence[int], **more: Any) -> list[PlannedRun]:
    return [PlannedRun(variant, seed, {500: [1.0 * seed], 1000: [2.0 * seed]}, **more) for seed in seeds]


@pytest.mark.parametrize(
    ("runs", "definition", "said"),
    [
        (flat("a", [0]), {}, "There is one variant: nothing to compare it with."),
        (flat("a", range(10)), {}, "It takes two variants with done runs."),
        (flat("a", [0, 1], status="diverged"), {}, "2 runs diverged"),
        (flat("a", [0]) + flat("b", [0]), {}, "not tested, with 1 and 1 done runs"),
        (flat("a", range(3)) + flat("b", range(3)) + flat("c", range(3)), {}, "No factorial analysis: no setting is known"),
        (
            [run for lr in (1, 2, 3) for run in flat(f"v{lr}", range(3), settings={"optimizer": {"lr": lr}})],
            {},
            "No factorial analysis: effects are contrasts of two levels, and there are more in optimizer.lr (3 levels)",
        ),
        (flat("a", range(6)) + flat("b", range(6), env="Y-v0"), {}, "2 cells not planned"),
        (flat("a", range(6)) + flat("b", range(50, 56)), {}, "seeds differ: 0 of 12 have a result in every variant"),
        ([PlannedRun("a", 0), PlannedRun("b", 1)], {}, "No run has an evaluation."),
        (flat("a", range(4)), {"comparisons": [{"family": "f", "pairs": [["a", "gone"]]}]}, "gone on CartPole-v1: not tested"),
    ],
)  # fmt: skip
def test_odd_experiments_have_a_whole_page(
    tmp_path: Path, runs: list[PlannedRun], definition: dict[str, Any], said: str
) -> None:
    results = write_store(tmp_path / "results", runs, **definition)
    page = write_report(results, "example", tmp_path / "out").read_text()
    text = " ".join(re.sub(r"<[^>]*>", "", page).split())
    assert said in text
    json.loads((tmp_path / "out/stats.json").read_text())
    assert page.count("<section") == page.count("</section>") == 11 + len({run.env for run in runs})


def test_unequal_budgets_get_a_red_badge(tmp_path: Path) -> None:
    runs = flat("a", range(3)) + [PlannedRun("b", seed, {500: [1.0], 2000: [2.0]}) for seed in range(3)]
    page = write_report(write_store(tmp_path / "results", runs), "example", tmp_path / "out").read_text()
    assert '<span class="badge red">unequal lengths: last evaluation from 1 000 to 2 000 steps</span>' in page


def test_a_key_is_recorded_once() -> None:
    ledger = Ledger()
    ledger.add("a", estimate=float("inf"), n=np.int64(3))
    assert ledger.records["a"] == {"estimate": None, "n": 3}
    with pytest.raises(ValueError, match="recorded already"):
        ledger.add("a", estimate=1.0)


def test_a_report_needs_the_tables_and_the_specifications_only(results: Results, folder: Path, tmp_path: Path) -> None:
    """Results of another origin are an object with these attributes, and get the same page."""

    class Given:
        runs, episodes, evaluations, diagnostics = (
            getattr(results.experiment("example"), name) for name in ("runs", "episodes", "evaluations", "diagnostics")
        )
        experiments = results.experiments
        path, address = results.path, results.address

        def experiment(self, name: str) -> "Given":
            return self

        def plan(self, name: str) -> None:
            return None

        def specs(self, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
            return results.specs(run_ids)

    page = write_report(Given(), "example", tmp_path / "out")  # type: ignore[arg-type]
    assert page.read_bytes() == (folder / "report.html").read_bytes()
