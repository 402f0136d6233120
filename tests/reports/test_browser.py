"""The page in a real browser: quiet, asking nobody, with values on hover and variants that can be switched off; and whole without script."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from written_runs import PlannedRun, write_store

from rlbench.reports.canvas import CSS_COLOURS
from rlbench.reports.report import write_report

BROWSER = next((one for name in ("chromium", "chromium-browser", "google-chrome") if (one := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the PATH")
# Acts as a reader would, after the page's own script; what it saw stands in the title.
READER = """
<script>
addEventListener("load", () => {
  const seen = {errors: window.problems, asked: performance.getEntriesByType("resource").map((one) => one.name)};
  const dot = document.querySelector("#answer0-dots-1-1 use");
  dot.dispatchEvent(new PointerEvent("pointerenter"));
  seen.tip = document.getElementById("tip").textContent;
  dot.dispatchEvent(new PointerEvent("pointerleave"));
  seen.after = document.getElementById("tip").hidden;
  const button = [...document.querySelectorAll("#variants button")].find((one) => one.textContent === "huber");
  const row = document.getElementById("answer0-dots-1-1");
  button.click(); seen.off = row.style.visibility; button.click(); seen.on = row.style.visibility;
  seen.film = [...document.querySelectorAll("use")].filter((one) => one.style.cursor === "pointer").length;
  const at = [...document.querySelectorAll("#answer0-dots-1-1 use")].map((one) => one.getBoundingClientRect().x);
  seen.ordered = at.length === 4 && at.every((x, place) => !place || x > at[place - 1]);
  seen.wide = document.documentElement.scrollWidth <= innerWidth;
  document.title = JSON.stringify(seen);
});
</script></body>"""
WATCH = "<head><script>window.problems = []; onerror = (told) => { window.problems.push(String(told)); };</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("browser")
    runs = [
        PlannedRun(variant, seed, {500: [10.0 * seed], 1000: [20.0 * seed + 5 * i]})
        for i, variant in enumerate(("mse", "huber", "third"))
        for seed in range(4)
    ]
    results = write_store(place / "results", runs)
    (place / "results/play").mkdir()
    (place / f"results/play/{runs[5].run_id}.gif").write_bytes(b"GIF89a")
    return write_report(results, "example", place / "results/reports/example")


def dumped(path: Path, width: int, *more: str) -> tuple[str, str]:
    """The page as the browser made it, and what it wrote to its console."""
    assert BROWSER is not None
    words = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--window-size={width},900",
    ]
    words += [f"--user-data-dir={path.parent / f'profile{width}{len(more)}'}", *more, "--dump-dom", path.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_answers_a_reader_and_asks_nobody(page: Path, width: int) -> None:
    acted = page.with_name(f"acted{width}.html")
    whole = page.read_text()
    acted.write_text(whole.replace("<head>", WATCH).replace("</body>", READER))
    dom, console = dumped(acted, width)
    title = html.unescape(re.findall(r"<title>(.*?)</title>", dom, re.DOTALL)[0])
    assert '"errors":[],"asked":[]' in title
    assert '"tip":"huber, seed 0: 2.50","after":true,"off":"hidden","on":""' in title
    assert (
        '"film":2,"ordered":true,"wide":true' in title
    )  # one run, in the figure beside the answer and among the results
    assert "CONSOLE" not in console


@needs_browser
def test_the_page_without_script_has_all_numbers(page: Path) -> None:
    with_script, _ = dumped(page, 1280)
    bare = page.with_name("bare.html")
    bare.write_text(re.sub(r"<script>.*?</script>", "", page.read_text(), flags=re.DOTALL))
    without, _ = dumped(bare, 1281)
    numbers = [re.findall(r'data-stat="([^"]*)"[^>]*>([^<]*)<', text) for text in (with_script, without)]
    assert len(numbers[0]) > 50
    assert numbers[0] == numbers[1]
    assert "<button" in with_script
    assert "<button" not in without


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


def test_the_files_have_the_colours_of_the_light_page() -> None:
    light = themes()[0]
    for colour, variable in CSS_COLOURS.items():
        name = variable.removeprefix("var(--").removesuffix(")")
        assert light[name] == colour or name == "paper"
