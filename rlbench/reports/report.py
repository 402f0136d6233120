"""An experiment's report: one HTML page that stands alone, the same in Markdown, its figures and its tables.

In: `Results`, an experiment's name, a folder. Out: report.html, report.md, figures/, tables/ in it; the same results
give the same bytes. Never: asks the network for anything, or names a path of the machine that it was made on.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from rlbench.envs.scores import normalisation
from rlbench.errors import ConfigError, StoreError
from rlbench.reports import tables, text
from rlbench.reports.canvas import Drawing
from rlbench.reports.figures import draw_curves, draw_final_returns
from rlbench.reports.summary import STATUSES, Cell, Metric, Summary, summarise

if TYPE_CHECKING:
    from rlbench.store import Results

# Statuses whose runs are listed one by one, with their error.
_LISTED = ("diverged", "failed")
_MAX_LISTED = 50


@dataclass(frozen=True)
class EnvSection:
    """What the page shows of one environment."""

    env: str
    slug: str
    cells: Sequence[Cell]
    best: Cell | None
    worst: Cell | None
    baseline: float | None
    curves: Drawing
    final_returns: Drawing
    num_carried: int
    interval_of: str  # " of the mean" or " of the IQM" where all its intervals are of one kind, else empty

    @property
    def is_incomplete(self) -> bool:
        """Whether any run planned here is not done."""
        return any(cell.done < cell.planned for cell in self.cells)


def write_report(results: Results, experiment: str, out: Path) -> Path:
    """Write the report of `experiment` into the folder `out` and return the path of its HTML page.

    Everything is computed before the first file is written. Raises StoreError for an unknown experiment, or where `out`
    cannot be written.
    """
    return write_summary(summarise(results, experiment), out)


def write_summary(summary: Summary, out: Path) -> Path:
    """The same from numbers that are already there."""
    sections = [_section(summary, env, number) for number, env in enumerate(summary.envs)]
    context = _context(summary, sections)
    files: dict[str, str | bytes] = {
        "report.html": _template("report.html.j2", html=True).render(context),
        "report.md": _template("report.md.j2", html=False).render(context),
    }
    for section in sections:
        for name, drawing in (("curves", section.curves), ("final_returns", section.final_returns)):
            files[f"figures/{name}-{section.slug}.svg"] = drawing.svg
            files[f"figures/{name}-{section.slug}.png"] = drawing.png
    for name, frame in tables.frames(summary).items():
        files[f"tables/{name}.csv"] = frame.to_csv(index=False, lineterminator="\n")
    for name, content in files.items():
        _write(out / name, content)
    return out / "report.html"


def _write(path: Path, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # By rename, so that a page that somebody has open is never half of one.
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write the report to {path}: {error.strerror or error}") from error


def _section(summary: Summary, env: str, number: int) -> EnvSection:
    cells = summary.cells_of(env)
    styles = [summary.variants.index(cell.variant) for cell in cells]
    baseline = _random_return(env)
    scored = sorted((cell for cell in cells if cell.metrics["final_return"].n), key=_final_iqm)
    return EnvSection(
        env=env,
        slug=_slug(env, number),
        cells=cells,
        best=scored[-1] if scored else None,
        worst=scored[0] if len(scored) > 1 else None,
        baseline=baseline,
        curves=draw_curves(cells, styles, baseline, name=f"curves{number}"),
        final_returns=draw_final_returns(cells, styles, baseline, name=f"final{number}"),
        interval_of=_interval_of([cell.metrics["final_return"] for cell in cells]),
        num_carried=sum(cell.curve.num_carried for cell in cells if cell.curve is not None),
    )


def _interval_of(metrics: Sequence[Metric]) -> str:
    """What the intervals of these metrics are of; single runs have none and do not count."""
    kinds = {metric.interval.statistic for metric in metrics if metric.interval and metric.n > 1}
    names = {"mean": " of the mean", "iqm": " of the IQM"}
    return names[kinds.pop()] if len(kinds) == 1 else ""


def _random_return(env: str) -> float | None:
    try:
        return normalisation(env).random
    except ConfigError:
        return None  # an environment without an entry in the table has no baseline to show


def _final_iqm(cell: Cell) -> float:
    value = cell.metrics["final_return"].iqm
    assert value is not None
    return value


def _slug(env: str, number: int) -> str:
    """A file name for an environment; the number keeps `ALE/Pong-v5` and `ALE_Pong-v5` apart."""
    plain = re.sub(r"[^\w.-]+", "_", env).strip("._")
    return plain if plain == env else f"{plain or 'env'}_{number}"


def _context(summary: Summary, sections: Sequence[EnvSection]) -> dict[str, Any]:
    runs = summary.runs
    done = runs[runs["status"] == "done"]
    listed = runs[runs["status"].isin(_LISTED)]
    command = [str(word) for word in summary.definition.get("command") or []]
    small = [cell for cell in summary.cells if cell.is_small]
    return {
        "summary": summary,
        "sections": sections,
        "statuses": STATUSES,
        "shown_statuses": [s for s in STATUSES if s in ("done", "diverged", "failed") or summary.count(s)],
        "seeds": _range(sorted({cell.planned for cell in summary.cells})),
        "steps": _range(sorted(set(done["env_steps"]))),
        "episodes_a_point": _range(list(summary.evaluation_episodes)),
        "small": small,
        "least": min((cell.done for cell in small), default=0),
        "small_where": _where(summary.cells),
        "intervals": _intervals_in_words(summary),
        "listed": [
            {
                "variant": row.variant,
                "env": row.env,
                "seed": int(row.seed),
                "status": row.status,
                "env_steps": int(row.env_steps),
                "run_id": row.run_id,
                "error": text.without_folders(str(row.error or "")).strip(),
            }
            for row in listed.head(_MAX_LISTED).itertuples()
        ],
        "num_unlisted": max(0, len(listed) - _MAX_LISTED),
        "provenance": _provenance(summary, done),
        "commands": _commands(summary, command),
        "runs_a_line": _runs_a_line,
        "has_marked": lambda cells: any(cell.counts[status] for cell in cells for status in _LISTED),
        "interval_of": _interval_of,
        "text": text,
    }


def _where(cells: Sequence[Cell]) -> str:
    """Which cells have the fewest done runs, in words."""
    if len(cells) == 1:
        return "the cell"
    return "every cell" if len({cell.done for cell in cells}) == 1 else f"the smallest of {len(cells)} cells"


def _runs_a_line(cells: Sequence[Cell]) -> str:
    """n behind each line of the learning curves: one number where all agree, else by variant."""
    counts = {cell.variant: cell.curve.band.n for cell in cells if cell.curve is not None}
    if len(set(counts.values())) <= 1:
        return f"n = {next(iter(counts.values()))} a line." if counts else ""
    return f"n = {', '.join(f'{count} ({variant})' for variant, count in counts.items())}."


def _range(values: Sequence[Any]) -> str:
    """Whole numbers as one word: 8, or 8 to 12; nothing where there are none."""
    if not len(values):
        return ""
    low, high = text.count(values[0]), text.count(values[-1])
    return low if low == high else f"{low} to {high}"


def _intervals_in_words(summary: Summary) -> str:
    """Which intervals the page shows, and of what; the rule depends on each cell's number of runs."""
    words = {
        "Student t": "Student t interval of the mean (below 10 runs)",
        "percentile bootstrap": "percentile bootstrap of the IQM (from 10 runs up)",
        "none (one run)": "none for a single run",
    }
    intervals = [metric.interval for cell in summary.cells for metric in cell.metrics.values() if metric.interval]
    used = dict.fromkeys(interval.method for interval in intervals)
    return "; ".join(words[method] for method in used) or "none yet"


