"""In what the compared cells differ: every configuration key, and the factors of the grid that they form.

In: a `Summary`, whose runs carry their specifications. Out: `KeyDifference`s and a `Design`. Never: calls something a main
effect where more than the factor differs.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlbench.reports.summary import Summary
from rlbench.store.labels import flattened

_MAX_FACTORS = 5
RESERVED = ("variant", "env", "seed", "score")  # columns beside the factors'


@dataclass(frozen=True)
class KeyDifference:
    """A configuration key in which the variants of some environments differ."""

    key: str
    envs: tuple[str, ...]
    values: Mapping[str, str]  # variant -> value as text


@dataclass(frozen=True)
class Factor:
    """A factor of the grid; `keys` are those in which cells differ that differ in this factor alone."""

    name: str
    levels: Mapping[str, tuple[str, ...]]  # level -> variants, the first level coded -0.5
    keys: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the algorithm that its keys belong to; an effect is of one factor where there is one."""
        return tuple(dict.fromkeys(part_of(key) for key in self.keys))

    def level_of(self, variant: str) -> str:
        """The level of a variant of the grid."""
        return next(level for level, variants in self.levels.items() if variant in variants)


@dataclass(frozen=True)
class Design:
    """The grid that the variants form, or why they form none."""

    factors: tuple[Factor, ...]
    is_declared: bool
    problem: str  # empty where there is a full grid

    @property
    def is_two_level(self) -> bool:
        """Whether there is a full grid of two-level factors."""
        return not self.problem and bool(self.factors) and all(len(factor.levels) == 2 for factor in self.factors)

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants of the grid."""
        return tuple(variant for variants in self.factors[0].levels.values() for variant in variants)

    @property
    def shared_keys(self) -> tuple[str, ...]:
        """Keys that move with more than one factor: their effects cannot be told apart."""
        keys = [key for factor in self.factors for key in factor.keys]
        return tuple(dict.fromkeys(key for key in keys if keys.count(key) > 1))


def configurations(summary: Summary) -> dict[tuple[str, str], dict[str, Any]]:
    """(variant, environment) -> its settings by dotted key, without seed and environment; only cells with runs."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in summary.runs.itertuples():
        if (row.variant, row.env) not in found:
            settings = flattened(summary.specs.get(str(row.run_id), {}))
            kept = {key: value for key, value in settings.items() if key not in ("env.id", "variant.name", "namespace")}
            found[str(row.variant), str(row.env)] = kept
    return found


