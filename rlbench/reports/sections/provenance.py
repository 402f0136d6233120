"""How the numbers are made, where they come from, and how to make them again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version

import pandas as pd

from rlbench import text
from rlbench.reports.comparisons import LEVEL
from rlbench.reports.document import Commands, Heading, Section, Terms, code, line, note
from rlbench.reports.summary import Summary
from rlbench.stats import ALL_EQUAL


def methods_section(summary: Summary) -> Section:
    """What each number is."""
    window = text.plural(summary.final_window, "evaluation point")
    entries = {
        "Unit": "the run: one variant, environment and seed gives one number per metric; n counts runs, never episodes",
        "Averaged": "runs that are done; those that diverged, failed or are under way are counted beside them",
        "Final return": (
            f"mean {summary.kind_of_return} over the last {window} of a run"
            f"{'' if summary.is_foreign else ', as declared before training'}; never the best of several evaluations"
        ),
        "Diverged": (
            "in no average of a results table; in comparisons, effects and aggregates over environments a diverged run counts with the "
            "return of random play, by the fixed table of returns"
        ),
        "IQM": "interquartile mean over runs: the lowest and the highest quarter (rounded down) are cut",
        "95 % interval": _intervals(summary),
        "AUC": "a run's mean return over its whole evaluation grid",
        "Curves": "no smoothing; no interpolation; "
        + ("cut where the shortest run ends" if summary.is_foreign else "the last value is carried forward"),
        "Tests": (
            f"two-sided, level {LEVEL:g}: sign flips of seeds where seeds are shared, else permutations of "
            "runs; exact where they can all be counted; Holm within a declared family, max-T over the "
            "contrasts of a grid"
        ),
    }
    return Section(
        "methods",
        "How the numbers are made",
        (Terms(tuple((k, line(v)) for k, v in entries.items())),),
        is_reference=True,
    )


def provenance_section(summary: Summary) -> Section:
    """Versions, machine, digests, and the commands that derive everything again."""
    runs = summary.runs
    done = runs[runs["status"] == "done"]
    lines = sorted(f"{row.run_id} {row.digest}" for row in done.itertuples())
    entries = {
        "rlbench, code revision": _kinds(runs, "version"),
        "Machine of the latest command": str(summary.definition.get("machine") or "unknown"),
        "Platform": _kinds(runs, "platform"),
        "Launcher": _kinds(runs, "launcher"),
        "Seed namespace": _kinds(runs, "namespace"),
        "Training time": f"{text.duration(float(done['wall_s'].sum()))}, summed over runs; runs trained together each count it",
        "Report made with": ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas", "matplotlib")),
    }
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else text.NOTHING
    terms = [(name, line(told)) for name, told in entries.items()]
    terms.append(("Digest of all done runs", line(code(digest))))
    return Section(
        "provenance",
        "Provenance",
        (
            Terms(tuple(terms)),
            Heading("Derive it again"),
            Commands(tuple(_commands(summary))),
            note(
                "Beside this page: stats.json has every number shown, with method, n, interval, family and "
                "seed; runs.csv one row a run, with its digest; tables/ the tables as CSV and LaTeX, and the "
                "curves; figures/ the figures as SVG and PNG."
            ),
        ),
        is_reference=True,
    )


def _intervals(summary: Summary) -> str:
    """Which intervals the page shows, and of what; the rule depends on each cell's number of runs."""
    words = {
        "Student t": "Student t interval of the mean (below 10 runs)",
        ALL_EQUAL: "exact interval of the mean where fewer than 10 runs all agree (Clopper-Pearson, over the possible returns)",
        "percentile bootstrap": "percentile bootstrap of the IQM (from 10 runs up)",
        "none (one run)": "none for a single run",
    }
    intervals = [metric.interval for cell in summary.cells for metric in cell.metrics.values() if metric.interval]
    used = dict.fromkeys(interval.method for interval in intervals)
    cut = [f"{env} {text.span(*possible)}" for env in summary.envs if (possible := summary.possible(env))]
    told = "; ".join(words[method] for method in used) or "none yet"
    return told + (f"; intervals and bands are cut where no return can be: {', '.join(cut)}" if cut else "")


def _kinds(runs: pd.DataFrame, column: str) -> str:
    counted = runs[column].astype(str).value_counts()
    named = {str(name): amount for name, amount in counted.items() if name}
    if len(named) <= 1:
        return text.without_folders(next(iter(named), text.NOTHING))
    return "; ".join(f"{text.without_folders(name)} ({text.plural(n, 'run')})" for name, n in named.items())


def _commands(summary: Summary) -> Sequence[tuple[str, str]]:
    """All commands that made the page's runs, and those that read them; every one names the results folder."""
    if summary.is_foreign:
        kind = [f"returns={summary.definition['returns']}"] if summary.folder.endswith(".csv") else []
        words = ["python", "-m", "rlbench.report", f"from={summary.folder}", *kind]
        return [("write this report from those files", text.command_line(words))]
    latest = summary.definition.get("command")
    made = summary.definition.get("commands") or ([latest] if latest else [])
    purposes = ["train its runs; what is there is not trained again", *["train more of its runs"] * (len(made) - 1)]
    name = f"experiment={summary.experiment}"
    read = {
        "write this report from the stored results": ["rlbench.report", name],
        "print one row a run": ["rlbench.results", "table=runs", name, "format=csv"],
        "train one of its runs again, alone, and compare its digest": ["rlbench.verify"],
    }
    commands = [*zip(purposes, made, strict=False), *((what, ["python", "-m", *words]) for what, words in read.items())]
    return [(what, text.command_line([str(word) for word in words], summary.folder)) for what, words in commands]
