"""`python -m rlbench.report`: write an experiment's report from the stored results.

In: key=value words. Out: the report's folder, its summary on stdout, an exit code. Never: trains, or changes results.
`rlbench.evidence` reads other people's results and lists what is wrong with anybody's.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rlbench.callable_modules import make_callable
from rlbench.config.arguments import parse_arguments, run_command, user_store
from rlbench.errors import EXIT_DIFFERENCE, EXIT_OK, ConfigError
from rlbench.inline import chosen, report
from rlbench.places import Place, beside, place_of
from rlbench.reports import report_folder
from rlbench.store import Results, load, passes_audit

if TYPE_CHECKING:
    from rlbench.evidence import ForeignResults
    from rlbench.tracking import TrackingSettings

__all__ = ["main", "report"]
PROG = "python -m rlbench.report"
DOC = """Write the report of an experiment: report.html (one file, opens anywhere), report.md, stats.json, runs.csv,
figures/ and tables/ (CSV and LaTeX).

  experiment   its name; not needed where the results hold only one
  store        the folder of results, or several: store=a,b reports on what they hold together, into reports/EXPERIMENT
  out          where to write; default: STORE/reports/EXPERIMENT, or reports/NAME of what is read with from=, or
               s3/BUCKET/PREFIX/reports/EXPERIMENT of store=s3://BUCKET/PREFIX
  from         somebody else's results instead of a store: a CSV file (variant, environment, seed, step, return; or variant,
               environment, score; or a chart's export of Weights & Biases), a folder of Stable-Baselines3's monitor files or
               evaluations.npz (VARIANT/ENVIRONMENT/SEED or VARIANT/ENVIRONMENT_RUN), or of TensorBoard folders
  returns      what the returns of a CSV file are of: greedy evaluation, or training; of event files, which of them to read
  columns      what a CSV file calls its columns: columns='{algo: variant, game: env, score: final_return}'; the columns that
               are not named here are left aside
  prefer       which files to read of a folder that holds several kinds; default: evaluations where there are any
  wandb        also make a Weights & Biases report of it; without an account, its specification as a file in the folder
  wandb.project, wandb.entity   where to; default: where the store was mirrored to
  lint         only list what is wrong with the evidence; exit code 1 where something is, 0 where nothing is

