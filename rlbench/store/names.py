"""Which ids and names a store may hold, and what each of its records must be: checked when they are read and before they are written.

In: a row of a record table. Out: nothing, or why it cannot be used. Nothing that is read from a store is used as a path
before it has passed here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from rlbench.store.records import STATUSES

_RUN_ID = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"[^\s./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,199}")
MOST_STEPS = 10**15


def is_run_id(value: object) -> bool:
    """Whether this is what run ids are: 16 hex digits."""
    return isinstance(value, str) and _RUN_ID.fullmatch(value) is not None


def is_name(value: object) -> bool:
    """Whether this can be the name of an experiment or a study: a plain file name, that is not hidden."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _count(value: object) -> bool:
    return type(value) is int and 0 <= value <= MOST_STEPS


def _object(text: Any) -> dict[str, Any]:
    """The JSON object of a text, or one that has been parsed already."""
    value = json.loads(text) if isinstance(text, str) else text
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _spec(row: Mapping[str, Any]) -> str:
    spec = _object(row["spec"])
    env = spec.get("env")
    if not isinstance(env, dict) or not isinstance(env.get("id"), str):
        return "it has no environment"
    if not _count(spec.get("seed")) or not isinstance(spec.get("namespace"), str):
        return "it has no seed"
    return ""


def _definition(row: Mapping[str, Any]) -> str:
    definition = _object(row["definition"])
    window = definition.get("final_window")
    if window is not None and (not _count(window) or window < 1):
        return f"final_window is {str(window)[:40]!r}, and at least 1"
    seeds = definition.get("seeds", [])
    if not isinstance(seeds, list) or not all(map(_count, seeds)):
        return "seeds is no list of seeds"
    for comparison in definition.get("comparisons") or []:
        pairs = comparison.get("pairs") if isinstance(comparison, dict) else None
        if not isinstance(pairs, list) or not isinstance(comparison.get("family"), str):
            return "comparisons is no list of families"
        if not all(isinstance(pair, list) and list(map(type, pair)) == [str, str] for pair in pairs):
            return "a comparison is no pair of variants"
    for cell in definition.get("cells") or []:
        if not isinstance(cell, dict) or not all(isinstance(cell.get(key), str) for key in ("variant", "env")):
            return "a cell has no variant or no environment"
    return ""


def _member(row: Mapping[str, Any]) -> str:
    if not row["variant"]:
        return "the label of its variant is empty"
    if row["study"] is not None and not is_name(row["study"]):
        return "its study has no plain name"
    return "" if _count(row["position"]) else "its position is no count"


def _outcome(row: Mapping[str, Any]) -> str:
    if row["status"] not in STATUSES:
        return f"its status {row['status'][:40]!r} is none of {', '.join(STATUSES)}"
    return "" if all(_count(row[name]) for name in ("env_steps", "updates", "episodes")) else "a count is below 0"


def _plan(row: Mapping[str, Any]) -> str:
    _object(row["state"])
    return ""


def _start(row: Mapping[str, Any]) -> str:
    return "" if all(_count(row[name]) for name in ("episodes", "evaluations", "diagnostics")) else "a count is below 0"


_CHECKS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "specs": _spec,
    "members": _member,
    "experiments": _definition,
    "outcomes": _outcome,
    "plans": _plan,
    "starts": _start,
}


def problem_of(table: str, row: Mapping[str, Any]) -> str:
    """Why this row of a record table cannot be used, in words; empty where it can."""
    if "run_id" in row and not is_run_id(row["run_id"]):
        return f"{table}: {str(row['run_id'])[:40]!r} is no run id (16 hex digits)"
    for key in ("experiment", "name"):
        if key in row and not is_name(row[key]):
            return f"{table}: {str(row[key])[:80]!r} is no plain name of an experiment"
    try:
        reason = _CHECKS[table](row)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
    whose = row.get("name") or row.get("run_id") or row.get("experiment")
    return f"{table}: of {whose!r} {reason}" if reason else ""
