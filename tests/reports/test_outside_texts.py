"""Texts from outside, in every form of a report and in the terminal: shown, and never formulas, markup or orders."""

import csv
import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from written_runs import PlannedRun, write_store

import rlbench.results
from rlbench.reports.markdown import markdown_text
from rlbench.reports.report import write_report
from rlbench.reports.spreadsheet import cell
from rlbench.reports.summary import summarise
from rlbench.reports.terminal import table_of
from rlbench.store import Results

FORMULA, ESCAPE, TURNED = '=HYPERLINK("http://x.invalid","a")', "red\x1b[31m\x07\x9bname", "abc\u202edef"
NAMES = [FORMULA, "+1+2", "-x", "@SUM(A1)", "\t=1", ESCAPE, TURNED, "<b>a</b>`|$x$", "-0.5", "plain"]
COMMAND = [
    "python",
    "-m",
    "rlbench.run",
    "wandb.project=<img src=x onerror=alert(1)>\n\n<script>1</script>",
    "name=`id`",
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = [
        PlannedRun(name, seed, {500: [float(seed)], 1000: [i + seed]}, settings={"key=`<x>`|": name})
        for i, name in enumerate(NAMES)
        for seed in range(3)
    ]
    runs.append(PlannedRun("plain", 5, status="failed", error="no\x1b]0;title\x07 <i>way</i>\n=1+1"))
    path = tmp_path_factory.mktemp("outside") / "results"
    return write_store(path, runs, question="# a heading\x1b[2J?", command=COMMAND, **{"pairs": []})


@pytest.fixture(scope="module")
def folder(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(results, "example", tmp_path_factory.mktemp("outside") / "out").parent


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        ("=1+1", "'=1+1"), ("+a", "'+a"), ("-a", "'-a"), ("@a", "'@a"), ("\ta", "'\ta"), ("\ra", "'\ra"), (" =1", "' =1"),
        ("\N{FULLWIDTH EQUALS SIGN}1", "'\N{FULLWIDTH EQUALS SIGN}1"), ("-0.5", "-0.5"), ("+1e-3", "+1e-3"), ("-inf", "-inf"),
        ("a=1", "a=1"), ("", ""), (-1.5, -1.5), (None, None), ("a\x1bb", r"a\x1bb"),
    ],
)  # fmt: skip
def test_a_label_is_no_formula_and_a_number_stays_one(value: object, safe: object) -> None:
    assert cell(value) == safe


def test_no_csv_holds_a_formula_or_a_control_character(
    folder: Path, results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [folder / "runs.csv", *sorted((folder / "tables").glob("*.csv"))]
    assert len(paths) > 8
    for table in ("runs", "episodes", "evaluations", "diagnostics"):
        rlbench.results.main([f"store={results.path}", f"table={table}", "format=csv"])
    texts = [path.read_text() for path in paths] + [capsys.readouterr().out]
    for text in texts:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
        for row in csv.reader(io.StringIO(text)):
            for one in row:
                assert not re.match(r"\s*[=+\-@]", one) or re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", one), one
    names = {row["variant"] for row in csv.DictReader(io.StringIO(texts[0]))}
    assert {f"'{FORMULA}", r"red\x1b[31m\x07\x9bname", "-0.5"} <= names


def test_pages_show_what_would_steer_a_reader(folder: Path) -> None:
    for path in [folder / "report.html", folder / "report.md", *(folder / "tables").glob("*.tex")]:
        text = path.read_text()
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text), path.name
        assert text.count("<script") == (path.name == "report.html")  # the page's own
        assert "<img" not in text
        assert "<b>a" not in text
    page, markdown = (folder / "report.html").read_text(), (folder / "report.md").read_text()
    assert r"red\x1b[31m\x07\x9bname" in page
    assert r"abc\u202edef" in page
    assert "onerror" in markdown
    assert r"\x3cimg src=x onerror=alert(1)\x3e" in markdown
    assert "\n\\# a heading" in markdown
    assert "`<x>`" not in markdown
    assert r"\$x\$" in markdown


def test_markdown_shows_dollars_as_dollars() -> None:
    assert markdown_text("a$b$") == r"a\$b\$"


def test_the_terminal_is_sent_no_orders(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO(), width=140)
    console.print(table_of(summarise(results, "example")))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    rlbench.results.main([f"store={results.path}", "format=table"])
    for text in (shown, capsys.readouterr().out):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
        assert r"\x1b[31m" in text
