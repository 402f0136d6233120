"""A search space: for configuration keys, the values that trials may take, some only under a condition.

In: the `space` of a study file. Out: `Parameter`s, checked against the keys that exist. What a range may hold is said here; whether its
values are possible in a run is asked by whoever builds runs of them. Knows nothing of Optuna.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rlbench.config import groups
from rlbench.config.keys import Key, find_key, fixed_keys, keys_of, keys_of_choice, show
from rlbench.config.own_choices import class_of, is_written_out
from rlbench.config.sources import source_digest
from rlbench.config.words import Setting, parse_words
from rlbench.errors import ConfigError, did_you_mean
from rlbench.lanes.choices.variant import Variant

Value = bool | int | float | str | None
KINDS = ("float", "log", "int", "log_int", "choices")
UNTUNED = Variant()
_FORM = "write {float: [low, high]}, {log: [low, high]}, {int: [low, high]}, {log_int: [low, high]} or [a, b, c]"


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One key and its values: a range from `low` to `high`, both included, or `choices` (a list value as its text)."""

    key: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    choices: tuple[Value, ...] = ()
    when: tuple[tuple[str, tuple[Value, ...]], ...] = ()
    """Keys above this one, and the values of theirs under which this one counts."""

    @property
    def is_log(self) -> bool:
        return self.kind in ("log", "log_int")

    @property
    def is_whole(self) -> bool:
        return self.kind in ("int", "log_int")

    def applies(self, params: Mapping[str, Value]) -> bool:
        """Whether this parameter counts, given those above it."""
        return all(params.get(key) in values for key, values in self.when)

    def ends(self) -> tuple[Value, ...]:
        """The values at which an impossible one shows: both ends of a range, or all choices."""
        return self.choices or ((int(self.low), int(self.high)) if self.is_whole else (self.low, self.high))

    def describe(self) -> dict[str, Any]:
        """The parameter as JSON, without what is not said."""
        told: dict[str, Any] = {"key": self.key, "kind": self.kind}
        told |= {"choices": list(self.choices)} if self.choices else {"low": self.low, "high": self.high}
        if self.step is not None:
            told["step"] = self.step
        if self.when:
            told["when"] = {key: list(values) for key, values in self.when}
        return told

    def __str__(self) -> str:
        if self.choices:
            text = f"one of {', '.join(show(value) for value in self.choices)}"
        else:
            text = f"{show(self.low)} to {show(self.high)}{', log' if self.is_log else ''}"
            text += f", in steps of {show(self.step)}" if self.step is not None else ""
        conditions = [f"{key}={' or '.join(show(value) for value in values)}" for key, values in self.when]
        return text + (f", when {' and '.join(conditions)}" if conditions else "")


Space = tuple[Parameter, ...]


def settings_of(params: Mapping[str, Value]) -> dict[str, Setting]:
    """The settings that the parameters of a trial stand for."""
    return {key: Setting(key, (_setting(key, value),)) for key, value in params.items()}


def _setting(key: str, value: Value) -> Any:
    if isinstance(value, str) and value.startswith("["):
        return parse_words([f"{key}={value}"], {})[key].values[0]
    return value


def read_space(data: Any, variant: str, base: Variant = UNTUNED) -> Space:
    """The space of one variant, which without a trial's parameters is `base`.

    Raises ConfigError for an unknown key, an empty range, a log range with 0, a wrong condition.
    """
    if not isinstance(data, dict) or not data:
        raise ConfigError(f"space is a mapping of keys to their values; {_FORM}")
    found: dict[str, Parameter] = {}
    for key, told in data.items():
        parameter = _read(str(key), told, found, variant, base)
        if parameter is not None:
            found[parameter.key] = parameter
    return tuple(found.values())


def _read(key: str, told: Any, above: Mapping[str, Parameter], variant: str, base: Variant) -> Parameter | None:
    known = _known(key, above, base)
    if isinstance(told, list):
        told = {"choices": told}
    if not isinstance(told, dict):
        raise ConfigError(f"space.{key}: {_FORM}")
    kinds = [kind for kind in KINDS if kind in told]
    for name in told:
        if name not in (*KINDS, "step", "when"):
            raise ConfigError(f"space.{key}: unknown word '{name}'{did_you_mean(str(name), KINDS)}; {_FORM}")
    if len(kinds) != 1:
        raise ConfigError(f"space.{key}: {_FORM}; exactly one of them")
    when, is_for_variant = _conditions(key, told.get("when", {}), above, variant)
    if not is_for_variant:
        return None
    kind = kinds[0]
    if kind == "choices":
        if "step" in told:
            raise ConfigError(f"space.{key}: choices have no step")
        return Parameter(key, kind, choices=_choices(key, told[kind]), when=when)
    if known is None or known.plain_hint not in (int, float):
        raise ConfigError(f"space.{key} has no range: give its values as a list")
    if known.plain_hint is int and kind in ("float", "log"):
        raise ConfigError(f"space.{key} takes whole numbers: use {'log_int' if kind == 'log' else 'int'}")
    return _range(key, kind, told[kind], told.get("step"), when)


