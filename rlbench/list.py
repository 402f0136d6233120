"""`python -m rlbench.list`: the experiments of a store, how their runs stand, and what came out.

In: key=value words. Out: a table on stdout as wide as the terminal, an exit code. Changes nothing.
"""

import sys
from collections.abc import Sequence

from rlbench.config.arguments import parse_arguments, run_command
from rlbench.errors import EXIT_OK
from rlbench.plain_text import one_line

PROG = "python -m rlbench.list"
DOC = """List the experiments of a store: their runs, how these stand, and the variant with the highest mean final return on each
environment (the report says what of that is supported).

  store   the folder of results"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _list(sys.argv[1:] if argv is None else argv))


def _list(argv: Sequence[str]) -> int:
    arguments = parse_arguments(argv, {"store": "results"}, prog=PROG, doc=DOC)
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from rlbench.store import load

    results = load(arguments["store"])
    if not results.experiments:
        print(f"no experiment in {results.address} yet")
        return EXIT_OK
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("experiment", "runs", "state", "highest mean final return"):
        table.add_column(name, overflow="fold", justify="right" if name == "runs" else "left")
    for name in results.experiments:
        experiment = results.experiment(name)
        runs = experiment.runs
        means = runs[runs["status"] == "done"].groupby(["env", "variant"], sort=False)["final_return"].mean().dropna()
        best = [(env, means[env].idxmax()) for env in dict.fromkeys(means.index.get_level_values("env"))]
        told = [f"{one} {means[env, one]:.1f} on {env}" for env, one in best]
        table.add_row(
            *(Text(one_line(text)) for text in (name, str(len(runs)), experiment.standing(), "; ".join(told)))
        )
    Console().print(table)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
