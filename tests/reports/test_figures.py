"""Figures: what they are made of, and that they stay legible."""

import re
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_runs import PlannedRun, write_store

from rlbench.reports.axis_labels import pushed_apart
from rlbench.reports.canvas import CSS_COLOURS, DASHES, SERIES, Drawing, colour_of, dash_of
from rlbench.reports.cells import Cell
from rlbench.reports.comparisons import families_of
from rlbench.reports.curves import MOST_TOGETHER, draw_curves
from rlbench.reports.differences import curve_differences, draw_differences
from rlbench.reports.distribution import draw_distribution
from rlbench.reports.figures import MIN_RUNS_FOR_SHAPE, at_even_ranks, draw_final_returns, in_order, marks_of
from rlbench.reports.heat_map import draw_heat_map
from rlbench.reports.html import html_page
from rlbench.reports.report import build_report
from rlbench.reports.summary import summarise
from rlbench.stats import Interval


def cells_of(path: Path, variants: list[str], seeds: int = 3) -> tuple[Cell, ...]:
    runs = [
        PlannedRun(variant, seed, {500: [10.0 * seed], 1000: [20.0 * seed + i]})
        for i, variant in enumerate(variants)
        for seed in range(seeds)
    ]
    return summarise(write_store(path / "results", runs), "example").cells


def both(cells: tuple[Cell, ...], baseline: float | None = None) -> list[Drawing]:
    styles = list(range(len(cells)))
    return [
        draw_curves(cells, styles, baseline, name="c", kind="greedy return", is_wide=True),
        draw_final_returns(cells, styles, baseline, name="f"),
    ]


def texts_of(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def luminance(colour: str) -> float:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return float(
        np.dot(
            [0.2126, 0.7152, 0.0722],
            [c / 12.92 if c <= 0.04 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)],
        )
    )


def test_every_variant_is_named_in_every_form(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "a$b_c$", "soft & hard"]
    for drawing in both(cells_of(tmp_path, names)):
        assert drawing.png.startswith(b"\x89PNG")
        assert "<script" not in drawing.svg
        assert "<script" not in drawing.page_svg
        shown = texts_of(drawing.svg)
        assert "a$b_c$" in shown
        assert "soft & hard" in shown
        assert any("script" in text for text in shown)
        assert all(name in drawing.summary for name in names)


@pytest.mark.parametrize("count", [MOST_TOGETHER, MOST_TOGETHER + 1])
def test_more_variants_than_the_eye_tells_apart_have_a_panel_each(tmp_path: Path, count: int) -> None:
    names = [f"variant {i}" for i in range(count)]
    drawing = both(cells_of(tmp_path, names), baseline=3.0)[0]
    svg = "{http://www.w3.org/2000/svg}"
    panels = [group.get("id", "") for group in ET.fromstring(drawing.svg).iter(f"{svg}g")]
    assert sum(name.startswith("panel-") for name in panels) == (1 if count == MOST_TOGETHER else count)
    assert set(names) <= set(texts_of(drawing.svg))
    assert texts_of(drawing.svg).count("random 3.00") == 1


def test_page_svg_has_css_colours_and_ids_of_its_own(tmp_path: Path) -> None:
    for drawing, prefix in zip(both(cells_of(tmp_path, ["a", "b"])), ("wide-c", "f"), strict=True):
        ET.fromstring(drawing.page_svg)
        assert not [colour for colour in CSS_COLOURS if colour in drawing.page_svg]
        assert "var(--series-1)" in drawing.page_svg
        ids = re.findall(r'id="([^"]*)"', drawing.page_svg)
        assert ids
        assert all(name.startswith(f"{prefix}-") for name in ids)
        used = re.findall(r"url\(#([^)]*)\)", drawing.page_svg) + re.findall(r'href="#([^"]*)"', drawing.page_svg)
        assert set(used) <= set(ids)
        opening = drawing.page_svg[: drawing.page_svg.index(">")]
        assert "viewBox" in opening
        assert " width=" not in opening


