"""What the figures share: their look, and the forms in which they are written.

In: a matplotlib figure that was drawn under `STYLE`. Out: a `Drawing` with standalone SVG and PNG, and SVG for the
page, whose colours are CSS variables, so that it follows light and dark. Never: opens a window, or touches global state.

A figure is drawn at the width of a phone, with text to match, and scaled up on wider screens. Marks can say whose they are
(`marks_of_variants`), so that a page can leave variants out.
"""

from __future__ import annotations

import io
import itertools
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlbench.text import shortened

WIDTH, HEIGHT = 320.0, 250.0  # points; on a phone of 390 pixels a figure has about 338
SMALL = 9.5  # points: no text is smaller
DPI = 200  # of PNG files
# Okabe and Ito (2008), the hues that colour-blind readers tell apart, without the yellow that white paper swallows.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#b04a86", "#b47a00", "#2b8cc4", "#7a5230", "#5b6470")
# Seven dashes beside eight hues: the pair repeats after 56 variants, and neighbours differ in grey too.
DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 1.6)),
    (0, (1.4, 1.3)),
    (0, (6, 1.5, 1.4, 1.5)),
    (0, (9, 2.5)),
    (0, (4, 1.3, 1.2, 1.3, 1.2, 1.3)),
    (0, (2.6, 1.2)),
)
INK, MUTED, GRID, PAPER = "#1d2430", "#5d6673", "#dde1e7", "#ffffff"
# Colour in the drawing -> CSS variable on the page.
CSS_COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--paper)",
    **{colour: f"var(--series-{index})" for index, colour in enumerate(SERIES)},
}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "rlbench",
    "path.simplify": True,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.usetex": False,
}


@dataclass(frozen=True)
class Drawing:
    """One figure in the forms in which it is written."""

    svg: str  # standalone, on white
    png: bytes  # none of a drawing that only a page shows
    page_svg: str  # for inlining: no prolog, colours as CSS variables, ids under a prefix of its own
    summary: str  # what it shows, for readers who cannot see it

    def again(self, name: str) -> Drawing:
        """The same for another place of the page, where its ids have another prefix."""
        return replace(self, page_svg=inline_svg(self.svg, name))


def colour_of(index: int) -> str:
    """The colour of the variant with this index."""
    return SERIES[index % len(SERIES)]


def dash_of(index: int) -> Any:
    """The line style of the variant with this index, as matplotlib takes it."""
    return DASHES[index % len(DASHES)]


def blank(width: float, height: float) -> Figure:
    """An empty figure, in points."""
    return Figure(figsize=(width / 72, height / 72), facecolor=PAPER)


def panel(
    height: float, *, left: float, right: float, bottom: float, top: float, width: float = WIDTH
) -> tuple[Figure, Axes]:
    """An empty figure of `height` points with one axes, and margins in points."""
    figure = blank(width, height)
    return figure, add_axes(figure, left, bottom, width - left - right, height - bottom - top)


def add_axes(figure: Figure, x: float, y: float, width: float, height: float) -> Axes:
    """Axes in a figure, all in points from its lower left corner."""
    wide, tall = figure.get_size_inches() * 72
    axes = figure.add_axes((x / wide, y / tall, width / wide, height / tall), facecolor="none")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3, labelsize=SMALL)
    return axes


def write(axes: Axes, x: float, y: float, text: str, size: float, colour: str, **placement: Any) -> None:
    """Put literal text at (x, y)."""
    # parse_math: a name with dollars in it is a name, not mathematics.
    axes.text(x, y, text, fontsize=size, color=colour, parse_math=False, **placement)


def fitting(label: str, room: float, size: float) -> str:
    """A label cut to so many points, in letters of average width."""
    return shortened(label, max(8, int(room / (0.62 * size))))


def name_axes(axes: Axes, x: str = "", y: str = "", **style: Any) -> None:
    """Put literal names at the axes; one that is empty leaves its axis without."""
    for named, label in ((x, axes.set_xlabel), (y, axes.set_ylabel)):
        if named:
            label("".join(letter if letter.isprintable() else "?" for letter in named), parse_math=False, **style)


@contextmanager
def marks_of_variants(axes: Axes, *variants: int) -> Iterator[None]:
    """What is drawn inside is of these variants (their indices), and a page can leave it out with them; of none, it stays."""
    before = {id(artist) for artist in axes.get_children()}
    yield
    if not variants:
        return
    for artist in axes.get_children():
        if id(artist) not in before:
            artist.set_gid(f"{artist.get_gid() or ''} of {' '.join(map(str, variants))}".strip())


def render(figure: Figure, name: str, summary: str, *, is_for_page: bool = False) -> Drawing:
    """A finished figure in all its forms, or as a page shows it only; `name` is the prefix of its ids on the page."""
    svg, png = io.StringIO(), io.BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with _what_is_known_unsaid():
        figure.savefig(svg, format="svg", metadata=nothing)
        if not is_for_page:
            figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    numbers = itertools.count()
    text = re.sub(r'\bid="([^"]*?) ?\bof ([\d ]+)"', lambda found: _owned(found, next(numbers)), svg.getvalue())
    return Drawing(text, png.getvalue(), inline_svg(text, name), summary)


def place(figure: Figure) -> None:
    """Draw nowhere, which is when seaborn places dots."""
    with _what_is_known_unsaid():
        figure.draw_without_rendering()


@contextmanager
def _what_is_known_unsaid() -> Iterator[None]:
    with warnings.catch_warnings():
        # A variant's name in a script that DejaVu lacks: boxes in the PNG, right in the SVG and on the page.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # Where very many runs agree, their dots lie at the row's edge.
        warnings.filterwarnings("ignore", message=".*of the points cannot be placed")
        yield


def _owned(found: re.Match[str], number: int) -> str:
    return f'id="{found[1] or f"mark-{number}"}" data-variant="{found[2]}"'


def inline_svg(svg: str, name: str) -> str:
    """A standalone SVG made fit for a page: no prolog or metadata, its own ids, colours as CSS variables."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    # Its rule for `*` would hold for the whole page; the page's own style has it for figures.
    body = re.sub(r"<style\b.*?</style>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'(<svg\b[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg\b[^>]*?) height="[^"]*"', r"\1", body, count=1)
    body = body.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', body)
    for colour, variable in CSS_COLOURS.items():
        body = body.replace(colour, variable)
    return body.strip()
