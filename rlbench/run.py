"""`python -m rlbench.run`: train what the words ask for, mirror it, compare it. Also callable from Python as `rlbench.run(...)`.

In: key=value words (see --help). Out: results in the store, a summary on the screen, a report; the exit code says how it went. Running the
same command again completes what is missing and trains nothing twice.
"""

import re
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rlbench.callable_modules import make_callable
from rlbench.config.arguments import run_command
from rlbench.errors import EXIT_DIFFERENCE, EXIT_INTERRUPTED, EXIT_OK, EXIT_RUNS_FAILED
from rlbench.from_python import run
from rlbench.plain_text import as_message
from rlbench.training import check, train

if TYPE_CHECKING:
    from rlbench.config import Request
    from rlbench.reports.summary import Summary
    from rlbench.store import Results

__all__ = ["main", "run"]
PROG = "python -m rlbench.run"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _run(sys.argv[1:] if argv is None else list(argv)))


def _run(argv: Sequence[str]) -> int:
    from rlbench.config import HelpRequested, resolve

    try:
        request = resolve(argv)
    except HelpRequested as help_text:
        print(help_text)
        return EXIT_OK
    if request.cfg:
        from rlbench.shown import experiment_yaml

        print(experiment_yaml(request.definition, ((one.variant, one.spec) for one in request.planned)), end="")
        return EXIT_OK
    if request.dry_run:
        from rlbench.dry_run import print_dry_run
        from rlbench.runner.launchers import launched

        check(request)
        with launched(request) as launcher:
            print_dry_run(request, launcher)
        return EXIT_OK
    interrupted = train(request)
    from rlbench.store import load

    results = load(request.store).experiment(request.name)
    return _conclude(request, results, interrupted)


def _conclude(request: "Request", results: "Results", interrupted: bool) -> int:
    """Show what came out; the exit code by what is left undone."""
    from rich.console import Console

    from rlbench.places import beside
    from rlbench.published import same_bits
    from rlbench.reports import report_folder
    from rlbench.reports.summary import summarise
    from rlbench.reports.terminal import print_summary
    from rlbench.store import passes_audit

    command = shlex.join([*PROG.split(), *request.argv])
    runs = results.only(planned.run_id for planned in request.planned).runs
    if interrupted:
        left = int((~runs["status"].isin(["done", "diverged"])).sum())
        print(
            f"interrupted: {len(runs) - left} of {len(runs)} runs are done; the same command goes on from here:\n  {command}"
        )
        return EXIT_INTERRUPTED
    summary = summarise(results, request.name)
    print_summary(Console(), summary)
    if request.report:
        from rlbench.reports.made_of import written

        print(
            f"report: {written(results, report_folder(beside(request.store), request.name), partial(_write, summary))}"
        )
    if told := same_bits(runs):
        print(told)
    if not passes_audit(results):
        return EXIT_DIFFERENCE
    lost = runs[runs["status"] != "done"]
    for row in lost.itertuples():
        last = str(row.error).strip().splitlines()[-1:] or ["see above"]
        reason = re.sub(r"^rlbench\.[\w.]+: ", "", last[0])
        told = f"{row.status}: {row.variant} seed {row.seed} on {row.env} ({row.run_id}) {reason}"
        print(as_message(told), file=sys.stderr)
    return EXIT_RUNS_FAILED if len(lost) else EXIT_OK


def _write(summary: "Summary", out: Path) -> Path:
    from rlbench.reports.report import write_summary  # here: what draws is imported where something is drawn

    return write_summary(summary, out)


make_callable(__name__, run)

if __name__ == "__main__":
    sys.exit(main())
