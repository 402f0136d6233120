"""The console script: `rlbench COMMAND ...` is `python -m rlbench.COMMAND ...`."""

import importlib
import os
import sys

from rlbench.errors import EXIT_BAD_INPUT, EXIT_OK, did_you_mean

COMMANDS = {
    "run": "train variants over seeds, and compare them",
    "tune": "tune a variant, and confirm the winner on fresh seeds",
    "report": "write the report of an experiment",
    "list": "the experiments of a store, how their runs stand and what came out",
    "show": "the settings of a run or an experiment, as YAML",
    "delete": "take experiments or runs out of a store, for good",
    "results": "print a table of results",
    "play": "write a video of a trained run, or a sheet of what its network sees",
    "verify": "re-run a lane alone and compare its digest",
    "sync": "mirror to trackers, such as Weights & Biases, what is not there yet",
    "completion": "what makes a shell complete these words",
}


def main(argv: list[str] | None = None) -> int:
    """Hand the arguments to the command; returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: rlbench COMMAND [key=value ...]\n")
        print("\n".join(f"  {name:<12}{meaning}" for name, meaning in COMMANDS.items()))
        print("\nrlbench COMMAND --help says more.")
        return EXIT_OK
    if arguments[0] == "--version":
        from rlbench import __version__

        print(f"rlbench {__version__}")
        return EXIT_OK
    command, *rest = arguments
    if command not in COMMANDS:
        print(
            f"rlbench: unknown command {command!r}{did_you_mean(command, COMMANDS)}; commands: {', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())  # as `python -m` does: modules of one's own are found in the current folder
    module = importlib.import_module(f"rlbench.{command}")
    return int(module.main(rest))


if __name__ == "__main__":
    sys.exit(main())