def test_the_baseline_is_drawn_where_there_is_one(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, ["a"])
    assert "random 22.3" in texts_of(both(cells, 22.262)[0].svg)
    assert not [text for text in texts_of(both(cells)[0].svg) if "random" in text]


def test_a_figure_without_any_result_says_so(tmp_path: Path) -> None:
    runs = [PlannedRun("a", 0, status="pending")]
    curves, final = both(summarise(write_store(tmp_path / "results", runs), "example").cells)
    assert "no finished run yet" in texts_of(curves.svg)
    assert "n = 0" in texts_of(final.svg)


def open_figures() -> list[int]:
    """Figures that pyplot keeps, which may be another test's."""
    return sys.modules["matplotlib.pyplot"].get_fignums() if "matplotlib.pyplot" in sys.modules else []


def test_drawing_is_repeatable_and_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, ["a", "b"], seeds=12)
    before, open_before = dict(mpl.rcParams), open_figures()
    assert both(cells) == both(cells)
    assert dict(mpl.rcParams) == before
    assert open_figures() == open_before


def test_names_outside_the_font_do_not_stop_a_report(tmp_path: Path) -> None:
    assert "软更新" in texts_of(both(cells_of(tmp_path, ["软更新"]))[0].svg)


def test_colour_and_dash_together_name_a_variant() -> None:
    looks = [(colour_of(i), str(dash_of(i))) for i in range(len(SERIES) * len(DASHES))]
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("colour", SERIES)
def test_series_stand_out_from_paper(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) >= 3.0


def variants_of(svg: str) -> set[str]:
    return {one for found in re.findall(r'data-variant="([^"]*)"', svg) for one in found.split()}


def test_marks_say_whose_they_are_and_ids_stay_apart(tmp_path: Path) -> None:
    for drawing in both(cells_of(tmp_path, ["a", "b", "c"])):
        assert variants_of(drawing.page_svg) == variants_of(drawing.svg) == {"0", "1", "2"}
        ids = re.findall(r'\bid="([^"]*)"', drawing.page_svg)
        assert len(set(ids)) == len(ids)


def test_the_shape_of_a_distribution_stands_behind_many_runs_only(tmp_path: Path) -> None:
    def patches(seeds: int) -> int:
        drawing = both(cells_of(tmp_path / str(seeds), ["a"], seeds))[1]
        return len(re.findall(r"<g id=\"[^\"]*\" data-variant=\"0\">\s*<defs>", drawing.svg))

    assert patches(MIN_RUNS_FOR_SHAPE) == patches(MIN_RUNS_FOR_SHAPE - 1) + 1


