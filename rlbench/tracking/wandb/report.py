"""A written report as a Weights & Biases report: the one place that imports wandb_workspaces.

In: the report's folder, and the results that it is of. Out: a W&B report with the same sections as Markdown and with live
panels of the mirrored runs, and an artifact of the files; without an account, the report's specification as a JSON file.
Building it asks no network. Never: computes a number, or changes a file that the report has.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlbench.errors import ConfigError, RlbenchError, StoreError, WriteError
from rlbench.rows import PLOTS, TABLES
from rlbench.tracking.ledger import tracker_folder
from rlbench.tracking.tracker import TrackingError
from rlbench.tracking.wandb.environment import client_environment, scratch_environment
from rlbench.tracking.wandb.settings import TrackingSettings

if TYPE_CHECKING:
    from rlbench.store import Results

SPECIFICATION = "wandb_report.json"
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LOCAL_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://)[^)]*\)")
_WIDTH = 24  # columns of a panel grid
_LONGEST_TITLE = 128
# The names are those under which rows are mirrored; x is always env_steps.
_PANELS = (
    ("Evaluation return", "evaluation/return", _WIDTH, 10),
    ("Training return", "episode/return", _WIDTH // 2, 8),
    *(
        (PLOTS[column].tracked or PLOTS[column].heading, key, _WIDTH // 2, 8)
        for column, key in TABLES["diagnostics"].tracked_keys().items()
        if column in PLOTS
    ),
)
_ABOUT_PANELS = (
    "Live from the mirrored runs: a line is the mean over seeds, the area goes from the lowest to the highest run. The"
    " verdicts and intervals of this report are not read off these panels; they are those of its tables."
)


@dataclass(frozen=True)
class WrittenSection:
    """One `## ` section of a written report, or what stands before the first one (without a heading)."""

    heading: str
    text: str


@dataclass(frozen=True)
class MirroredRuns:
    """Where the runs of an environment are found at W&B: config keys as the follower writes them."""

    env: str
    experiments: tuple[str, ...]  # a run of several experiments is mirrored under the first
    variants: tuple[str, ...]


def require_workspaces() -> None:
    """Raise ConfigError where wandb_workspaces is not installed."""
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise ConfigError("wandb=true needs wandb-workspaces: pip install 'rlbench[wandb-report]'; nothing was written")


def publish(results: Results, experiment: str, folder: Path, settings: TrackingSettings) -> str:
    """Publish the report in `folder`, or write its specification there; what became of it, in a line.

    Raises ConfigError where a name cannot be used, TrackingError where W&B could not be reached; the file stays.
    """
    runs, films = mirrored_runs(results, experiment), films_of(results, experiment)
    path = write_specification(build(folder, experiment, runs, settings, films), experiment, folder, films)
    if os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        return _not_sent(path, f"WANDB_MODE={os.environ['WANDB_MODE']}")
    with _clean_environment(tracker_folder(results.path, "wandb") / "report"):
        from rlbench.tracking.wandb.tracker import WandbTracker

        try:
            client = WandbTracker(replace(settings, mode="online"), results.path)
        except ConfigError:
            return _not_sent(path, "there is no W&B account here")
        try:
            entity = client.log_files(artifact_name(experiment), "report", artifact_files(folder), folder, films)
            url = build(folder, experiment, runs, replace(settings, entity=entity), films).save().url
        except RlbenchError:
            raise
        except Exception as error:  # whatever W&B's clients raise: connection, rights, a server without reports
            reason = " ".join(str(error).split())[:200]
            raise TrackingError(
                f"the W&B report was not saved ({type(error).__name__}: {reason}); it is in {path}"
            ) from error
        finally:
            client.close()
    return f"W&B report: {url}"


def _not_sent(path: Path, reason: str) -> str:
    return f"W&B report: not sent, {reason}; its specification is in {path}, and the same command sends it after `wandb login`"


@contextmanager
def _clean_environment(scratch: Path) -> Iterator[None]:
    """Show W&B's client what it needs of the environment and nothing else, as the follower does."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(client_environment(before, online=True) | scratch_environment(scratch))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def mirrored_runs(results: Results, experiment: str) -> list[MirroredRuns]:
    """Under which names each environment's runs of an experiment were mirrored. Raises StoreError for an unknown one."""
    first: dict[str, dict[str, Any]] = {}
    for row in results.store.memberships():
        first.setdefault(row["run_id"], row)
    found = []
    for env, runs in results.experiment(experiment).runs.groupby("env", sort=False):
        rows = [first[run_id] for run_id in runs["run_id"]]
        experiments, variants = ({row[key]: None for row in rows} for key in ("experiment", "variant"))
        found.append(MirroredRuns(str(env), tuple(experiments), tuple(variants)))
    return found


def films_of(results: Results, experiment: str) -> dict[str, Path]:
    """The films that `rlbench.play` has made of an experiment's runs, by what they are called at W&B."""
    runs = results.experiment(experiment).runs
    paths = {run_id: results.path / "play" / f"{run_id}.mp4" for run_id in runs["run_id"]}
    return {
        f"film/{run.variant}, seed {run.seed}, {run.env}": paths[run.run_id]
        for run in runs.itertuples()
        if paths[run.run_id].is_file()
    }


def read_story(folder: Path) -> tuple[str, list[WrittenSection]]:
    """The title and sections of a written report. Raises StoreError where there is none."""
    try:
        lines = (folder / "report.md").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise StoreError(f"cannot read {folder / 'report.md'}: {error.strerror or error}") from None
    title, heading, text, is_code = "", "", [""], False
    sections: list[WrittenSection] = []
    for line in lines:
        is_code ^= line.lstrip().startswith("```")
        if line.startswith("## ") and not is_code:
            sections.append(WrittenSection(heading, _plain("\n".join(text))))
            heading, text = line.removeprefix("## ").strip(), []
        elif line.startswith("# ") and not is_code and not title:
            title = line.removeprefix("# ").strip()
        else:
            text.append(line)
    sections.append(WrittenSection(heading, _plain("\n".join(text))))
    return title, [section for section in sections if section.text]


