"""The page in a real browser: quiet, asking nobody, with values on hover and variants that can be switched off; and whole without script."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from written_runs import PlannedRun, write_store

from rlbench.reports.canvas import CSS_COLOURS
from rlbench.reports.heat_map import STRONGEST
from rlbench.reports.report import write_report

BROWSER = next((one for name in ("chromium", "chromium-browser", "google-chrome") if (one := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the PATH")
# Acts as a reader would, after the page's own script, in a frame of the width to test: a window is never narrower than 500 pixels.
READER = """
<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const wide = innerWidth >= 760 ? "wide-" : "";
  const seen = {errors: window.problems, asked: performance.getEntriesByType("resource").map((one) => one.name), width: innerWidth};
  const tip = () => [...document.querySelectorAll("#tip:not([hidden]) div")].map((one) => one.textContent);
  const at = (panel, x, y) => {
    const group = document.getElementById(wide + panel), ground = group.querySelector("path").getBoundingClientRect();
    const place = {clientX: ground.left + x * ground.width, clientY: ground.bottom - y * ground.height, bubbles: true};
    group.querySelector("path").dispatchEvent(new PointerEvent("pointermove", place));
    const told = tip();
    group.dispatchEvent(new PointerEvent("pointerleave"));
    return told;
  };
  const dot = document.querySelector(`#${wide}answer0-dots-1-1 use`);
  dot.dispatchEvent(new PointerEvent("pointerenter"));
  seen.dot = tip();
  dot.dispatchEvent(new PointerEvent("pointerleave"));
  seen.after = tip();
  seen.curve = [at("curves0-panel-1", 0.45, 0.99), at("curves0-panel-1", 0.95, 0.99), at("curves0-panel-1", 0.95, 2)];
  seen.difference = at("apart0-panel-0", 1, 0.99);
  const figures = () => Object.fromEntries([...document.querySelectorAll("figure svg")].filter((one) => one.checkVisibility())
    .map((one) => [one.querySelector("g").id, [...one.querySelectorAll('[data-variant~="1"]')]
      .filter((mark) => getComputedStyle(mark).visibility !== "hidden").length]));
  const button = [...document.querySelectorAll("#variants button")].find((one) => one.textContent === "huber");
  seen.marks = figures();
  button.click();
  seen.off = figures();
  seen.off_told = at("curves0-panel-1", 0.45, 0.99);
  button.click();
  seen.again = figures();
  const dots = [...document.querySelectorAll("use")].filter((one) => one.checkVisibility());
  seen.film = dots.filter((one) => one.style.cursor === "pointer").length;
  const places = [...document.querySelectorAll(`#${wide}answer0-dots-1-1 use`)].map((one) => one.getBoundingClientRect().x);
  seen.ordered = places.length === 4 && places.every((x, place) => !place || x > places[place - 1]);
  seen.overflow = document.documentElement.scrollWidth - innerWidth;
  const texts = [...document.querySelectorAll("figure svg text")].filter((one) => one.checkVisibility());
  const size = (one) => parseFloat(getComputedStyle(one).fontSize) * Math.hypot(one.getScreenCTM().a, one.getScreenCTM().b);
  seen.smallest = Math.min(...texts.map(size));
  seen.outside = texts.filter((one) => {
    const own = one.getBoundingClientRect(), all = one.ownerSVGElement.getBoundingClientRect();
    return own.left < all.left - 3 || own.right > all.right + 3;
  }).map((one) => one.textContent);
  parent.postMessage(JSON.stringify(seen), "*");
});
</script></body>"""
WATCH = "<head><script>window.problems = []; onerror = (told) => { window.problems.push(String(told)); };</script>"
FRAME = """<!DOCTYPE html><body style="margin:0"><script>addEventListener("message", (event) => { document.title = event.data; });</script>
<iframe src="%s" style="border:0;width:%dpx;height:850px"></iframe></body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("browser")
    runs = [
        PlannedRun(variant, seed, {500: [10.0 * seed], 1000: [20.0 * seed + 5 * i]})
        for i, variant in enumerate(("mse", "huber", "third"))
        for seed in range(4)
    ]
    declared = {"comparisons": [{"family": "loss", "pairs": [["mse", "huber"]]}]}
    results = write_store(place / "results", runs, **declared)
    (place / "results/play").mkdir()
    (place / f"results/play/{runs[5].run_id}.gif").write_bytes(b"GIF89a")
    return write_report(results, "example", place / "results/reports/example")


