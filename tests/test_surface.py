"""The package as Python users and shells meet it: names by tab, a version, and a flag that was meant as a key."""

import inspect
import pydoc
from importlib.metadata import version
from pathlib import Path

import pytest

import rlbench
from rlbench.__main__ import main
from rlbench.config.arguments import as_key
from rlbench.errors import ConfigError
from tests.reports.written_runs import PlannedRun, write_store


def test_the_package_lists_what_it_offers() -> None:
    assert set(rlbench.__all__) <= set(dir(rlbench))
    assert rlbench.__version__ == version("rlbench")


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rlbench {version('rlbench')}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--seeds", "3"], "did you mean seeds=3?"),
        (["run", "--seeds=3"], "did you mean seeds=3?"),
        (["run", "--optimizer.lr", "1e-3"], "did you mean optimizer.lr=1e-3?"),
        (["results", "--table", "runs"], "did you mean table=runs?"),
    ],
)
def test_a_flag_that_is_a_key_is_shown_as_one(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert told in capsys.readouterr().err


def test_a_flag_without_a_value_is_shown_with_its_gap() -> None:
    assert as_key("--seeds", ["--seeds", "--dry-run"]) == "; did you mean seeds=...?"


@pytest.mark.parametrize(("name", "first"), [("run", "variant"), ("report", "results")])
def test_what_is_called_says_its_arguments(name: str, first: str) -> None:
    called = getattr(rlbench, name)
    assert next(iter(inspect.signature(called).parameters)) == first
    told = pydoc.plain(pydoc.render_doc(called))
    assert f"{name}({first}: " in told
    assert "Raises ConfigError" in told


def test_a_report_is_shown_whole_in_a_notebook(tmp_path: Path) -> None:
    runs = [
        PlannedRun(variant, seed, {100: [value + seed]})
        for variant, value in (("hard", 10.0), ("soft", 400.0))
        for seed in range(8)
    ]
    page = rlbench.report(write_store(tmp_path / "results", runs))
    assert page.path == tmp_path / "results/reports/example/report.html"
    shown = page._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert shown.count('"') == 6  # those of the page are written otherwise
    assert repr(page).splitlines()[-1] == f"report: {page.path}"
    assert "soft" in page.text


def test_a_report_of_several_experiments_asks_for_one(tmp_path: Path) -> None:
    write_store(tmp_path / "results", [PlannedRun("hard", 0, {100: [1.0]})], name="one")
    results = write_store(tmp_path / "results", [PlannedRun("hard", 1, {100: [1.0]})], name="two")
    with pytest.raises(ConfigError, match="2 experiments in"):
        rlbench.report(rlbench.load(results.path))
    with pytest.raises(ConfigError, match="did you mean 'one'"):
        rlbench.report(results, "onee")
