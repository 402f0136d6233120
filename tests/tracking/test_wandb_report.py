"""The W&B report of a written report: built without network, a file without an account, sent where there is a server."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openwandb import OpenWandb
from tracking_toy import ToyStore

import rlbench.report
from rlbench.errors import EXIT_BAD_INPUT, EXIT_OK, StoreError
from rlbench.store import load
from rlbench.tracking.follower import EXIT_LEFT
from rlbench.tracking.wandb import report as wandb_report
from rlbench.tracking.wandb.report import (
    MirroredRuns,
    WrittenSection,
    build,
    mirrored_runs,
    publish,
    read_story,
    write_specification,
)
from rlbench.tracking.wandb.settings import TrackingSettings

pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style")  # raised inside wandb_workspaces

REPORT = """# my experiment

Which is better?

## Verdicts

soft is better than hard: **supported**, see [the table](tables/verdicts.csv) and [the paper](https://example.org/p).

![Curves](figures/curves.png)

## Scoreboard

| variant | n |
|---|---:|
| soft | 10 |

```
## no heading
```
"""
RUNS = [MirroredRuns("CartPole-v1", ("my experiment", "an earlier one"), ("soft lr=0.1", "ha\"r'd"))]
SETTINGS = TrackingSettings(project="mine", entity="team")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written = tmp_path / "report"
    (written / "tables").mkdir(parents=True)
    (written / "report.md").write_text(REPORT)
    (written / "report.html").write_text("<html></html>")
    (written / "stats.json").write_text("{}")
    (written / "tables" / "runs.csv").write_text("a\n")
    return written


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection fails the test."""

    def refuse(*args: Any) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def report_command(store: Path, home: Path, *words: str, **variables: str) -> tuple[int, str, str]:
    """The command in a process of its own, with no account but that of `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment = kept | {"HOME": str(home), "NETRC": str(home / "none")} | variables
    command = [sys.executable, "-m", "rlbench.report", f"store={store}", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_report_is_cut_at_its_headings(folder: Path) -> None:
    title, sections = read_story(folder)
    assert title == "my experiment"
    assert [section.heading for section in sections] == ["", "Verdicts", "Scoreboard"]
    assert sections[0] == WrittenSection("", "Which is better?")
    assert sections[1].text == (
        "soft is better than hard: **supported**, see the table and [the paper](https://example.org/p)."
    )
    assert "## no heading" in sections[2].text


def test_the_object_has_the_verdict_then_the_curves_then_the_tables(folder: Path, no_network: None) -> None:
    import wandb_workspaces.reports.v2 as wr

    report = build(folder, "my experiment", RUNS, SETTINGS)
    assert (report.project, report.entity, report.title) == ("mine", "team", "my experiment")
    kinds = [type(block).__name__ for block in report.blocks]
    assert kinds == [
        "TableOfContents",
        "MarkdownBlock",
        *("H2", "MarkdownBlock"),  # verdicts
        *("H2", "MarkdownBlock", "H3", "PanelGrid"),  # curves
        *("H2", "MarkdownBlock"),  # scoreboard
        *("H2", "MarkdownBlock"),  # files
    ]
    (grid,) = [block for block in report.blocks if isinstance(block, wr.PanelGrid)]
    (runset,) = grid.runsets
    assert (runset.project, runset.groupby) == ("mine", ["config.variant"])
    assert [(plot.x, plot.y[0], plot.groupby_aggfunc) for plot in grid.panels] == [
        ("env_steps", metric, "mean")
        for metric in (
            "evaluation/return",
            "episode/return",
            "diagnostics/loss",
            "diagnostics/q_mean",
            "diagnostics/grad_norm",
        )
    ]
    assert "report.html, report.md, stats.json, tables/runs.csv" in report.blocks[-1].text


def test_panels_do_not_overlap_and_fill_the_grid(folder: Path, no_network: None) -> None:
    plots = wandb_report._line_plots()
    cells = [
        (x, y)
        for plot in plots
        for x in range(plot.layout.x, plot.layout.x + plot.layout.w)
        for y in range(plot.layout.y, plot.layout.y + plot.layout.h)
    ]
    assert len(set(cells)) == len(cells)
    assert {x for x, _ in cells} == set(range(24))


def test_the_metrics_of_the_panels_are_those_that_are_mirrored() -> None:
    from rlbench.tracking.rows import RunRows

    rows = RunRows()
    rows.add(
        "episodes", {"env_steps": [1], "episode": [0], "length": [1], "episode_return": [1.0], "terminated": [True]}
    )
    rows.add("evaluations", {"env_steps": [2], "episode_return": [1.0]})
    names = ("updates", "loss", "q_mean", "q_max", "grad_norm", "epsilon", "target_distance")
    rows.add("diagnostics", {"env_steps": [3], **{name: [1.0] for name in names}})
    mirrored = {key for row in rows.ready(is_final=True) for key in row}
    assert {metric for _, metric, _, _ in wandb_report._PANELS} <= mirrored
    assert "env_steps" in mirrored


def test_the_specification_filters_by_the_keys_of_the_mirror(folder: Path, no_network: None) -> None:
    path = write_specification(build(folder, "my experiment", RUNS, SETTINGS), "my experiment", folder)
    written = json.loads(path.read_text())
    assert written["artifact"] == {
        "name": "report-my_experiment",
        "type": "report",
        "files": ["report.html", "report.md", "stats.json", "tables/runs.csv"],
    }
    assert written["report"]["project"] == {"name": "mine", "entityName": "team"}
    (grid,) = [block for block in written["report"]["spec"]["blocks"] if block["type"] == "panel-grid"]
    (runset,) = grid["metadata"]["runSets"]
    filters = {(one["key"]["section"], one["key"]["name"]): one["value"] for one in runset["filters"]["filters"]}
    assert filters == {
        ("config", "experiment"): ["my experiment", "an earlier one"],
        ("config", "env"): "CartPole-v1",
        ("config", "variant"): ["soft lr=0.1", "ha\"r'd"],
    }
    assert runset["grouping"] == [{"section": "config", "name": "variant.value"}]


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot read .*report\.md"):
        read_story(tmp_path)


def test_runs_are_looked_for_under_the_names_that_they_were_mirrored_with(toy: ToyStore) -> None:
    results = load(toy.path)
    name = next(iter(results.experiments))
    (own,) = mirrored_runs(results, name)
    assert own.experiments == (name,)
    assert set(own.variants) == set(results.runs["variant"])


def test_without_an_account_the_specification_is_a_file_and_it_is_said_so(toy: ToyStore, tmp_path: Path) -> None:
    toy.train([1000])
    code, out, err = report_command(toy.path, tmp_path, "wandb=true", WANDB_BASE_URL="http://127.0.0.1:9")
    assert (code, err) == (EXIT_OK, "")
    path = toy.path / "reports/toy/wandb_report.json"
    assert " ".join(out.split()).endswith(
        f"W&B report: not sent, there is no W&B account here; its specification is in {path}, and the same command sends"
        " it after `wandb login`"
    )
    written = json.loads(path.read_text())
    assert written["report"]["displayName"] == "toy"
    assert "report.html" in written["artifact"]["files"]
    assert str(tmp_path) not in path.read_text()


def test_with_an_account_the_artifact_is_there(toy: ToyStore, tmp_path: Path, server: OpenWandb) -> None:
    toy.train([1000])
    run = load(toy.path).runs.iloc[0]
    (toy.path / "play").mkdir()
    (toy.path / "play" / f"{run.run_id}.mp4").write_bytes(b"a film")
    code, out, err = report_command(toy.path, tmp_path, "wandb=true", "wandb.project=reports", **server.environment)
    # This server has no reports: what can be sent is, and what cannot stays where it was written.
    assert code == EXIT_LEFT
    assert err.startswith("python -m rlbench.report: the W&B report was not saved (")
    assert err.rstrip().endswith(f"it is in {toy.path / 'reports/toy/wandb_report.json'}")
    assert len(err.splitlines()) == 1
    assert "report-toy" in server.all_artifacts()
    name = f"film/{run.variant}, seed {run.seed}, {run.env}"
    (of_report,) = [one for one in server.run_ids() if server.run(one)["display_name"] == "report-toy"]
    (film,) = server.media(of_report)
    assert film.read_bytes() == b"a film"
    assert film.name.startswith(f"{run.variant}, seed {run.seed}, {run.env}")
    specification = json.loads((toy.path / "reports/toy/wandb_report.json").read_text())
    assert specification["films"] == {name: f"{run.run_id}.mp4"}
    (panel,) = [
        panel
        for block in specification["report"]["spec"]["blocks"]
        for panel in block.get("metadata", {}).get("panelBankSectionConfig", {}).get("panels", [])
        if panel["viewType"] == "Media Browser"
    ]
    assert panel["config"]["mediaKeys"] == [name]
    assert "report:" in out


def test_a_saved_report_is_of_the_entity_that_the_artifact_went_to(
    toy: ToyStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wandb_workspaces.reports.v2 import Report

    from rlbench.tracking.wandb import tracker

    sent: list[Any] = []

    class Account:
        """An account that takes everything."""

        def __init__(self, settings: TrackingSettings, store: Path) -> None:
            sent.append((settings.mode, settings.project, "WANDB_PROJECT" in os.environ))

        def log_files(self, name: str, kind: str, paths: list[Path], root: Path, films: dict[str, Path]) -> str:
            sent.append((name, kind, [path.relative_to(root).as_posix() for path in paths], films))
            return "team-of-the-key"

        def close(self) -> None:
            sent.append("closed")

    def save(report: Report) -> Report:
        sent.append((report.entity, report.project))
        report.id = "abc"
        return report

    monkeypatch.setenv("WANDB_PROJECT", "of the shell")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(tracker, "WandbTracker", Account)
    monkeypatch.setattr(Report, "save", save)
    monkeypatch.setattr(Report, "url", property(lambda report: f"https://example.org/{report.entity}/{report.id}"))
    said = publish(load(toy.path), "toy", folder, TrackingSettings(project="mine"))
    assert said == "W&B report: https://example.org/team-of-the-key/abc"
    assert sent == [
        ("online", "mine", False),
        ("report-toy", "report", ["report.html", "report.md", "stats.json", "tables/runs.csv"], {}),
        ("team-of-the-key", "mine"),
        "closed",
    ]
    assert os.environ["WANDB_PROJECT"] == "of the shell"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["wandb=yes"], "unknown wandb 'yes'"),
        (["wandb=true", "wandb.project=a/b"], "wandb.project is a name"),
        (["wandb=true", "from=x.csv"], "from= reads files and wandb= a store"),
    ],
)
def test_mistakes_are_one_line(toy: ToyStore, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    place = [] if "from=x.csv" in words else [f"store={toy.path}"]
    assert rlbench.report.main([*place, *words]) == EXIT_BAD_INPUT
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert not (toy.path / "reports").exists()


def test_a_missing_extra_is_said_before_anything_is_written(
    toy: ToyStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_report.importlib.util, "find_spec", lambda name: None)
    assert rlbench.report.main([f"store={toy.path}", "wandb=true"]) == EXIT_BAD_INPUT
    assert "pip install 'rlbench[wandb-report]'; nothing was written" in capsys.readouterr().err
    assert not (toy.path / "reports").exists()