The exit code is 1 as well where two seeds of a cell of a store share a curve or weights."""
CHOICES = {
    "returns": ("evaluation", "training"),
    "prefer": ("evaluations", "monitor", "tensorboard"),
    "lint": ("true", "false"),
    "wandb": ("true", "false"),
}
# Keys that need from=, and what they say.
_OF_FROM = {
    "returns": "what the returns of from= are of",
    "columns": "what the columns of from= are",
    "prefer": "which files of from= to read",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _report(sys.argv[1:] if argv is None else argv))


def _report(argv: Sequence[str]) -> int:
    allowed = {"experiment": None, "store": "results", "out": None, "from": None, "returns": None, "columns": None}
    allowed |= {"prefer": None, "lint": "false", "wandb": "false", "wandb.project": None, "wandb.entity": None}
    arguments = parse_arguments(argv, allowed, prog=PROG, doc=DOC, choices=CHOICES)
    foreign = _foreign(argv, arguments)
    if foreign is not None:
        results = cast(Results, foreign)  # it has all that a report asks of results
        return _report_on(results, foreign.name, report_folder(Path(), foreign.name), arguments, foreign)
    stores = _stores(arguments["store"])
    results = load(stores if len(stores) > 1 else stores[0])
    study = _unconfirmed(results, arguments)
    if study is not None:
        print(f"report: {study}")
        return EXIT_OK
    experiment = chosen(results, arguments.get("experiment"))
    results = results.experiment(experiment)
    if len(stores) > 1:
        _check_joined(results, experiment, arguments)
    out = report_folder(beside(stores[0]) if len(stores) == 1 else Path(), experiment)
    return _report_on(results, experiment, out, arguments)


def _report_on(
    results: Results,
    experiment: str,
    default_out: Path,
    arguments: Mapping[str, str],
    foreign: "ForeignResults | None" = None,
) -> int:
    """List what is wrong with the evidence, or write the page and tell what is on it."""
    if arguments["lint"] == "true":
        from rlbench.evidence import lint, told

        findings = lint(results, experiment)
        print("\n".join([told(findings, experiment), *(foreign.listing if foreign else ())]))
        return EXIT_OK if all(finding.is_note for finding in findings) else EXIT_DIFFERENCE
    if foreign is not None:
        foreign.check()
    if arguments["wandb"] == "true":
        from rlbench.tracking.wandb.report import publish, require_workspaces

        require_workspaces()
        settings = _tracking(results.path, arguments)
    out = Path(arguments.get("out", default_out))
    _write(results, experiment, out, foreign.remarks if foreign else ())
    if arguments["wandb"] == "true":
        print(publish(results, experiment, out, settings))
    if foreign is not None:  # what can be audited of other people's results is told by lint=true
        return EXIT_OK
    return EXIT_OK if passes_audit(results.experiment(experiment)) else EXIT_DIFFERENCE


def _write(results: Results, experiment: str, out: Path, remarks: Sequence[str]) -> None:
    # Here and not above, so that a misspelt word is answered at once.
    from rich.console import Console

    from rlbench.config.changed_code import changed_code, changed_lines
    from rlbench.reports.report import write_summary
    from rlbench.reports.summary import summarise
    from rlbench.reports.terminal import print_summary

    summary = summarise(results, experiment)
    page = write_summary(summary, out)
    print_summary(Console(), summary)
    for remark in remarks:
        print(remark)
    for line in changed_lines(changed_code(summary.specs)):
        print(f"note: {line}; verify cannot train it again")
    print(f"report: {page}")


def _stores(text: str) -> list[Place]:
    """The places that store= names. Raises ConfigError where one is named twice."""
    if Path(text).exists() or "," not in text:  # a name may have a comma
        return [place_of(text)]
    named = [user_store(one) for one in text.split(",") if one]
    if len({place.resolve() if isinstance(place, Path) else place for place in named}) < len(named):
        raise ConfigError(f"store={text} names one folder twice")
    return named


def _check_joined(results: Results, experiment: str, arguments: Mapping[str, str]) -> None:
    """Refuse what several stores cannot be asked for."""
    if arguments["wandb"] == "true":
        raise ConfigError("wandb=true publishes the report of one store; give one of them")
    if "confirms" in results.experiments[experiment]:
        raise ConfigError(f"{experiment} confirms a study, whose record is of one store; give one of them")


def _foreign(argv: Sequence[str], arguments: Mapping[str, str]) -> "ForeignResults | None":
    """What from= names, read; None without it."""
    if "from" not in arguments:
        for key, what in _OF_FROM.items():
            if key in arguments:
                raise ConfigError(f"{key}= says {what}; there is no from=")
        return None
    from rlbench.evidence import read_evidence

    for key in ("store", "experiment", "wandb"):
        if any(word.startswith(f"{key}=") for word in argv):
            raise ConfigError(f"from= reads files and {key}= a store: give one of them")
    keys = {key: arguments.get(key) for key in ("returns", "columns", "prefer")}
    return read_evidence(arguments["from"], keys["returns"], columns=keys["columns"], prefer=keys["prefer"])


def _unconfirmed(results: Results, arguments: Mapping[str, str]) -> Path | None:
    """The report of a study that was not confirmed, written, where `experiment` names one: it is no experiment, how it was tuned is all."""
    from rlbench.reports.study import read_study

    name = arguments.get("experiment", "")
    record = read_study(results.path, name) if name and name not in results.experiments else None
    if record is None:
        return None
    for key in ("wandb", "lint"):
        if arguments[key] == "true":
            raise ConfigError(f"{name} is a study that was not confirmed: it has no runs on fresh seeds for {key}=true")
    from rlbench.reports.report import write_study_report

    out = Path(arguments["out"]) if "out" in arguments else report_folder(results.path, name)
    return write_study_report(record, out)


def _tracking(store: Path, arguments: Mapping[str, str]) -> "TrackingSettings":
    """Where the report is to go: what was given, or else where the store was mirrored to."""
    from rlbench.tracking import TrackingSettings
    from rlbench.tracking.ledger import recall

    recalled = recall(store, "wandb")
    settings = recalled if isinstance(recalled, TrackingSettings) else TrackingSettings()
    return replace(
        settings,
        project=arguments.get("wandb.project", settings.project),
        entity=arguments.get("wandb.entity", settings.entity),
    )


make_callable(__name__, report)

if __name__ == "__main__":
    sys.exit(main())