def _provenance(summary: Summary, done: pd.DataFrame) -> dict[str, str]:
    def kinds(column: str, noun: str) -> str:
        counted = summary.runs[column].astype(str).value_counts()
        named = {name: amount for name, amount in counted.items() if name}
        if len(named) <= 1:
            return text.without_folders(next(iter(named), text.NOTHING))
        return "; ".join(f"{text.without_folders(name)} ({text.plural(n, noun)})" for name, n in named.items())

    lines = sorted(f"{row.run_id} {row.digest}" for row in done.itertuples())
    whole = hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else text.NOTHING
    return {
        "rlbench": kinds("version", "run"),
        "Platform": kinds("platform", "run"),
        "Launcher": kinds("launcher", "run"),
        "Seed namespace": kinds("namespace", "run"),
        "Training time": f"{text.duration(float(done['wall_s'].sum()))}, summed over runs",
        "Digest of all done runs": whole,
    }


def _commands(summary: Summary, command: Sequence[str]) -> list[tuple[str, str]]:
    name = shlex.quote(summary.experiment)
    again = (
        [("train what is missing; what is there is not trained again", text.command_line(command))] if command else []
    )
    return [
        *again,
        ("write this report from the stored results", f"python -m rlbench.report experiment={name}"),
        ("print one row a run", f"python -m rlbench.results table=runs experiment={name} format=csv"),
        ("train one of its runs again, alone, and compare its digest", "python -m rlbench.verify"),
    ]


def _template(name: str, *, html: bool) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rlbench.reports"),
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: Mapping[str, Callable[..., Any]] = {
        "md": markdown_text,
        "breakable": breakable,
        "number": text.number,
        "count": text.count,
    }
    environment.filters.update(filters)
    return environment.get_template(name)


def breakable(name: str) -> Markup:
    """A name as HTML that may break after its underscores rather than anywhere."""
    return Markup(escape(name).replace("_", Markup("_<wbr>")))


def markdown_text(value: object) -> str:
    """A value as literal text in a line or a table cell of Markdown."""
    plain = " ".join(str(value).split())
    escaped = re.sub(r"([\\`*\[\]|~])", r"\\\1", plain)
    escaped = re.sub(r"(?<!\w)_|_(?!\w)", r"\_", escaped)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
