"""What the RL Zoo wrote down of a run's command line: whether it went on from an agent that was trained before.

In: the folder of a run, with ENVIRONMENT/args.yml in it. Out: the agent's path, or nothing. Never: builds the Python objects
that the YAML file names.
"""

import re
from pathlib import Path

from rlbench.evidence.source import Reading, quoted

_AGENT = re.compile(r"^\s*- - trained_agent\n\s+- (.*)$", re.MULTILINE)
_NOTHING = ("", "''", '""', "null")


def trained_agent(folder: Path) -> str:
    """The path of the agent that a run went on from; empty where it began afresh, or where nothing is known."""
    for path in sorted(folder.glob("*/args.yml")):
        try:
            found = _AGENT.search(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue  # the run's returns are not in it
        if found and found[1].strip() not in _NOTHING:
            return found[1].strip()
    return ""


def without_continued(reading: Reading, root: Path) -> None:
    """Leave aside the runs that went on from another: such a run is no fresh seed, and may count the other twice."""
    kept = []
    for run in reading.runs:
        folder = run.origin.rpartition("/")[0]
        agent = trained_agent(root / folder)
        if agent:
            reading.leave(
                "runs",
                f"{folder or root.resolve().name} went on from {quoted(agent)}, by its args.yml: no fresh run, and left aside",
            )
        else:
            kept.append(run)
    reading.runs = kept
