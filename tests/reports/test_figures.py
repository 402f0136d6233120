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
from rlbench.reports.curves import MOST_TOGETHER, draw_curves
from rlbench.reports.figures import draw_final_returns
from rlbench.reports.summary import summarise


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


def test_drawing_is_repeatable_and_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, ["a", "b"], seeds=12)
    before = dict(mpl.rcParams)
    assert both(cells) == both(cells)
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_names_outside_the_font_do_not_stop_a_report(tmp_path: Path) -> None:
    assert "软更新" in texts_of(both(cells_of(tmp_path, ["软更新"]))[0].svg)


def test_colour_and_dash_together_name_a_variant() -> None:
    looks = [(colour_of(i), str(dash_of(i))) for i in range(len(SERIES) * len(DASHES))]
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("colour", SERIES)
def test_series_stand_out_from_paper(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) >= 3.0


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