def _plain(text: str) -> str:
    """Markdown without what W&B could not show: figures of this folder, and links into it."""
    return re.sub(r"\n{3,}", "\n\n", _LOCAL_LINK.sub(r"\1", _IMAGE.sub("", text))).strip()


def build(
    folder: Path,
    experiment: str,
    runs: Sequence[MirroredRuns],
    settings: TrackingSettings,
    films: Mapping[str, Path] = types.MappingProxyType({}),
) -> Any:
    """The W&B report (`wandb_workspaces.reports.v2.Report`) of a written one; nothing is sent or asked."""
    import wandb_workspaces.reports.v2 as wr

    title, sections = read_story(folder)
    blocks: list[Any] = []
    is_first = True
    for section in sections:
        if section.heading:
            blocks.append(wr.H2(section.heading))
        blocks.append(wr.MarkdownBlock(section.text))
        if section.heading and is_first:  # the verdicts come first, then the curves, then everything else
            blocks += _panels(runs, settings)
            is_first = False
    if is_first:
        blocks += _panels(runs, settings)
    if films:
        of_report = wr.Runset(entity="", project=settings.project, name="films", query=artifact_name(experiment))
        media = wr.MediaBrowser(media_keys=list(films), layout=wr.Layout(x=0, y=0, w=_WIDTH, h=12))
        blocks += [wr.H2("Films"), wr.PanelGrid(runsets=[of_report], panels=[media])]
    names = ", ".join(path.relative_to(folder).as_posix() for path in artifact_files(folder))
    blocks += [wr.H2("Files"), wr.MarkdownBlock(f"The artifact `{artifact_name(experiment)}` holds: {names}")]
    return wr.Report(
        project=settings.project,
        entity=settings.entity or "",
        title=(title or experiment)[:_LONGEST_TITLE],
        description="Written by rlbench from stored results",
        blocks=[wr.TableOfContents(), *blocks],
        width="fluid",
    )


def _panels(runs: Sequence[MirroredRuns], settings: TrackingSettings) -> list[Any]:
    """A grid of curves for each environment, its runs grouped by variant over seeds."""
    import wandb_workspaces.reports.v2 as wr

    class FilteredRunset(wr.Runset):
        """A run set with filters of its own: the library's would read the `=` in a name as an operator."""

        def _to_model(self) -> Any:
            model = super()._to_model()
            model.filters = {"filterFormat": "filterV2", "filters": own_filters[self.name]}
            return model

    own_filters: dict[str, list[dict[str, Any]]] = {}
    blocks: list[Any] = [wr.H2("Curves of the mirrored runs"), wr.MarkdownBlock(_ABOUT_PANELS)]
    for own in runs:
        name = f"{own.env}, by variant over seeds"
        own_filters[name] = [
            _filter("experiment", "IN", list(own.experiments)),
            _filter("env", "=", own.env) | {"connector": "AND"},
            _filter("variant", "IN", list(own.variants)) | {"connector": "AND"},
        ]
        # Without an entity: the run set is of the report's own project, which then need not be looked up.
        runset = FilteredRunset(entity="", project=settings.project, name=name, groupby=["config.variant"])
        blocks += [wr.H3(own.env), wr.PanelGrid(runsets=[runset], panels=_line_plots())]
    return blocks


def _filter(key: str, operator: str, value: Any) -> dict[str, Any]:
    """A condition on a config key, as W&B's server takes it."""
    return {"key": {"section": "config", "name": key}, "op": operator, "value": value, "disabled": False}


def _line_plots() -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    plots, x, y = [], 0, 0
    for title, metric, width, height in _PANELS:
        if x + width > _WIDTH:
            x, y = 0, y + height
        plots.append(
            wr.LinePlot(
                title=title,
                x="env_steps",
                y=[metric],
                title_x="environment steps",
                groupby=wr.Config("variant"),
                groupby_aggfunc="mean",
                groupby_rangefunc="minmax",
                smoothing_type="none",
                layout=wr.Layout(x=x, y=y, w=width, h=height),
            )
        )
        x += width
        if x == _WIDTH:
            x, y = 0, y + height
    return plots


def artifact_files(folder: Path) -> list[Path]:
    """The files of a written report that go along: the page, its numbers and its tables."""
    single = [folder / name for name in ("report.html", "report.md", "stats.json", "runs.csv")]
    tables = sorted(path for path in (folder / "tables").rglob("*") if path.is_file())
    return [path for path in [*single, *tables] if path.is_file()]


def artifact_name(experiment: str) -> str:
    """What the artifact is called: letters that W&B allows."""
    return re.sub(r"[^\w.-]+", "_", f"report-{experiment}")


def write_specification(
    report: Any, experiment: str, folder: Path, films: Mapping[str, Path] = types.MappingProxyType({})
) -> Path:
    """Write what would be sent into the report's folder: the report as W&B's server takes it, and the artifact's files."""
    model = report._to_model().model_dump(by_alias=True, exclude_none=True, mode="json")
    whole = {
        "report": model,
        "artifact": {
            "name": artifact_name(experiment),
            "type": "report",
            "files": [path.relative_to(folder).as_posix() for path in artifact_files(folder)],
        },
        "films": {name: path.name for name, path in films.items()},
    }
    path = folder / SPECIFICATION
    try:
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error
    return path
