"""Which stored runs cannot be trained again, because a choice of one's own that made them has changed or cannot be imported.

In: specifications. Out: what is wrong with which runs, in words. Imports the engine, and the modules of those choices, only where a run
has one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rlbench.errors import ConfigError

MOST_IDS = 3  # named in a line


def changed_code(specs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """run_id -> what is wrong with its code, of those of these runs where something is."""
    reasons: dict[tuple[str, str, str], str] = {}
    found: dict[str, str] = {}
    for run_id, spec in specs.items():
        for group, data in _own_choices(spec):
            key = (group, data["kind"], data["source"])
            if key not in reasons:
                reasons[key] = _reason(group, data)
            if reasons[key]:
                found.setdefault(run_id, reasons[key])
    return found


def changed_lines(changed: Mapping[str, str]) -> list[str]:
    """One line for each reason, with the runs that it is true of."""
    by_reason: dict[str, list[str]] = {}
    for run_id, reason in changed.items():
        by_reason.setdefault(reason, []).append(run_id)
    lines = []
    for reason, ids in by_reason.items():
        named = ", ".join(ids[:MOST_IDS]) + (f" and {len(ids) - MOST_IDS} more" if len(ids) > MOST_IDS else "")
        lines.append(f"{'run' if len(ids) == 1 else f'{len(ids)} runs'} {named}: {reason}")
    return lines


def _own_choices(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The groups of a specification that hold a choice of somebody's own, with what it says of it."""
    variant = spec.get("variant")
    for group, data in variant.items() if isinstance(variant, Mapping) else ():
        if isinstance(data, Mapping) and "source" in data:
            yield group, data


def _reason(group: str, data: Mapping[str, Any]) -> str:
    from rlbench.config.own_choices import class_of
    from rlbench.config.sources import check_source

    try:
        check_source(group, class_of(group, data["kind"]), data)
    except ConfigError as error:
        return str(error)
    return ""
