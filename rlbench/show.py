"""`python -m rlbench.show RUN|EXPERIMENT`: the settings of a run or of an experiment's variants, as YAML.

In: an id or a name, and perhaps store=. Out: YAML on stdout, an exit code. Changes nothing.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlbench.config.arguments import parse_arguments, run_command
from rlbench.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from rlbench.store import Results

PROG = "python -m rlbench.show"
DOC = """Show what determines a run, or what an experiment is made of and the command that made it, as YAML:
RUN (its id) or EXPERIMENT (its name), as in  python -m rlbench.show quickstart

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
    import yaml

    from rlbench.store import load

    results, name = load(arguments["store"]), named[0]
    shown = _experiment(results, name) if results.kind_of(name) == "experiment" else _run(results, name)
    print(yaml.safe_dump(shown, sort_keys=False, allow_unicode=False, width=120), end="")
    return EXIT_OK


def _experiment(results: "Results", name: str) -> dict[str, Any]:
    """What an experiment is made of; its command makes it again."""
    definition = results.experiments[name]
    told: Mapping[str, Any] = {key: value for key, value in definition.items() if key not in ("command", "name")}
    return {"experiment": name, "command": shlex.join(definition.get("command", ())), **told}


def _run(results: "Results", run_id: str) -> dict[str, Any]:
    """A run's specification, which determines its result."""
    row = results.runs.set_index("run_id").loc[run_id]
    named = {"run_id": run_id, **{key: str(row[key]) for key in ("experiment", "variant", "status")}}
    return {**named, "settings": dict(results.specs([run_id])[run_id])}


if __name__ == "__main__":
    sys.exit(main())
