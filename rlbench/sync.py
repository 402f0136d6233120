"""`python -m rlbench.sync`: mirror a store to Weights & Biases, whatever is not there yet.

In: key=value words. Out: W&B runs, and an exit code: 0 when all that is published has been mirrored, 2 for input that
cannot work, with nothing written, 3 when W&B could not be reached or another follower is at it; 1 where something that is
stored is damaged, which is left out. All the work is that of a follower that is told to
stop from the start. Never: trains, or changes a result.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlbench.config.arguments import parse_arguments, run_command
from rlbench.errors import ConfigError
from rlbench.tracking.ledger import recall
from rlbench.tracking.process import follower_command
from rlbench.tracking.settings import MODES, TrackingSettings

PROG = "python -m rlbench.sync"
DOC = """Mirror a store to Weights & Biases: whatever is not there yet. Can be repeated and interrupted at will.

  store             the folder of results
  wandb.mode        offline writes folders for `wandb sync`, online sends
  wandb.project     W&B project
  wandb.entity      W&B user or team; null takes the default of whoever is logged in
  wandb.tags        tags of every run, as a [list]
  wandb.artifacts   whether final weights are sent too

What is not given is as it was when the store was last mirrored; if it never was: offline, to the project rlbench."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _sync(sys.argv[1:] if argv is None else argv))


def _sync(argv: Sequence[str]) -> int:
    keys = ("mode", "project", "entity", "tags", "artifacts")
    allowed = {"store": "results", **{f"wandb.{key}": None for key in keys}}
    choices = {"wandb.mode": [mode for mode in MODES if mode != "disabled"], "wandb.artifacts": ["true", "false"]}
    arguments = parse_arguments(argv, allowed, prog=PROG, doc=DOC, choices=choices)
    store = Path(arguments.pop("store"))
    given = {key.removeprefix("wandb."): _value(key, text) for key, text in arguments.items()}
    settings = replace(recall(store) or TrackingSettings(), **given)
    process = subprocess.Popen(follower_command(store, settings), stdin=subprocess.DEVNULL)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.kill()  # at any moment: what has not arrived does so next time
        process.wait()
        raise


def _value(key: str, text: str) -> Any:
    if key == "wandb.artifacts":
        return text == "true"
    if key == "wandb.entity":
        return None if text == "null" else text
    if key == "wandb.tags":
        if not (text.startswith("[") and text.endswith("]")):
            raise ConfigError(f"wandb.tags is a list: wandb.tags=[{text}]")
        return tuple(tag.strip(" '\"") for tag in text[1:-1].split(",") if tag.strip())
    return text


if __name__ == "__main__":
    sys.exit(main())
