"""Settings expanded into the cells of an experiment, one for each combination of the factors' values.

In: settings by key, and a composer. Out: cells in the order environment, variant, then the other factors as they were
typed, and the values of the command's own keys. A member of a group takes all its own defaults, then single keys are set,
each of its declared type. Never: reads argv, opens a store.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rlbench.config import groups
from rlbench.config.cadence import convert_given, resolve_cadences
from rlbench.config.composing import NAMED, Composer
from rlbench.config.keys import ALTERNATIVES, command_keys, convert, find_choice_key, keys_of, show
from rlbench.config.plan import PlannedCell
from rlbench.config.sources import source_of
from rlbench.config.specification import choice_of, part_of, variant_of
from rlbench.config.words import Setting
from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import length_in_steps
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Variant

DEFAULT_VARIANT = "hard_mse"
LARGEST_GRID = 10_000

Tree = dict[str, Any]  # every key of a cell: groups and parts as dicts of their own


def expand(settings: Mapping[str, Setting], composer: Composer) -> tuple[list[PlannedCell], dict[str, Any]]:
    """The cells, and the converted values of the command's keys. Raises ConfigError for a wrong name, key or type."""
    settings = dict(settings)
    if not any(name in settings for name in NAMED):
        settings["variant"] = Setting("variant", (DEFAULT_VARIANT,))
    first = [name for name in ("env", *NAMED) if name in settings]
    order = first + [name for name in settings if name not in first]
    swept = [name for name in settings if settings[name].is_swept]
    size = math.prod(len(settings[name].values) for name in swept)
    if size > LARGEST_GRID:
        raise ConfigError(f"{' x '.join(swept)} make {size} cells; at most {LARGEST_GRID}")
    cells: list[PlannedCell] = []
    command: dict[str, Any] = {}
    for values in itertools.product(*(settings[name].values for name in order)):
        given = dict(zip(order, values, strict=True))
        tree = _tree(given, composer)
        cells.append(_cell(tree, given, swept))
        own = _command_values(tree)
        differing = [name for name in command if command[name] != own[name]]
        if differing:
            raise ConfigError(
                f"{differing[0]} is one value for the whole command, but the files of its variants differ:"
                f" give {differing[0]}=VALUE"
            )
        command = own
    return _told_apart(cells), command


def _told_apart(cells: list[PlannedCell]) -> list[PlannedCell]:
    """The cells, with the member of `env` in the label of those that share a label and a Gymnasium id."""
    counts = Counter((cell.label, cell.env.id) for cell in cells)
    return [
        dataclasses.replace(cell, label=f"{cell.label} env={cell.overrides['env']}")
        if counts[cell.label, cell.env.id] > 1 and "env" in cell.overrides
        else cell
        for cell in cells
    ]


def _tree(given: dict[str, Any], composer: Composer) -> Tree:
    """Everything that one value for each given key leads to. `given` is converted on the way."""
    named = next(name for name in NAMED if name in given)
    tree = composer.base(named, str(given[named]))
    file_steps = tree["steps"]
    for group in groups.CLASSES:
        if group in given:
            tree[group] = composer.member(group, str(given[group]))
    if "env" in given:
        env = str(given["env"])
        tree["env"] = (
            composer.member("env", env) if env in composer.names["env"] else {"id": env, "max_env_steps": None}
        )
    kinds = {group: str(tree[group]["kind"]) for group in groups.CLASSES}
    for name in given:
        if name not in groups.MEANINGS:
            given[name] = convert_given(find_choice_key(name, kinds), given[name])
    if given.get("episodes") is not None and tree["episodes"] is None and "exploration.decay_fraction" not in given:
        tree["exploration"] = _in_steps(tree["exploration"], tree["steps"] or Budget().steps)
    if given.get("episodes") is not None and tree["episodes"] is None and "replay.beta_fraction" not in given:
        _anneal_in_steps(tree["replay"], tree["steps"] or Budget().steps)
    for one, other in (*ALTERNATIVES, *(pair[::-1] for pair in ALTERNATIVES)):
        part, field = _place(tree, other)
        if given.get(one) is not None and other not in given and field in part:
            part[field] = None
    for name, value in given.items():
        if name not in groups.MEANINGS:
            part, field = _place(tree, name)
            part[field] = value
    if tree["steps"] is None and tree["episodes"] is None:
        tree["steps"] = Budget().steps
    resolve_cadences(tree, given, file_steps)
    return tree


def _in_steps(exploration: Tree, steps: int | None) -> Tree:
    """An exploration of the length that it had as a fraction of a budget in steps, for a budget in episodes."""
    choice = choice_of("exploration", exploration).resolved(steps)
    return {
        "kind": choice.kind,
        **source_of(choice),
        **{name.partition(".")[2]: key.default for name, key in keys_of(choice, "exploration.").items()},
    }


def _anneal_in_steps(replay: Tree, steps: Any) -> None:
    """The same for what a replay anneals. Its other fields may still hang on the budget."""
    if replay.get("beta_fraction") is not None and replay["beta_steps"] is None:
        replay |= {"beta_fraction": None, "beta_steps": length_in_steps(replay["beta_fraction"], steps)}


def _place(tree: Tree, name: str) -> tuple[Tree, str]:
    """Where in the tree a dotted key stands."""
    part, _, field = name.rpartition(".")
    return (tree[part] if part else tree), field


def _cell(tree: Tree, given: Mapping[str, Any], swept: list[str]) -> PlannedCell:
    named = next(name for name in NAMED if name in given)
    label = str(given[named])
    for name in swept:
        if name not in (*NAMED, "env"):
            label += f" {name}={show(given[name])}"
    scalars = {name: tree[name] for name in keys_of(Variant())}
    choices = {group: tree[group] for group in groups.CLASSES}
    return PlannedCell(
        label=label,
        variant=variant_of({"kind": Variant.kind, **choices, **scalars}),
        env=part_of(Environment(), tree["env"], "env."),
        budget=part_of(Budget(), {name: tree[name] for name in keys_of(Budget())}, ""),
        evaluation=part_of(Evaluation(), tree["evaluation"], "evaluation."),
        diagnostics=part_of(Diagnostics(), tree["diagnostics"], "diagnostics."),
        overrides={
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if name not in command_keys()
        },
    )


def _command_values(tree: Tree) -> dict[str, Any]:
    values = {}
    for name, key in command_keys().items():
        part, field = _place(tree, name)
        values[name] = convert(key, part[field])
    return values