def dumped(path: Path, *more: str) -> tuple[str, str]:
    """The page as the browser made it, and what it wrote to its console."""
    assert BROWSER is not None
    words = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",  # a phone lays them over the page
        "--enable-logging=stderr",
        "--window-size=1400,900",
    ]
    words += [f"--user-data-dir={path.parent / f'profile-{path.stem}'}", *more, "--dump-dom", path.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


@pytest.fixture(scope="module", params=[1280, 390])
def seen(page: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a reader saw at this width, and what the console said."""
    if BROWSER is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the PATH")
    acted, framed = page.with_name(f"acted{request.param}.html"), page.with_name(f"framed{request.param}.html")
    acted.write_text(page.read_text().replace("<head>", WATCH).replace("</body>", READER))
    framed.write_text(FRAME % (acted.name, request.param))
    dom, console = dumped(framed)
    title = html.unescape(re.findall(r"<title>(.*?)</title>", dom, re.DOTALL)[0])
    return {**json.loads(title), "asked_width": request.param, "console": console}


def test_the_page_is_quiet_and_asks_nobody(seen: dict[str, Any]) -> None:
    assert seen["width"] == seen["asked_width"]
    assert (seen["errors"], seen["asked"]) == ([], [])
    assert "CONSOLE" not in seen["console"]


def test_a_dot_names_its_seed_and_links_its_film(seen: dict[str, Any]) -> None:
    assert seen["dot"] == ["huber, seed 0: 2.50"]
    assert seen["after"] == []
    assert seen["film"] == 2  # one run, in the figure beside the answer and among the results
    assert seen["ordered"]


def test_a_curve_says_its_value_its_interval_and_the_step(seen: dict[str, Any], page: Path) -> None:
    statistics = json.loads((page.parent / "stats.json").read_text())["statistics"]
    curve, apart = (
        statistics["curve/CartPole-v1/huber"],
        statistics["curve difference along training/loss/CartPole-v1/mse against huber"],
    )
    first, last, outside = seen["curve"]
    assert (first[0], last[0], outside) == ("step 500", "step 1 000", [])
    for told, record, place, label in (
        (first, curve, 0, "huber"),
        (last, curve, 1, "huber"),
        (seen["difference"], apart, 1, "mse − huber"),
    ):
        assert told[1].startswith(f"{label} ")
        shown = [float(one) for one in re.findall(r"[-+]?\d[\d.]*", told[1].removeprefix(label))]
        recorded = [record[field][place] for field in ("estimate", "low", "high")]
        assert shown == pytest.approx(recorded, abs=0.05)
    assert len(first) == 2


def test_a_variant_is_left_out_of_every_figure_at_once(seen: dict[str, Any]) -> None:
    assert len([marks for marks in seen["marks"].values() if marks]) >= 5
    assert not any(seen["off"].values())
    assert seen["again"] == seen["marks"]
    assert seen["off_told"] == []


def test_every_figure_is_legible_at_this_width(seen: dict[str, Any]) -> None:
    assert seen["overflow"] <= 0
    assert seen["smallest"] >= 9.9
    assert seen["outside"] == []


@needs_browser
def test_the_page_without_script_has_all_numbers(page: Path) -> None:
    with_script, _ = dumped(page)
    bare = page.with_name("bare.html")
    bare.write_text(re.sub(r"<script>.*?</script>", "", page.read_text(), flags=re.DOTALL))
    without, _ = dumped(bare)
    numbers = [re.findall(r'data-stat="([^"]*)"[^>]*>([^<]*)<', text) for text in (with_script, without)]
    assert len(numbers[0]) > 50
    assert numbers[0] == numbers[1]
    assert '<div id="variants" role="group" aria-label="Variants in the figures">' in with_script
    assert '<div id="variants" role="group" aria-label="Variants in the figures" hidden="">' in without


def luminance(colour: str) -> float:
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2: 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def themes() -> list[dict[str, str]]:
    css = (Path(__file__).parents[2] / "rlbench/reports/templates/report.css").read_text()
    return [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{.*?\}", css, re.DOTALL)[:2]
    ]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_marks_stand_out_in_both_themes(theme: int) -> None:
    colours = themes()[theme]
    assert len(colours) == 20
    for name in ("ink", "muted", "accent"):
        for ground in ("paper", "ground"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    for tone in ("red", "amber", "green"):
        assert contrast(colours[tone], colours[f"{tone}-ground"]) >= 4.5, tone
        assert contrast(colours[tone], colours["paper"]) >= 4.5, tone
    for place in range(8):
        assert contrast(colours[f"series-{place}"], colours["paper"]) >= 3.0, place


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("series", [0, 1])
def test_numbers_stand_out_on_the_strongest_colour_of_a_heat_map(theme: int, series: int) -> None:
    colours = themes()[theme]
    mixed = [
        round(
            STRONGEST * int(colours[f"series-{series}"][i : i + 2], 16)
            + (1 - STRONGEST) * int(colours["paper"][i : i + 2], 16)
        )
        for i in (1, 3, 5)
    ]
    assert contrast(colours["ink"], "#" + "".join(f"{one:02x}" for one in mixed)) >= 4.5


def test_the_files_have_the_colours_of_the_light_page() -> None:
    light = themes()[0]
    for colour, variable in CSS_COLOURS.items():
        name = variable.removeprefix("var(--").removesuffix(")")
        assert light[name] == colour or name == "paper"