def differing_keys(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys in which these settings are not all equal, in the order in which they appear."""
    keys = dict.fromkeys(key for one in settings for key in one)
    return [key for key in keys if any(_told(one, key) != _told(settings[0], key) for one in settings)]


def key_differences(summary: Summary) -> list[KeyDifference]:
    """Every key in which variants on one environment differ; environments with the same values together."""
    settings = configurations(summary)
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for env in summary.envs:
        own = {variant: one for (variant, where), one in settings.items() if where == env}
        for key in differing_keys(list(own.values())):
            values = tuple((variant, _told(one, key)) for variant, one in own.items())
            found.setdefault((key, values), []).append(env)
    return [KeyDifference(key, tuple(envs), dict(values)) for (key, values), envs in found.items()]


def part_of(key: str) -> str:
    """The part of the algorithm that a key belongs to: variant.loss.kind -> loss, budget.steps -> budget."""
    words = key.split(".")
    return words[1] if words[0] == "variant" and len(words) > 1 else words[0]


def design_of(summary: Summary) -> Design:
    """The factors that the experiment declares, or else those that the variants' settings show."""
    settings: dict[str, dict[str, Any]] = {}
    for (variant, _), one in configurations(summary).items():
        settings.setdefault(variant, one)
    declared = summary.definition.get("factors") or []
    if declared:
        levels = {
            str(given["factor"]): {str(one["level"]): tuple(one["cells"]) for one in given["levels"]}
            for given in declared
        }
        return _checked(levels, settings, summary.variants)
    return _derived(settings)


def _checked(
    levels: Mapping[str, Mapping[str, tuple[str, ...]]], settings: Mapping[str, Mapping[str, Any]], known: Sequence[str]
) -> Design:
    factors = tuple(Factor(name, own, _keys_of(name, levels, settings)) for name, own in levels.items())
    cells = {variant for own in levels.values() for variants in own.values() for variant in variants}
    absent = sorted(cells - set(known))
    combinations = [
        tuple(next((level for level, variants in own.items() if variant in variants), "") for own in levels.values())
        for variant in sorted(cells)
    ]
    reserved = sorted(set(levels) & set(RESERVED))
    problem = ""
    if reserved:
        problem = f"a factor cannot be called {reserved[0]}: that is a column of every run"
    elif absent:
        problem = f"the declared factors name {', '.join(absent)}, of which there are no runs under that name"
    elif any("" in one for one in combinations):
        problem = "some cell has no level of some declared factor"
    elif len(set(combinations)) != len(combinations) or len(combinations) != math.prod(len(o) for o in levels.values()):
        problem = "the declared factors do not make a full grid with one variant a cell"
    return Design(factors, True, problem)


def _derived(settings: Mapping[str, Mapping[str, Any]]) -> Design:
    variants = list(settings)
    if len(variants) < 2:
        return Design((), False, "there is one variant with runs, and nothing to cross it with")
    partitions: dict[tuple[int, ...], list[str]] = {}
    for key in differing_keys(list(settings.values())):
        values = [_told(one, key) for one in settings.values()]
        order = list(dict.fromkeys(values))
        partitions.setdefault(tuple(order.index(value) for value in values), []).append(key)
    if not partitions:
        return Design((), False, "no setting is known in which the variants differ")
    for size in range(1, min(len(partitions), _MAX_FACTORS) + 1):
        for chosen in itertools.combinations(partitions, size):
            cells = set(zip(*chosen, strict=True))
            if len(cells) == len(variants) == math.prod(max(one) + 1 for one in chosen):
                levels: dict[str, dict[str, tuple[str, ...]]] = {}
                for partition in chosen:
                    groups = [
                        [v for v, place in zip(variants, partition, strict=True) if place == level]
                        for level in range(max(partition) + 1)
                    ]
                    names = _level_names(groups, partitions[partition], settings)
                    name = _factor_name(partitions[partition], levels)
                    levels[name] = {label: tuple(group) for label, group in zip(names, groups, strict=True)}
                factors = tuple(Factor(name, own, _keys_of(name, levels, settings)) for name, own in levels.items())
                return Design(factors, False, "")
    changed = ", ".join(dict.fromkeys(part_of(keys[0]) for keys in partitions.values()))
    return Design((), False, f"the variants differ in {changed}, and are not every combination of those once")


def _factor_name(keys: Sequence[str], taken: Mapping[str, object]) -> str:
    parts = list(dict.fromkeys(part_of(key) for key in keys))
    name = " with ".join(parts) if len(parts) <= 2 else f"{parts[0]} with {len(parts) - 1} more"
    if len(keys) == 1 and len(parts) == 1:
        name = ".".join(keys[0].split(".")[1:]) or keys[0]
    while name in taken:
        name += "'"
    return name


def _level_names(
    groups: Sequence[Sequence[str]], keys: Sequence[str], settings: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """A word of the variants' names that all of a level and no other variant have, or the value of the first key."""
    words = [[set(re.split(r"[_\s]+", variant)) for variant in group] for group in groups]
    names = []
    for place, group in enumerate(groups):
        elsewhere = set().union(*(word for other, own in enumerate(words) if other != place for word in own))
        shared = [
            w for w in re.split(r"[_\s]+", group[0]) if w and w not in elsewhere and all(w in o for o in words[place])
        ]
        word, value = keys[0].rpartition(".")[2], _told(settings[group[0]], keys[0])
        names.append(shared[0] if shared else value if word == "kind" else f"{word}={value}")
    return names if len(set(names)) == len(names) else [f"{name} ({place})" for place, name in enumerate(names)]


def _keys_of(
    name: str, levels: Mapping[str, Mapping[str, tuple[str, ...]]], settings: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Keys in which variants differ that share the level of every factor but this one."""

    def place(variant: str) -> tuple[str, ...]:
        return tuple(
            next((level for level, cells in own.items() if variant in cells), "")
            for other, own in levels.items()
            if other != name
        )

    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for variants in levels[name].values():
        for variant in variants:
            if variant in settings:
                groups.setdefault(place(variant), []).append(settings[variant])
    return tuple(dict.fromkeys(key for group in groups.values() for key in differing_keys(group)))


def _told(settings: Mapping[str, Any], key: str) -> str:
    if key not in settings:
        return "–"
    value = settings[key]
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
