"""`python -m rlbench.show RUN|EXPERIMENT`: the settings of a run or of an experiment's variants, as YAML.

In: an id or a name, and perhaps store=. Out: YAML on stdout, an exit code. Changes nothing.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rlbench.config.arguments import parse_arguments, run_command
from rlbench.errors import EXIT_OK, ConfigError
from rlbench.shown import experiment_yaml, run_yaml

if TYPE_CHECKING:
    from rlbench.store import Results

PROG = "python -m rlbench.show"
DOC = """Show what determines a run, or what an experiment is made of and the command that made it, as YAML:
RUN (its id) or EXPERIMENT (its name), as in  python -m rlbench.show quickstart
`python -m rlbench.run ... --cfg` shows the same of a command before it is given.

  store   the folder of results"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _show(sys.argv[1:] if argv is None else argv))


def _show(argv: Sequence[str]) -> int:
    named = [word for word in argv if "=" not in word and not word.startswith("-")]
    arguments = parse_arguments([word for word in argv if word not in named], {"store": "results"}, prog=PROG, doc=DOC)
    if len(named) != 1:
        raise ConfigError(
            f"say what to show: one RUN or EXPERIMENT; got {' '.join(named) or 'none'} (see: {PROG} --help)"
        )
    from rlbench.store import load

    results, name = load(arguments["store"]), named[0]
    print(_experiment(results, name) if results.kind_of(name) == "experiment" else _run(results, name), end="")
    return EXIT_OK


def _experiment(results: "Results", name: str) -> str:
    """What an experiment is made of; its command makes it again."""
    runs = results.experiment(name).runs
    specs = results.specs(runs["run_id"])
    return experiment_yaml(results.experiments[name], zip(runs["variant"], specs.values(), strict=True))


def _run(results: "Results", run_id: str) -> str:
    """A run's specification, which determines its result."""
    row = results.runs.set_index("run_id").loc[run_id]
    named = {"run_id": run_id, **{key: str(row[key]) for key in ("experiment", "variant", "status")}}
    return run_yaml(named, results.specs([run_id])[run_id])


if __name__ == "__main__":
    sys.exit(main())
