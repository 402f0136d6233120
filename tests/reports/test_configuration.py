"""In what cells differ, and which factors that makes."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_runs import PlannedRun, write_store

from rlbench.reports.configuration import Design, design_of, key_differences, part_of
from rlbench.reports.effects import effects_of
from rlbench.reports.html import html_page
from rlbench.reports.report import build_report
from rlbench.reports.summary import Summary, summarise
from rlbench.stats import corrected_together, equivalence_test, factorial_effects, holm

pytestmark = pytest.mark.usefixtures("blank_pictures")

GRID = {
    "hard_mse": {"target": {"tau": 1.0, "every": 250}, "loss": {"kind": "mse"}},
    "hard_huber": {"target": {"tau": 1.0, "every": 250}, "loss": {"kind": "huber", "delta": 1.0}},
    "soft_mse": {"target": {"tau": 0.005, "every": 1}, "loss": {"kind": "mse"}},
    "soft_huber": {"target": {"tau": 0.005, "every": 1}, "loss": {"kind": "huber", "delta": 1.0}},
}
FACTORS = [
    {
        "factor": "target",
        "levels": [
            {"level": "hard", "cells": ["hard_mse", "hard_huber"]},
            {"level": "soft", "cells": ["soft_mse", "soft_huber"]},
        ],
    },
    {
        "factor": "loss",
        "levels": [
            {"level": "mse", "cells": ["hard_mse", "soft_mse"]},
            {"level": "huber", "cells": ["hard_huber", "soft_huber"]},
        ],
    },
]


def score(variant: str, seed: int) -> float:
    return 10.0 * ("soft" in variant) + 3.0 * ("huber" in variant) + (seed * 7 % 5) + 0.1 * (seed * len(variant) % 3)


def summary_of(
    path: Path, settings: dict[str, dict[str, Any]], seeds: int = 6, envs: tuple[str, ...] = ("X-v0",), **more: Any
) -> Summary:
    runs = [
        PlannedRun(variant, seed, {1000: [score(variant, seed)]}, settings=own, env=env)
        for env in envs
        for variant, own in settings.items()
        for seed in range(seeds)
    ]
    return summarise(write_store(path / "results", runs, **more), "example")


def levels_of(design: Design) -> dict[str, dict[str, tuple[str, ...]]]:
    return {factor.name: dict(factor.levels) for factor in design.factors}


def test_factors_are_read_from_the_settings(tmp_path: Path) -> None:
    design = design_of(summary_of(tmp_path, GRID))
    assert (design.problem, design.is_declared, design.is_two_level) == ("", False, True)
    found = levels_of(design)
    assert found["target"] == {"hard": ("hard_mse", "hard_huber"), "soft": ("soft_mse", "soft_huber")}
    assert found["loss"] == {"mse": ("hard_mse", "soft_mse"), "huber": ("hard_huber", "soft_huber")}
    keys = {factor.name: set(factor.keys) for factor in design.factors}
    assert keys["loss"] == {"variant.loss.kind", "variant.loss.delta"}
    assert [factor.parts for factor in design.factors if factor.name == "target"] == [("target",)]


def test_declared_factors_keep_the_order_of_their_levels(tmp_path: Path) -> None:
    design = design_of(summary_of(tmp_path, GRID, factors=FACTORS))
    assert design.is_declared
    assert {name: list(levels) for name, levels in levels_of(design).items()} == {
        "target": ["hard", "soft"],
        "loss": ["mse", "huber"],
    }


def test_a_swept_key_is_a_factor_with_its_values_as_levels(tmp_path: Path) -> None:
    design = design_of(summary_of(tmp_path, {f"v lr={lr}": {"optimizer": {"lr": lr}} for lr in (0.1, 0.2, 0.3)}))
    (factor,) = design.factors
    assert factor.name == "optimizer.lr"
    assert list(factor.levels) == ["lr=0.1", "lr=0.2", "lr=0.3"]
    assert not design.is_two_level
    assert "optimizer.lr (3 levels)" in effects_of(summary_of(tmp_path / "again", {}, 0), design).problem


def test_three_corners_of_a_square_are_no_grid(tmp_path: Path) -> None:
    design = design_of(summary_of(tmp_path, {name: GRID[name] for name in list(GRID)[:3]}))
    assert "not every combination" in design.problem
    assert effects_of(summary_of(tmp_path / "again", {}, 0), design).analyses == ()


def test_a_factor_that_changes_two_parts_is_confounded(tmp_path: Path) -> None:
    settings = {"a": {"loss": "mse", "optimizer": {"lr": 1}}, "b": {"loss": "huber", "optimizer": {"lr": 2}}}
    (factor,) = design_of(summary_of(tmp_path, settings)).factors
    assert factor.parts == ("loss", "optimizer")


def test_a_key_that_moves_with_two_factors_is_named(tmp_path: Path) -> None:
    settings = {name: {**own, "discount": place} for place, (name, own) in enumerate(GRID.items())}
    design = design_of(summary_of(tmp_path, settings, factors=FACTORS))
    assert design.shared_keys == ("variant.discount",)


def test_wrong_declarations_are_told(tmp_path: Path) -> None:
    missing = design_of(summary_of(tmp_path, {n: s for n, s in GRID.items() if n != "soft_mse"}, factors=FACTORS))
    assert "soft_mse, of which there are no runs" in missing.problem
    reserved = [{**FACTORS[0], "factor": "env"}, FACTORS[1]]
    assert "cannot be called env" in design_of(summary_of(tmp_path / "b", GRID, factors=reserved)).problem
    assert "one variant a cell" in design_of(summary_of(tmp_path / "c", GRID, factors=FACTORS[:1])).problem


def test_keys_that_differ_are_listed_by_environment(tmp_path: Path) -> None:
    found = {one.key: one for one in key_differences(summary_of(tmp_path, GRID, envs=("X-v0", "Y-v0")))}
    assert found["variant.target.tau"].envs == ("X-v0", "Y-v0")
    assert found["variant.loss.delta"].values["hard_mse"] == "–"
    assert "seed" not in found
    assert part_of("variant.loss.delta") == "loss"
    assert part_of("budget.steps") == "budget"


def test_effects_are_those_of_the_statistics(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, GRID, factors=FACTORS)
    (analysis,) = effects_of(summary, design_of(summary)).analyses
    levels = {"target": ("hard", "soft"), "loss": ("mse", "huber")}
    assert (analysis.scope, analysis.unit) == ("X-v0", "return")
    expected = factorial_effects(analysis.frame, levels)  # type: ignore[arg-type]
    assert [(e.name, e.estimate, e.p_adjusted) for e in analysis.result.effects] == [
        (e.name, e.estimate, e.p_adjusted) for e in expected.effects
    ]
    assert abs(analysis.result["target"].estimate - 10.0) < 0.2
    assert analysis.word(analysis.result["target"]) == "supported"


def test_environments_are_averaged_on_the_fixed_scale_only(tmp_path: Path) -> None:
    known = summary_of(tmp_path, GRID, envs=("CartPole-v1", "CartPole-v0"), factors=FACTORS)
    report = effects_of(known, design_of(known))
    assert [one.scope for one in report.analyses] == ["all", "CartPole-v1", "CartPole-v0"]
    scales = [1 / (500 - 22.268), 1 / (200 - 22.268)]
    expected = sum(a.result["target"].estimate * s for a, s in zip(report.analyses[1:], scales, strict=True)) / 2
    assert abs(report.analyses[0].result["target"].estimate - expected) < 1e-12
    assert report.headlines == report.analyses[:1]
    unknown = summary_of(tmp_path / "b", GRID, envs=("X-v0", "Y-v0"), factors=FACTORS)
    report = effects_of(unknown, design_of(unknown))
    assert [one.scope for one in report.headlines] == ["X-v0", "Y-v0"]
    assert "X-v0: it has no entry in the normalisation table" in report.left_out


def test_environments_without_a_common_scale_are_corrected_together(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, GRID, envs=("X-v0", "Y-v0"), factors=FACTORS)
    design = design_of(summary)
    report = effects_of(summary, design)
    levels = {"target": ("hard", "soft"), "loss": ("mse", "huber")}
    alone = [factorial_effects(one.frame, levels) for one in report.headlines]  # type: ignore[arg-type]
    expected = corrected_together(alone)
    assert [one.num_together for one in report.headlines] == [6, 6]
    assert [[e.p_adjusted for e in one.result.effects] for one in report.headlines] == [
        [e.p_adjusted for e in result.effects] for result in expected
    ]
    page = report_text(summary)
    assert "Factors on X-v0: declared, 6 contrasts corrected together over 2 environments" in page
    assert "max-T over all contrasts of all these environments together" in page
    found = build_report(summary).statistics["effect/Y-v0/target"]
    assert (found["family"], found["tests_in_family"]) == ("factors, X-v0 and Y-v0", 6)


@pytest.mark.parametrize(
    ("margin", "words", "said"),
    [
        (None, {"target": "supported", "loss": "inconclusive"}, "smallest effect these seeds could show"),
        # 10 is shown, and larger than 1; the loss, 0 with a noise of 0.2, is shown to be smaller.
        (1.0, {"target": "supported", "loss": "equivalent"}, "and inside ±1.00, the smallest effect of interest (p"),
        (0.01, {"target": "supported", "loss": "inconclusive"}, "smallest effect these seeds could show"),
        (20.0, {"target": "supported", "loss": "equivalent"}, "but inside ±20.0, the smallest effect of interest."),
    ],
)
def test_effects_are_compared_with_the_smallest_that_matters(
    tmp_path: Path, margin: float | None, words: dict[str, str], said: str
) -> None:
    noise = 0.2 * np.random.default_rng(4).normal(size=(4, 8))
    scores = {name: 10.0 * ("soft" in name) + noise[place] for place, name in enumerate(GRID)}
    runs = [
        PlannedRun(name, seed, {1000: [float(scores[name][seed])]}, settings=own)
        for name, own in GRID.items()
        for seed in range(8)
    ]
    more = {} if margin is None else {"smallest_effect": {"": margin}}
    summary = summarise(write_store(tmp_path / "results", runs, factors=FACTORS, **more), "example")
    (analysis,) = effects_of(summary, design_of(summary)).analyses
    assert {name: analysis.word(analysis.result[name]) for name in words} == words
    assert said in report_text(summary)
    if margin is not None:
        x = (scores["hard_huber"] + scores["soft_huber"]) / 2
        y = (scores["hard_mse"] + scores["soft_mse"]) / 2
        found = analysis.equivalence_p["loss"]
        assert found == pytest.approx(equivalence_test(x, y, margin, paired=True).p_value, rel=1e-6)
        assert list(analysis.equivalence_p_adjusted.values()) == list(holm(list(analysis.equivalence_p.values())))


def test_equivalence_is_corrected_over_environments_too(tmp_path: Path) -> None:
    more = {"factors": FACTORS, "smallest_effect": {"": 4.0}}
    summary = summary_of(tmp_path, GRID, envs=("X-v0", "Y-v0"), **more)
    first, second = effects_of(summary, design_of(summary)).headlines
    expected = holm([*first.equivalence_p.values(), *second.equivalence_p.values()])
    assert [*first.equivalence_p_adjusted.values(), *second.equivalence_p_adjusted.values()] == list(expected)


def report_text(summary: Summary) -> str:
    return " ".join(re.sub(r"<[^>]*>", "", html_page(build_report(summary))).split())


def test_a_seed_is_one_block_over_all_environments_that_share_it(tmp_path: Path) -> None:
    envs = ("CartPole-v1", "Acrobot-v1")
    summary = summary_of(tmp_path, GRID, seeds=7, envs=envs, factors=FACTORS)
    result = effects_of(summary, design_of(summary)).analyses[0].result
    assert (result.n, result.num_blocks, result.smallest_p) == (7, 7, 2 / 2**7)
    assert "seeds over all environments" in result.test_method
    # Seeds 0 to 6 and 100 to 106 share no random streams: each is a block on its environment.
    apart = [
        PlannedRun(variant, seed + 100 * place, {1000: [score(variant, seed)]}, settings=own, env=env)
        for place, env in enumerate(envs)
        for variant, own in GRID.items()
        for seed in range(7)
    ]
    summary = summarise(write_store(tmp_path / "b", apart, factors=FACTORS), "example")
    result = effects_of(summary, design_of(summary)).analyses[0].result
    assert (result.n, result.num_blocks, result.smallest_p) == (7, 14, 2 / 2**14)
    assert "seeds within environments" in result.test_method


def test_seeds_without_a_run_in_every_cell_are_left_out_and_counted(tmp_path: Path) -> None:
    runs = [
        PlannedRun(
            v,
            seed,
            {1000: [score(v, seed)]},
            settings=own,
            status="failed" if (v, seed) == ("soft_mse", 2) else "done",
        )
        for v, own in GRID.items()
        for seed in range(6)
    ]
    summary = summarise(write_store(tmp_path / "results", runs, factors=FACTORS), "example")
    (analysis,) = effects_of(summary, design_of(summary)).analyses
    assert (analysis.result.n, analysis.result.num_dropped) == (5, 1)
    assert not analysis.can_reject