def test_a_distribution_steps_down_at_each_run(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, ["a", "b"], seeds=5)
    drawing = draw_distribution(cells, [0, 1], name="d")
    assert drawing is not None
    assert "share of runs above" in texts_of(drawing.svg)
    (path,) = re.findall(r'<g id="mark-0" data-variant="0">\s*<path d="([^"]*)"', drawing.svg)
    heights = [float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", path)]
    assert len({round(height, 2) for height in heights}) == 6  # 1, 0.8 ... 0
    assert draw_distribution(cells[:1], [0], name="d") is None


def test_a_heat_map_has_both_directions_and_both_are_one_in_sum(tmp_path: Path) -> None:
    pairs = {("b", "a"): Interval(0.8, 0.6, 0.95, "probability_of_improvement", "bootstrap", 5, 0.95)}
    drawing = draw_heat_map(["a", "b"], [0, 3], pairs, name="h")
    assert {"a", "b", "0.80", "0.20"} <= set(texts_of(drawing.svg))
    assert variants_of(drawing.svg) == {"0", "3"}
    assert "fill-opacity: 0.2" in drawing.page_svg  # 0.3 from the middle, of 0.5, at a strength of 0.45
    assert "fill: var(--series-1)" in drawing.page_svg


def test_a_difference_is_marked_where_its_band_leaves_nothing_in_doubt(tmp_path: Path) -> None:
    runs = [
        PlannedRun(variant, seed, {500: [10.0 * seed], 1000: [10.0 * seed + 50 * i + seed % 2]})
        for i, variant in enumerate(("low", "high"))
        for seed in range(6)
    ]
    comparisons = [{"family": "f", "pairs": [["high", "low"]]}]
    summary = summarise(write_store(tmp_path / "results", runs, comparisons=comparisons), "example")
    (one,) = curve_differences(summary, families_of(summary), "CartPole-v1")
    assert one.variants == (1, 0)
    assert list(one.band.estimate) == [0.0, 50.0]
    assert list(one.is_apart) == [False, True]
    drawing = draw_differences([one], 5.0, name="d", kind="greedy return", is_wide=True)
    assert "high − low" in texts_of(drawing.svg)
    assert "1 of 2 points apart" in drawing.summary


@given(st.lists(st.floats(0, 200), min_size=1, max_size=12), st.floats(200, 300))
def test_labels_are_pushed_apart_in_order_and_within_the_room(wanted: list[float], room: float) -> None:
    placed = pushed_apart(wanted, 13.0, room)
    ranked = [placed[i] for i in np.argsort(wanted, kind="stable")]
    assert all(above - below >= 13.0 - 1e-6 for below, above in pairwise(ranked))
    assert min(placed) >= -1e-6
    assert max(placed) <= room + 1e-6


def test_labels_that_are_far_apart_stay_where_they_belong() -> None:
    assert pushed_apart([10.0, 100.0, 50.0], 13.0, 200.0) == [10.0, 100.0, 50.0]
    assert pushed_apart([50.0, 50.0], 10.0, 200.0) == [45.0, 55.0]


def test_dots_of_runs_with_one_return_stay_in_their_row(tmp_path: Path) -> None:
    runs = [PlannedRun(variant, seed, {500: [500.0]}) for variant in ("a", "b") for seed in range(19)]
    svg = draw_final_returns(
        summarise(write_store(tmp_path / "results", runs), "example").cells, [0, 1], None, name="f"
    ).svg
    rows = [
        [
            float(y)
            for y in re.findall(
                r'<use [^>]*y="([-\d.]+)"', svg.partition(f'id="dots-{row}-1"')[2].partition("<g id=")[0]
            )
        ]
        for row in (0, 1)
    ]
    assert [len(own) for own in rows] == [19, 19]
    assert max(rows[0]) - min(rows[0]) < 0.4 * (min(rows[1]) - min(rows[0]))
    assert len(set(rows[0])) > 5


def test_of_very_many_runs_some_have_a_mark_and_the_captions_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlbench.reports.figures.MOST_MARKS", 4)
    monkeypatch.setattr("rlbench.reports.curves.MOST_MARKS", 4)
    runs = [
        PlannedRun(variant, seed, {500: [seed], 1000: [seed]})
        for variant, own in (("a", 9), ("b", 3))
        for seed in range(own)
    ]
    summary = summarise(write_store(tmp_path / "results", runs), "example")
    few, many = summary.cells[1], summary.cells[0]
    assert [run.seed for run in at_even_ranks(in_order(many, is_done=True))] == [0, 3, 5, 8]
    assert [run.seed for run in at_even_ranks(in_order(few, is_done=True))] == [0, 1, 2]
    marks = {mark["id"]: [run["seed"] for run in mark["runs"]] for mark in marks_of(summary.cells, "f", {})}
    dots = draw_final_returns(summary.cells, [0, 1], None, name="f").svg
    for position, own in ((0, [0, 3, 5, 8]), (1, [0, 1, 2])):
        group = dots.partition(f'id="dots-{position}-1"')[2].partition("<g id=")[0]
        assert (marks[f"f-dots-{position}-1"], group.count("<use")) == (own, len(own))
    told = html_page(build_report(summary))
    assert told.count("Of more than 4 runs") == 3  # beside the answer, along training, and every run
    assert "tables/run_curves.csv has all" in told
