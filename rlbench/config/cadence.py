"""Cadences as parts of the budget: periods and the warm-up in environment steps, or as a fraction of a run's steps.

In: what a default, a file or a command says of a cadence. Out: whole numbers of steps. A cadence that nobody gave is the fraction that its
default is of the default budget, so it fits every budget; one that a file gives in steps yields to a smaller budget that is given above
the file. Whoever gives both is held to both: that they fit each other is checked with the run. Composes nothing.
"""

import dataclasses
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from rlbench.config import groups
from rlbench.config.keys import Key, convert, find_key, fixed_keys, keys_of_choice, show
from rlbench.config.specification import choice_of
from rlbench.config.words import Setting, is_given
from rlbench.errors import ConfigError
from rlbench.lanes.choices.variant import Budget

NAMES = ("evaluation.period", "diagnostics.period", "replay.warmup")
DEFAULT_STEPS: int = Budget().steps or 0
EPISODE_STEPS_GUESS = 200  # what an episode is taken for where a budget in episodes has to be one in steps


def is_fraction(value: Any) -> bool:
    """Whether this stands for a part of the budget and not for steps."""
    return isinstance(value, float) and 0.0 < value < 1.0


def steps_of(fraction: float, steps: int) -> int:
    """So many of `steps`, rounded down so that a period fits as often as its fraction says; 0.29 of 100 is 29."""
    return math.floor(Fraction(repr(fraction)) * steps)


def default_fraction(name: str) -> float:
    """What a cadence is where nobody gives it."""
    group = name.partition(".")[0]
    keys = keys_of_choice(group, groups.default_member(group)) if group in groups.CLASSES else fixed_keys()
    return float(keys[name].default) / DEFAULT_STEPS


def as_given(key: Key) -> Key:
    """The key as files and help have it: a cadence takes fractions, and has one as its default, that of a class of one's own too."""
    if key.name not in NAMES or key.plain_hint is not int:
        return key
    meaning = f"{key.meaning}, or below 1 a fraction of the budget"
    return dataclasses.replace(key, hint=float, default=float(key.default) / DEFAULT_STEPS, meaning=meaning)


def convert_given(key: Key, value: Any) -> Any:
    """`convert`, where a cadence may be a fraction. Raises ConfigError as it does."""
    if key.name not in NAMES or not isinstance(value, float) or value == int_of(value):
        return convert(key, value)
    if is_fraction(value):
        return value
    raise ConfigError(
        f"{key.name} must be a whole number of steps, or a fraction of the budget between 0 and 1; got {show(value)}"
    )


def int_of(value: float) -> int | None:
    """The whole number that a float is, or None."""
    return int(value) if math.isfinite(value) and value == int(value) else None


def yielding(lower: Mapping[str, Setting], upper: Mapping[str, Setting]) -> dict[str, Setting]:
    """A file's settings under a command's: cadences in steps that a budget of the command is too small for are fractions of the file's."""
    budgets = [one for one in upper["steps"].values if _is_steps(one)] if is_given(upper, "steps") else []
    if not budgets:
        return dict(lower)
    own = [one for one in lower["steps"].values if _is_steps(one)] if "steps" in lower else []

    def fitted(name: str, value: Any) -> Any:
        return fraction_of(name, value, max(own, default=None)) if _is_steps(value) and value > min(budgets) else value

    changed = {
        name: dataclasses.replace(lower[name], values=tuple(fitted(name, value) for value in lower[name].values))
        for name in NAMES
        if name in lower
    }
    return {**lower, **changed}


def fraction_of(name: str, value: float, steps: int | None) -> float:
    """The fraction that a cadence in steps is of the budget beside it; the default one where there is no budget in steps that it fits."""
    return value / steps if steps is not None and value < steps else default_fraction(name)


def _is_steps(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value < math.inf


def nominal_steps(episodes: int, file_steps: int | None) -> int:
    """The steps of which a fraction is one, for a budget in episodes: never more than those of the file, or the default ones."""
    return min(file_steps or DEFAULT_STEPS, episodes * EPISODE_STEPS_GUESS)


def resolve_cadences(tree: dict[str, Any], given: Mapping[str, Any], file_steps: int | None) -> None:
    """Write the cadences of a tree of keys out in steps.

    `given` are the settings above the variant's or recipe's own file, whose budget is `file_steps` (None: in episodes, or none). Where
    they have a budget in episodes, whose end is on no grid, and say nothing of evaluation, runs are evaluated at their end too.
    """
    by_steps, episodes = given.get("steps") is not None, given.get("episodes")
    budget = convert(fixed_keys()["steps"], tree["steps"]) or file_steps or DEFAULT_STEPS
    if episodes is not None:
        budget = nominal_steps(max(episodes, 1), file_steps)
        if not {"evaluation.at_end", "evaluation.period"} & set(given):
            tree["evaluation"]["at_end"] = True
    for name in NAMES:
        part, _, field = name.partition(".")
        if field not in tree[part]:
            continue
        value = convert_given(find_key(name), tree[part][field])
        if by_steps and name not in given and value > budget:
            value = fraction_of(name, value, file_steps)
        if is_fraction(value):
            value = max(1, steps_of(value, budget))
            if name == "replay.warmup":
                value = _warmup(value, tree)
        tree[part][field] = value


def _warmup(steps: int, tree: Mapping[str, Any]) -> int:
    """A warm-up that the replay can hold, and from which a minibatch can be drawn."""
    replay = tree["replay"]
    returns: Any = choice_of("returns", tree["returns"])
    needed = 1 if replay.get("replacement", True) else convert(find_key("batch_size"), tree["batch_size"])
    steps = max(steps, needed + returns.num_steps - 1)  # the newest steps are of no transition yet
    return min(steps, convert(find_key("replay.capacity"), replay.get("capacity", steps)))
