"""The report's files: complete, self-contained, safe, and the same every time."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from written_runs import PlannedRun, write_store

import rlbench.reports
from rlbench.errors import WriteError
from rlbench.reports import report_folder, write_report
from rlbench.reports.html import breakable

NASTY = "<script>alert('x')</script>"
VOID = {"wbr", "meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """A page's tags, checked for balance, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.words += [] if tag in {"span", "strong", "code"} else [" "]

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def small_grid() -> list[PlannedRun]:
    runs = [
        PlannedRun(variant, seed, {500: [5.0 * seed], 1000: [100 * i + 10.0 * seed]}, env=env)
        for env in ("CartPole-v1", "module:Odd/Env-v0")
        for i, variant in enumerate(("hard", NASTY))
        for seed in range(3)
    ]
    broken = [
        PlannedRun("hard", 3, {500: [1.0]}, status="diverged"),
        PlannedRun("hard", 4, status="failed", error=f"OSError: '/home/me/secret/part.parquet' {NASTY}"),
        PlannedRun("hard", 5, status="pending"),
    ]
    return [*runs, *broken]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report that most tests read; none of them changes it."""
    place = tmp_path_factory.mktemp("report")
    results = write_store(place / "results", small_grid(), question="Is <b>soft</b> | better?", seeds=[0, 1, 2])
    return write_report(results, "example", place / "out").parent


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text())


def test_all_files_are_written_and_none_is_left_half_done(folder: Path) -> None:
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    figures = {
        f"figures/{kind}-{slug}.{form}"
        for kind in ("curves", "final_returns")
        for slug in ("CartPole-v1", "module_Odd_Env-v0_1")
        for form in ("svg", "png")
    }
    tables = {
        f"tables/{name}.csv" for name in ("comparisons", "runs_by_status", "scoreboard-0", "curves", "run_curves")
    }
    latex = {f"tables/{name}.tex" for name in ("comparisons", "runs_by_status", "scoreboard-0")}
    assert names >= {"report.html", "report.md", "stats.json", "runs.csv"} | figures | tables | latex
    assert {Path(name).suffix for name in names} == {".html", ".md", ".json", ".csv", ".tex", ".svg", ".png"}


def test_page_asks_nobody_for_anything(folder: Path, page: Page) -> None:
    assert [attrs for tag, attrs in page.tags if tag == "script"] == [{}]  # one, inline
    assert not [tag for tag, _ in page.tags if tag in {"link", "img", "iframe", "object", "base", "form"}]
    addresses = [
        value for _, attrs in page.tags for key, value in attrs.items() if key in {"src", "href", "xlink:href"}
    ]
    assert all(address and address.startswith("#") for address in addresses)
    html = (folder / "report.html").read_text()
    assert "@import" not in html
    assert [url for url in re.findall(r"url\(([^)]*)\)", html) if not url.startswith("#")] == []


def test_names_are_text_and_never_markup(folder: Path, page: Page) -> None:
    html = (folder / "report.html").read_text()
    own = (Path(rlbench.reports.__file__).parent / "templates/report.js").read_text()
    assert html.count("<script") == html.count(own) == 1
    assert NASTY in page.text
    assert "Is <b>soft</b> | better?" in page.text
    assert not [attrs for _, attrs in page.tags for key in attrs if key.startswith("on")]
    markdown = (folder / "report.md").read_text()
    assert "<script" not in markdown
    assert "Is &lt;b&gt;soft&lt;/b&gt; \\| better?" in markdown


def test_ids_are_unique(page: Page) -> None:
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_page_counts_what_is_missing_and_warns(page: Page) -> None:
    for said in ("12 of 15 runs done", "1 diverged", "1 failed", "1 pending", "under 10", "95 % interval of the mean"):
        assert said in page.text


def test_no_folder_of_the_machine_is_named(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".png":
            content = path.read_text()
            assert "/home/me" not in content
            assert "/somewhere" not in content
            assert str(folder.parent) not in content
    assert "python -m rlbench.run variant=a,b store=results\n" in (folder / "report.md").read_text()


def test_numbers_on_the_page_are_those_in_the_tables(folder: Path, page: Page) -> None:
    stats = json.loads((folder / "stats.json").read_text())["statistics"]
    found = stats["final_return/CartPole-v1/hard"]
    # Seeds 0, 1, 2 with 5 and 10 a seed at the two points: 0, 7.5, 15.
    assert (found["n"], found["estimate"], found["mean"]) == (3, 7.5, 7.5)
    assert (found["method"], found["interval_of"]) == ("Student t", "mean")
    low, high = found["low"], found["high"]
    assert f"[{low:.1f}, {high:.1f}]" in page.text
    table = pd.read_csv(folder / "tables/scoreboard-0.csv").set_index("Variant").loc["hard"]
    assert table[["Final return, mean", "95 % interval of the mean low"]].tolist() == [7.5, low]
    markdown = (folder / "report.md").read_text()
    assert low == 0.0  # cut: no return of CartPole is below
    assert f"| hard | 3 | **7.5** | \\[{low:.1f}, {high:.1f}\\] |" in markdown
    latex = (folder / "tables/scoreboard-0.tex").read_text()
    assert f"hard & 3 & \\textbf{{7.5}} & {{}}[{low:.1f}, {high:.1f}] &" in latex


def test_tables_hold_every_run_and_every_point(folder: Path) -> None:
    runs = pd.read_csv(folder / "runs.csv")
    assert len(runs) == 15
    assert runs.loc[runs.status == "done", "digest"].str.fullmatch("[0-9a-f]{64}").all()
    curves = pd.read_csv(folder / "tables/run_curves.csv")
    assert len(curves) == 12 * 2 + 1
    first = curves[(curves.seed == 2) & (curves.variant == "hard") & (curves.env == "CartPole-v1")]
    assert first["mean_return"].tolist() == [10.0, 20.0]
    counted = pd.read_csv(folder / "tables/runs_by_status.csv").iloc[0]
    assert counted[["group", "Variant"]].tolist() == ["CartPole-v1", "hard"]
    assert counted[["Planned", "Done", "Diverged", "Failed", "Pending"]].tolist() == [6, 3, 1, 1, 1]
    assert counted["Lost, rate"] == 2 / 5


def test_the_baseline_of_random_actions_is_named_where_it_is_known(page: Page) -> None:
    assert page.text.count("Dotted: random actions, 22.3") == 1


def test_markdown_tables_are_whole(folder: Path) -> None:
    lines = (folder / "report.md").read_text().splitlines()
    rows = [re.sub(r"\\\|", "", line).count("|") for line in lines if line.startswith("|")]
    heads = [i for i, line in enumerate(lines) if line.startswith("|---")]
    assert len(heads) > 8
    for head in heads:
        width = lines[head].count("|")
        assert re.sub(r"\\\|", "", lines[head - 1]).count("|") == width
        assert lines[head + 1].startswith("|")
    assert len(rows) > 9


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    results = write_store(tmp_path / "results", small_grid())
    first, second = (write_report(results, "example", tmp_path / name).parent for name in ("one", "two"))
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) > 40
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_an_older_report_is_replaced(tmp_path: Path) -> None:
    results = write_store(tmp_path / "results", small_grid())
    (tmp_path / "out").mkdir()
    (tmp_path / "out/report.html").write_text("old")
    page = write_report(results, "example", tmp_path / "out")
    assert page == tmp_path / "out/report.html"
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_an_experiment_without_a_finished_run_has_a_report(tmp_path: Path) -> None:
    results = write_store(tmp_path / "results", [PlannedRun("a", seed, status="pending") for seed in range(2)])
    page = Page(write_report(results, "example", tmp_path / "out").read_text())
    assert "no run is done yet" in page.text
    assert "0 of 2 runs done" in page.text


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    results = write_store(tmp_path / "results", [PlannedRun("a", 0)])
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"cannot write the report to .*report\.html"):
        write_report(results, "example", tmp_path / "file")


def test_long_names_may_break_after_underscores_and_stay_escaped() -> None:
    assert breakable("a_b<i>") == "a_<wbr>b&lt;i&gt;"


def test_report_folder_stays_inside_the_store() -> None:
    store = Path("results")
    assert report_folder(store, "target_by_loss") == store / "reports/target_by_loss"
    for name in ("../../etc", "/etc", "..", ".", "a/b", "", "\\x"):
        assert report_folder(store, name).resolve().parent == (store / "reports").resolve()


def test_reports_import_neither_torch_nor_pyplot() -> None:
    # Seconds on every report, and a window system that is not needed.
    script = (
        "import sys, rlbench.reports.report;"
        "print([name for name in ('torch', 'matplotlib.pyplot', 'scipy.stats', 'wandb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
