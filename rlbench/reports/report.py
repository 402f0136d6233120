"""An experiment's report: analysed once, then written as HTML, Markdown, CSV, LaTeX, JSON and figures.

In: `Results`, an experiment's name, a folder. Out: report.html, report.md, stats.json, runs.csv, figures/, tables/ in it; the
same results give the same bytes. Never: asks the network for anything, or names a path of the machine that it was made on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlbench import text
from rlbench.errors import WriteError
from rlbench.reports import tables
from rlbench.reports.across import across_environments, improvement_matrix
from rlbench.reports.answer import answers_of, study_answers
from rlbench.reports.comparisons import families_of
from rlbench.reports.configuration import design_of
from rlbench.reports.document import Figures, Part, Report, Table, badge
from rlbench.reports.effects import effects_of
from rlbench.reports.html import html_page
from rlbench.reports.latex import latex_table
from rlbench.reports.ledger import Ledger
from rlbench.reports.markdown import markdown_page
from rlbench.reports.sections.design import LOST, design_section
from rlbench.reports.sections.durations import durations_section, film_links, films_section
from rlbench.reports.sections.environments import aggregates_section, improvement_section
from rlbench.reports.sections.factorial import factorial_section, record_effects
from rlbench.reports.sections.parts import part_pictures, parts_section
from rlbench.reports.sections.power import power_section
from rlbench.reports.sections.provenance import methods_section, provenance_section
from rlbench.reports.sections.reading import reading_section
from rlbench.reports.sections.scoreboard import answer_pictures, final_returns, scoreboard_section
from rlbench.reports.sections.sequential import sequential_section
from rlbench.reports.sections.training import diagnostics_section, threshold_section, training_section
from rlbench.reports.sections.tuning import history_picture, tuning_section
from rlbench.reports.sections.verdicts import verdicts_section
from rlbench.reports.spreadsheet import csv_of
from rlbench.reports.summary import Summary, summarise

if TYPE_CHECKING:
    from rlbench.store import Results


def write_report(results: Results, experiment: str, out: Path) -> Path:
    """Write the report of `experiment` into the folder `out` and return the path of its HTML page.

    Everything is computed before the first file is written. Raises StoreError for an unknown experiment, WriteError where `out`
    cannot be written.
    """
    return write_summary(summarise(results, experiment), out)


def write_summary(summary: Summary, out: Path) -> Path:
    """The same from a summary that is already there."""
    return _write_all(report_files(summary, build_report(summary, out)), out)


def write_study_report(record: Mapping[str, Any], out: Path) -> Path:
    """Write the report of a study without a confirmation, which has trials on tuning seeds and no experiment to report on."""
    ledger = Ledger()
    section = tuning_section(record, ledger)
    facts = (badge("not confirmed on fresh seeds", "amber"),)
    answers = tuple(study_answers(record))
    pictures = (history_picture(record, "answer0"),)
    report = Report(record["name"], record["question"], answers, pictures, facts, (section,), ledger.records)
    return _write_all(_page_files(report), out)


def _write_all(files: Mapping[str, str | bytes], out: Path) -> Path:
    for name, content in files.items():
        _write(out / name, content)
    return out / "report.html"


def build_report(summary: Summary, out: Path | None = None) -> Report:
    """Every section with its numbers and figures; nothing is written. `out` is where the page will lie, for links."""
    ledger = Ledger()
    design = design_of(summary)
    families = families_of(summary)
    effects = effects_of(summary, design)
    record_effects(effects, ledger, is_declared=design.is_declared)
    answers = answers_of(summary, families, effects, design, ledger)
    durations = durations_section(summary)
    verdicts = verdicts_section(summary, families, effects, ledger, design.is_declared)
    parts = parts_section(summary, families, ledger)
    films = films_section(summary, out) if out is not None else None
    links = film_links(summary, out) if out is not None else {}
    dots = final_returns(summary)
    sections = [
        *([tuning_section(summary.study, ledger)] if summary.study else []),
        *([sequential_section(summary.plan, ledger)] if summary.plan else []),
        *([parts] if parts else []),
        verdicts,
        *([reading_section(summary, summary.definition["reading"])] if "reading" in summary.definition else []),
        design_section(summary, design, families, ledger),
        *(
            scoreboard_section(summary, env, slug(env, i), families, ledger, dots[env], links)
            for i, env in enumerate(summary.envs)
        ),
        factorial_section(summary, design, effects, ledger),
        aggregates_section(summary, across_environments(summary), ledger),
        improvement_section(summary, improvement_matrix(summary), ledger),
        threshold_section(summary, ledger),
        diagnostics_section(summary, ledger),
        power_section(summary, families, ledger),
        training_section(summary, ledger),
        *([durations] if durations else []),
        *([films] if films else []),
        methods_section(summary),
        provenance_section(summary),
    ]
    facts = tuple(_facts(summary))
    pictures = part_pictures(summary, families) or answer_pictures(summary, dots, links)
    head = summary.experiment, summary.question, tuple(answers), pictures, facts
    return Report(*head, tuple(sections), ledger.records, summary.variants)


def report_files(summary: Summary, report: Report) -> dict[str, str | bytes]:
    """File name -> content."""
    return {
        **_page_files(report),
        "runs.csv": csv_of(tables.runs_frame(summary)),
        "tables/curves.csv": csv_of(tables.curves_frame(summary)),
        "tables/run_curves.csv": csv_of(tables.run_curves_frame(summary)),
    }


def _page_files(report: Report) -> dict[str, str | bytes]:
    """The files that hold what is on the page."""
    head = {"experiment": report.title, "question": report.question, "statistics": report.statistics}
    files: dict[str, str | bytes] = {
        "report.html": html_page(report),
        "report.md": markdown_page(report),
        "stats.json": json.dumps(head, indent=1, allow_nan=False) + "\n",
    }
    for block in (Figures(report.pictures), *(block for section in report.sections for block in section.blocks)):
        if isinstance(block, Figures):
            for picture in block.pictures:
                drawing = picture.wide or picture.drawing
                files[f"figures/{picture.stem}.svg"] = drawing.svg
                files[f"figures/{picture.stem}.png"] = drawing.png
        elif isinstance(block, Table) and block.name:
            files[f"tables/{block.name}.csv"] = csv_of(tables.shown_frame(block))
            files[f"tables/{block.name}.tex"] = latex_table(block)
    return files


def slug(env: str, number: int) -> str:
    """A file name for an environment; the number keeps `ALE/Pong-v5` and `ALE_Pong-v5` apart."""
    bare = re.sub(r"[^\w.-]+", "_", env).strip("._")
    return bare if bare == env else f"{bare or 'env'}_{number}"


def _facts(summary: Summary) -> list[Part]:
    """What stands under the title: how many runs of what are there."""
    done, planned = summary.count("done"), summary.planned
    facts = [
        badge(f"{text.count(done)} of {text.plural(planned, 'run')} done", "green" if done == planned > 0 else "amber")
    ]
    small = [cell for cell in summary.cells if cell.is_small]
    if small:
        where = "every cell" if len({cell.done for cell in summary.cells}) == 1 else "the smallest cell"
        facts.append(badge(f"{text.plural(min(c.done for c in small), 'run')} in {where}: under 10", "red"))
    for status in (*LOST, "running", "pending"):
        if summary.count(status):
            facts.append(badge(f"{text.count(summary.count(status))} {status}", "red" if status in LOST else "amber"))
    if summary.missing:
        facts.append(badge(f"{text.count(summary.missing)} missing", "red"))
    facts.append(badge(text.plural(len(summary.variants), "variant")))
    envs = summary.envs
    facts.append(badge(envs[0] if len(envs) == 1 else text.plural(len(envs), "environment")))
    seeds = sorted({cell.planned for cell in summary.cells})
    if seeds:
        facts.append(badge(f"{_range(seeds)} {'seed' if seeds == [1] else 'seeds'} each"))
    steps = sorted(set(summary.runs.loc[summary.runs["status"] == "done", "env_steps"]))
    if steps:
        facts.append(badge(f"{_range(steps)} steps a run"))
    return facts


def _range(values: list[Any]) -> str:
    """Whole numbers, ascending, as one word: 8, or 8 to 12."""
    low, high = text.count(values[0]), text.count(values[-1])
    return low if low == high else f"{low} to {high}"


def _write(path: Path, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # By rename, so that a page that somebody has open is never half of one.
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        raise WriteError(f"cannot write the report to {path}: {error.strerror or error}") from error
