"""What the folders say in which somebody's runs lie: the variant, the environment and the number of a run.

In: names of folders. Out: a `Place`, or None where they say nothing that can be relied on. Never: opens a file.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlbench.evidence.source import seed_in

LAYOUT = "VARIANT/ENVIRONMENT/SEED or VARIANT/ENVIRONMENT_RUN"
_NUMBERED = re.compile(r"(.+)_(\d{1,9})(?:_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?")  # the Zoo may add a UUID
_VERSIONED = re.compile(r".+-v\d+")  # a Gymnasium id without its namespace
_OF_EVALUATION = ("eval", "evals", "evaluation", "evaluations")


@dataclass(frozen=True)
class Place:
    """Where a run belongs; `number` is None for a folder of an environment, which says nothing of runs."""

    variant: str
    env: str
    number: int | None


def place_of(root: Path, parts: Sequence[str], env: str = "") -> Place | None:
    """What the folders `parts` below `root` say; `env` is the environment that the files themselves name, if they do."""
    if not parts:
        folder = root.resolve()
        return place_of(folder.parent, (folder.name,), env) if numbered(folder.name, env) else None
    found = numbered(parts[-1], env)
    if found is not None:
        above = "/".join(parts[:-1]) or root.resolve().name
        return Place(above, env or found[0], found[1])
    if len(parts) == 3 and (seed := seed_in(parts[2])) is not None:
        return Place(parts[0], env or parts[1], seed)
    return Place(parts[0], env or parts[1], None) if len(parts) == 2 else None


def numbered(name: str, env: str) -> tuple[str, int] | None:
    """Environment and N of a folder ENVIRONMENT_N; where nobody names the environment, only of a name like Maze-v0_1."""
    matched = _NUMBERED.fullmatch(name)
    if matched is None:
        return None
    is_env = matched[1] == env.replace("/", "-") if env else bool(_VERSIONED.fullmatch(matched[1]))
    return (matched[1], int(matched[2])) if is_env else None


def logger_place(root: Path, parts: Sequence[str]) -> Place | None:
    """The same for a folder of a logger: that of a run, one anywhere within it, or ENVIRONMENT/ALGORITHM_N."""
    for end in range(len(parts), 0, -1):
        within = place_of(root, parts[:end])
        if within is not None and within.number is not None:
            return within
    matched = _NUMBERED.fullmatch(parts[-1]) if parts else None
    if matched is None:
        return None
    env = parts[-2] if len(parts) > 1 else root.resolve().name
    return Place(matched[1], env, int(matched[2])) if _VERSIONED.fullmatch(env) else None


def is_of_evaluation(name: str) -> bool:
    """Whether a folder or file is called after evaluation, as `eval` and `eval_0` are."""
    return bool(re.fullmatch(rf"(?:{'|'.join(_OF_EVALUATION)}|test)(?:[^a-z].*)?", name.lower()))
