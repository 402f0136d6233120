"""`python -m rlbench.delete EXPERIMENT|RUN ...`: take experiments or runs out of a store, for good.

In: names and ids, and perhaps store= and --yes. Out: a store without them, an exit code. Asks before it does anything. Never: touches runs
that another experiment has too, or that a live process holds.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rlbench.config.arguments import parse_arguments, run_command
from rlbench.errors import EXIT_OK, ConfigError
from rlbench.plain_text import one_line
from rlbench.text import listed, plural

if TYPE_CHECKING:
    from rlbench.store import Results
    from rlbench.store.erasing import Erasure

PROG = "python -m rlbench.delete"
DOC = """Delete experiments (by name) or runs (by id) with their rows, weights and checkpoints, for good. Says what goes, and asks first.
Runs that another experiment has too stay; what a live process is training is refused. Reports that were written, and what
was mirrored to Weights & Biases, stay.

  store   the folder of results
  --yes   do not ask"""
YES = "--yes"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _delete(sys.argv[1:] if argv is None else argv))


def _delete(argv: Sequence[str]) -> int:
    named = list(dict.fromkeys(word for word in argv if "=" not in word and not word.startswith("-")))
    words = [word for word in argv if word not in (*named, YES)]
    arguments = parse_arguments(words, {"store": "results"}, prog=PROG, doc=DOC)
    if not named:
        raise ConfigError(f"say what to delete: EXPERIMENT or RUN ... (see: {PROG} --help)")
    from rlbench.places import is_remote, place_of
    from rlbench.store import Store, load
    from rlbench.store.erasing import FOLDERS_ONLY, erase, erasure

    if is_remote(place_of(arguments["store"])):
        raise ConfigError(f"{arguments['store']}: {FOLDERS_ONLY}")
    results = load(arguments["store"])
    experiments = [name for name in named if results.kind_of(name) == "experiment"]
    runs = [name for name in named if name not in experiments]
    print(_told(results, erasure(Store.open(arguments["store"], create=False), experiments, runs)))
    if YES not in argv and not _is_agreed():
        print("nothing was deleted")
        return EXIT_OK
    store = Store.open(arguments["store"])
    done = erase(store, lambda: erasure(store, experiments, runs))
    print(f"deleted {listed(named)}: {plural(len(done.runs), 'run')}")
    return EXIT_OK


def _told(results: "Results", wanted: "Erasure") -> str:
    """What would go, in words."""
    going = results.only(wanted.runs)
    size = sum(path.stat().st_size for path in map(results.weights_path, wanted.runs) if path.exists())
    what = [f"experiment {name}" for name in wanted.experiments]
    what.append(f"{plural(len(wanted.runs), 'run')} ({going.standing() or 'none'}) with all rows")
    lines = [listed(what)]
    lines[0] += f" and {size / 2**20:.1f} MiB of weights" if size > 2**19 else ""
    if wanted.kept:
        lines.append(f"{plural(len(wanted.kept), 'run')} of other experiments too, which stay")
    reports = [results.path / "reports" / name for name in wanted.experiments]
    lines += [f"the report {path} stays" for path in reports if path.is_dir()]
    return "\n".join(map(one_line, lines))


def _is_agreed() -> bool:
    """Whether somebody says yes. Raises ConfigError where nobody can."""
    if not sys.stdin.isatty():
        raise ConfigError(f"nobody can be asked here: say {YES} to delete without being asked; nothing was deleted")
    print("delete? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


if __name__ == "__main__":
    sys.exit(main())
