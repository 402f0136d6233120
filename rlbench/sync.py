"""`python -m rlbench.sync`: mirror a store to its trackers, such as Weights & Biases, whatever is not there yet.

In: key=value words. Out: runs at every tracker that is enabled, and an exit code: 0 when all that is published has been mirrored,
2 for input that cannot work, with nothing written, 3 when a tracker could not be reached or another follower is at it; 1 where
something that is stored is damaged, which is left out. All the work is that of a follower that is told to
stop from the start. Never: trains, or changes a result.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from rlbench.config.arguments import parse_arguments, run_command
from rlbench.errors import EXIT_OK, ConfigError
from rlbench.places import Place, beside, place_of
from rlbench.tracking.ledger import recall
from rlbench.tracking.process import follower_command
from rlbench.tracking.tracker import TrackerSettings
from rlbench.tracking.trackers import TRACKERS

PROG = "python -m rlbench.sync"
KEYS = {f"{name}.{field.name}": field for name, (kind, _) in TRACKERS.items() for field in fields(kind)}
_TOLD = "\n".join(f"  {key:<17} {field.metadata['meaning']}" for key, field in KEYS.items())
_AT_FIRST = " ".join(f"{key}={field.default}" for key, field in KEYS.items() if isinstance(field.default, str))
DOC = f"""Mirror a store to its trackers, such as Weights & Biases: whatever is not there yet. Can be repeated and interrupted at will.

The keys of a tracker begin with its name; there is {", ".join(TRACKERS)}.

  store             the folder of results
{_TOLD}

What is not given is as it was when the store was last mirrored to that tracker; if it never was: {_AT_FIRST}."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _sync(sys.argv[1:] if argv is None else argv))


def _sync(argv: Sequence[str]) -> int:
    choices: dict[str, Sequence[str]] = {
        key: ("true", "false")
        if field.type == "bool"
        else [one for one in field.metadata["allowed"] if one != "disabled"]
        for key, field in KEYS.items()
        if field.type == "bool" or field.metadata.get("allowed")
    }
    arguments = parse_arguments(argv, {"store": "results", **dict.fromkeys(KEYS)}, prog=PROG, doc=DOC, choices=choices)
    store = place_of(arguments.pop("store"))
    given = {key: _value(key, text) for key, text in arguments.items()}
    codes = [EXIT_OK]
    for name, (kind, _) in TRACKERS.items():
        own = {key.removeprefix(f"{name}."): value for key, value in given.items() if key.startswith(f"{name}.")}
        settings = replace(recall(beside(store), name) or kind(), **own)
        if settings.is_enabled:
            codes.append(_mirror(store, settings))
    return max(codes)


def _mirror(store: Place, settings: TrackerSettings) -> int:
    process = subprocess.Popen(follower_command(store, settings), stdin=subprocess.DEVNULL)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.kill()  # at any moment: what has not arrived does so next time
        process.wait()
        raise


def _value(key: str, text: str) -> Any:
    kind = str(KEYS[key].type)
    if kind == "bool":
        return text == "true"
    if text == "null" and kind.endswith("| None"):
        return None
    if kind.startswith("tuple"):
        if not (text.startswith("[") and text.endswith("]")):
            raise ConfigError(f"{key} is a list: {key}=[{text}]")
        return tuple(word.strip(" '\"") for word in text[1:-1].split(",") if word.strip())
    return text


if __name__ == "__main__":
    sys.exit(main())