def _known(key: str, above: Mapping[str, Parameter], base: Variant) -> Key | None:
    """The key, or None for a group of choices. Raises ConfigError for what does not exist or must be equal in all trials."""
    if key in groups.CLASSES:
        return None
    equal = {*groups.MEANINGS, *fixed_keys()} - {*groups.CLASSES, *keys_of(Variant())}
    if key in equal:
        raise ConfigError(f"space.{key}: it must be equal in all trials, so it is no part of a space")
    try:
        return find_key(key, _own_keys(key.partition(".")[0], above, base))
    except ConfigError as error:
        raise ConfigError(f"space: {error}") from None


def _own_keys(group: str, above: Mapping[str, Parameter], base: Variant) -> dict[str, Key]:
    """The keys of the classes of one's own that a group may have: the base's, and those that a parameter above chooses from."""
    if group not in groups.CLASSES:
        return {}
    taken = [getattr(base, group).kind, *(above[group].choices if group in above else ())]
    return {
        name: key
        for kind in taken
        if is_written_out(str(kind))
        for name, key in keys_of_choice(group, str(kind)).items()
    }


def _conditions(
    key: str, told: Any, above: Mapping[str, Parameter], variant: str
) -> tuple[tuple[tuple[str, tuple[Value, ...]], ...], bool]:
    """The conditions on parameters above, and whether the condition on the variant, if there is one, is met."""
    if not isinstance(told, dict):
        raise ConfigError(f"space.{key}: when is a mapping, {{key above: value or [values]}}")
    conditions, is_for_variant = [], True
    for name, raw in told.items():
        values = raw if isinstance(raw, list) else [raw]
        if name == "variant":
            is_for_variant = variant in values
            continue
        if name not in above:
            raise ConfigError(f"space.{key}: when names '{name}', which is not a parameter above it")
        if not above[name].choices:
            raise ConfigError(f"space.{key}: when names '{name}', which is a range; a condition needs choices")
        taken = tuple(_choice(name, value) for value in values)
        foreign = [value for value in taken if value not in above[name].choices]
        if foreign or not taken:
            raise ConfigError(f"space.{key}: '{name}' is never {' or '.join(show(v) for v in foreign) or 'nothing'}")
        conditions.append((str(name), taken))
    return tuple(conditions), is_for_variant


def _choices(key: str, told: Any) -> tuple[Value, ...]:
    if not isinstance(told, list) or not told:
        raise ConfigError(f"space.{key} has no values")
    values = tuple(_choice(key, one) for one in told)
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise ConfigError(f"space.{key} lists {show(twice)} twice")
    return values


def _choice(key: str, raw: Any) -> Value:
    """One choice as Optuna keeps it: a number, text, truth value or None; a list as its text."""
    text = _list_text(raw)
    value = parse_words([f"{key}={text}"], {})[key].values[0]
    return show(value) if isinstance(value, list) else value


def _list_text(raw: Any) -> str:
    return f"[{','.join(_list_text(one) for one in raw)}]" if isinstance(raw, list) else str(raw)


def _range(key: str, kind: str, told: Any, step: Any, when: Any) -> Parameter:
    if not isinstance(told, list) or len(told) != 2:
        raise ConfigError(f"space.{key}: a range is two numbers, {{{kind}: [low, high]}}")
    low, high = (_number(key, one, kind) for one in told)
    if not low < high:
        raise ConfigError(f"space.{key}: the range from {show(low)} to {show(high)} is empty: low must be below high")
    if kind in ("log", "log_int") and low <= 0:
        raise ConfigError(f"space.{key}: a log range begins above 0, not at {show(low)}")
    if step is None:
        return Parameter(key, kind, low, high, when=when)
    size = _number(key, step, kind)
    if kind in ("log", "log_int") or not 0 < size <= high - low:
        raise ConfigError(f"space.{key}: a step is above 0, at most the range, and not for log ranges")
    return Parameter(key, kind, low, high, size, when=when)


def _number(key: str, raw: Any, kind: str) -> float:
    try:
        value = float(str(raw))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (kind in ("int", "log_int") and value != int(value)):
        wanted = "a whole number" if kind in ("int", "log_int") else "a number"
        raise ConfigError(f"space.{key}: {wanted} is needed, got {raw!r}")
    return value


def space_sources(space: Sequence[Parameter]) -> dict[str, str]:
    """A digest of the source of each class of one's own that trials may have, by its name."""
    return {
        str(name): source_digest(class_of(parameter.key, str(name)))
        for parameter in space
        if parameter.key in groups.CLASSES
        for name in parameter.choices
        if is_written_out(str(name))
    }


def grid_values(space: Sequence[Parameter]) -> dict[str, list[Value]]:
    """Every value of every parameter. Raises ConfigError where a grid has no end or conditions."""
    values: dict[str, list[Value]] = {}
    for parameter in space:
        if parameter.when:
            raise ConfigError(f"sampler grid: space.{parameter.key} has a condition, which a grid cannot have")
        if parameter.choices:
            values[parameter.key] = list(parameter.choices)
        elif parameter.kind == "int" or parameter.step is not None:
            step = parameter.step or 1
            count = int((parameter.high - parameter.low) / step + 1e-9) + 1
            steps = [parameter.low + index * step for index in range(count)]
            values[parameter.key] = [int(value) if parameter.is_whole else value for value in steps]
        else:
            raise ConfigError(f"sampler grid: space.{parameter.key} has no step; give one, or choices")
    return values
