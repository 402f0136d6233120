"""What a command adds to an experiment: the rows of the records in which it is written down.

In: the members that are planned, their specifications and definition, and what the store has of the experiment. Out: the rows that are
not there yet. Never: reads or writes a store.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rlbench.errors import ConfigError, StoreError
from rlbench.store.names import is_name
from rlbench.store.records import Member
from rlbench.store.schema import canonical_json
from rlbench.store.specs import configurations

Specs = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class StoredExperiment:
    """What a store has: the experiment's members by run, all specifications, which runs are final, and the latest definition as JSON."""

    members: Mapping[str, Member]
    specs: Specs
    final_runs: Collection[str]
    definition: str | None

    def gets_seeds(self, planned: Mapping[str, Member], specs: Specs) -> bool:
        """Whether a variant that has results gets seeds that it had not."""
        seeds = {run_id: spec["seed"] for run_id, spec in {**self.specs, **specs}.items()}
        with_results = {member.variant for run_id, member in self.members.items() if run_id in self.final_runs}
        had = {(member.variant, seeds[run_id]) for run_id, member in self.members.items()}
        return any(
            member.variant in with_results and (member.variant, seeds[run_id]) not in had
            for run_id, member in planned.items()
        )


def planned_members(name: str, members: Sequence[Member]) -> dict[str, Member]:
    """The members by run. Raises ConfigError for a name that no folder should have, or one run of two variants."""
    if not is_name(name):
        raise ConfigError(f"an experiment has a plain name, without / and no dot in front; got {name[:80]!r}")
    planned: dict[str, Member] = {}
    for member in members:
        other = planned.setdefault(member.run_id, member).variant
        if other != member.variant:
            raise ConfigError(
                f"experiment {name!r}: {other!r} and {member.variant!r} are the same run ({member.run_id}):"
                " their settings do not differ; nothing was written"
            )
    return planned


def additions(
    name: str, definition: Mapping[str, Any], planned: Mapping[str, Member], specs: Specs, stored: StoredExperiment
) -> dict[str, list[dict[str, Any]]]:
    """The rows by table. Raises StoreError where a run is stored with another specification, ConfigError as `going_on` does."""
    _check_specs(planned, specs, stored.specs)
    if stored.definition is not None:
        grows = stored.gets_seeds(planned, specs) and "sequential" not in definition
        adds = any(run_id not in stored.members or run_id not in stored.final_runs for run_id in planned)
        definition = going_on(name, json.loads(stored.definition), definition, grows=grows, adds=adds)
    elif definition.get("command"):
        definition = {**definition, "commands": [definition["command"]]}
    text = canonical_json(definition)
    return {
        "specs": [
            {"run_id": run_id, "spec": canonical_json(spec)}
            for run_id, spec in specs.items()
            if run_id not in stored.specs
        ],
        "members": [
            {"experiment": name, **asdict(member)}
            for run_id, member in planned.items()
            if stored.members.get(run_id) != member
        ],
        "experiments": [{"name": name, "definition": text}] if stored.definition != text else [],
    }


def _check_specs(planned: Mapping[str, Member], specs: Specs, known: Specs) -> None:
    ours, theirs = configurations(specs), configurations({run_id: known[run_id] for run_id in specs.keys() & known})
    for run_id, text in theirs.items():
        if ours[run_id] != text or specs[run_id]["seed"] != known[run_id]["seed"]:
            raise StoreError(f"run {run_id} is stored with another specification; nothing was written")
    missing = planned.keys() - known.keys() - specs.keys()
    if missing:
        raise ValueError(f"members without a specification: {sorted(missing)}")


def going_on(
    name: str, before: Mapping[str, Any], now: Mapping[str, Any], *, grows: bool, adds: bool
) -> dict[str, Any]:
    """The definition of an experiment to which a command adds: the latest, with all comparisons that were declared.

    Its `commands` are all that added or trained runs, in their order; one that does neither leaves them as they are.
    Its `seeds_added` counts the commands that added seeds to a variant that had results.
    """
    window = before.get("final_window")
    if window is not None and window != now.get("final_window", window):
        raise ConfigError(
            f"experiment {name!r} has final_window={window}; with another one its finished runs would say something else:"
            " keep it, or give the experiment another name=NAME; nothing was written"
        )
    together = {**now} if window is None else {**now, "final_window": window}
    earlier = before.get("commands") or ([before["command"]] if before.get("command") else [])
    own = [now["command"]] if adds and now.get("command") else []
    commands = [*earlier, *(command for command in own if command not in earlier)]
    if commands:
        together["commands"] = commands
    if not adds:
        together |= {key: before[key] for key in ("command", "machine") if key in before}
    times = int(before.get("seeds_added", 0)) + grows
    if times:
        together["seeds_added"] = times
    comparisons = _joined((*before.get("comparisons", []), *now.get("comparisons", [])))
    if comparisons:
        together["comparisons"] = comparisons
    return together


def _joined(comparisons: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The pairs of each family, each once."""
    pairs: dict[str, list[Any]] = {}
    for comparison in comparisons:
        known = pairs.setdefault(comparison["family"], [])
        known += [pair for pair in comparison["pairs"] if pair not in known]
    return [{"family": family, "pairs": own} for family, own in pairs.items()]
