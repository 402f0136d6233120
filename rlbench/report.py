"""`python -m rlbench.report`: write an experiment's report from the stored results.

In: key=value words. Out: the report's folder, its summary on stdout, an exit code. Never: trains, or changes results.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rlbench.config.arguments import check_choice, parse_arguments, run_command
from rlbench.errors import EXIT_OK, ConfigError
from rlbench.store import Results, load

PROG = "python -m rlbench.report"
DOC = """Write the report of an experiment: report.html (one file, opens anywhere), report.md, stats.json, runs.csv,
figures/ and tables/ (CSV and LaTeX).

  experiment   its name; not needed where the results hold only one
  store        the folder of results
  out          where to write; default: STORE/reports/EXPERIMENT"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _report(sys.argv[1:] if argv is None else argv))


def _report(argv: Sequence[str]) -> int:
    allowed = {"experiment": None, "store": "results", "out": None}
    arguments = parse_arguments(argv, allowed, prog=PROG, doc=DOC)
    results = load(arguments["store"])
    experiment = _chosen(results, arguments.get("experiment"))
    # Here and not above, so that a misspelt word is answered at once.
    from rich.console import Console

    from rlbench.reports import report_folder
    from rlbench.reports.report import write_summary
    from rlbench.reports.summary import summarise
    from rlbench.reports.terminal import table_of

    out = Path(arguments["out"]) if "out" in arguments else report_folder(Path(arguments["store"]), experiment)
    summary = summarise(results, experiment)
    page = write_summary(summary, out)
    Console().print(table_of(summary))
    print(f"report: {page}")
    return EXIT_OK


def _chosen(results: Results, experiment: str | None) -> str:
    """The experiment asked for, or the only one there is."""
    known = list(results.experiments)
    if experiment is not None:
        return check_choice("experiment", experiment, known)
    if not known:
        raise ConfigError(f"no experiment in {results.path} yet; nothing was written")
    if len(known) > 1:
        raise ConfigError(
            f"{len(known)} experiments in {results.path}; choose one with experiment=NAME: {', '.join(known)}"
        )
    return known[0]


if __name__ == "__main__":
    sys.exit(main())
