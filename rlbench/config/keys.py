"""Every key with its type, default and meaning, from the metadata of the dataclasses; and what is said to a wrong one.

In: the dataclasses of the engine and of `settings`. Out: `Key` objects by dotted name, values of exactly the declared
type, and one-line `ConfigError`s with the nearest right name. Knows nothing of Hydra.
"""

import dataclasses
import functools
import sys
import types
import typing
from collections.abc import Collection, Mapping
from typing import Any

from rlbench.config import groups
from rlbench.config.launchers import LauncherSettings
from rlbench.config.own_choices import class_of, is_written_out
from rlbench.config.settings import Settings
from rlbench.errors import ConfigError, check_choice, did_you_mean
from rlbench.lanes.choices.choice import Choice
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Variant
from rlbench.tracking.tracker import TrackerSettings
from rlbench.tracking.trackers import TRACKERS

SEE_HELP = "(see: python -m rlbench.run --help)"
LARGEST = 2**63 - 1  # what a stored column holds

# Two ways to say one thing: giving the first drops the second, and the other way round.
ALTERNATIVES = (
    ("steps", "episodes"),
    ("exploration.decay_steps", "exploration.decay_fraction"),
    ("replay.beta_steps", "replay.beta_fraction"),
)

# A key that is typed in a shorter way than it is placed: it shares its first word with keys of its own.
SHORT = {"launcher": "launcher.kind"}

# What other libraries call a key whose name here is too different to be guessed.
ELSEWHERE = {
    "gamma": "discount",
    "total_timesteps": "steps",
    "buffer_size": "replay.capacity",
    "learning_starts": "replay.warmup",
    "train_frequency": "update_period",
    "target_network_frequency": "target.every",
}


@dataclasses.dataclass(frozen=True)
class Key:
    """One key: its dotted name and what may stand behind it. `hint` is an annotation, Any where a parser decides."""

    name: str
    hint: Any
    default: Any
    meaning: str
    bound: str = ""
    allowed: tuple[str, ...] = ()

    @property
    def is_optional(self) -> bool:
        return types.NoneType in typing.get_args(self.hint)

    @property
    def plain_hint(self) -> Any:
        """The annotation without `| None`."""
        if not self.is_optional:
            return self.hint
        return next(hint for hint in typing.get_args(self.hint) if hint is not types.NoneType)

    @property
    def is_list(self) -> bool:
        return typing.get_origin(self.plain_hint) is tuple


def keys_of(part: Any, prefix: str = "") -> dict[str, Key]:
    """The fields of a dataclass instance by dotted name, with their values as defaults; choices inside it are left out."""
    cls: type = type(part)
    hints = _hints(cls)
    found: dict[str, Key] = {}
    for field in dataclasses.fields(part):
        name, default, told = prefix + field.name, getattr(part, field.name), field.metadata
        if not isinstance(default, Choice):
            bound, allowed = told.get("bound", ""), told.get("allowed", ())
            found[name] = Key(name, hints[field.name], default, told.get("meaning", ""), bound, allowed)
    return found


@functools.cache
def _hints(cls: type) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


@functools.cache
def fixed_keys() -> Mapping[str, Key]:
    """The keys that exist whatever is chosen."""
    return {
        **keys_of(Variant()),
        **keys_of(Environment(), "env."),
        **keys_of(Budget()),
        **keys_of(Evaluation(), "evaluation."),
        **keys_of(Diagnostics(), "diagnostics."),
        **command_keys(),
    }


@functools.cache
def command_keys() -> Mapping[str, Key]:
    """The keys of the command itself: one value each, not part of a run."""
    found = keys_of(Settings()) | keys_of(LauncherSettings(), "launcher.")
    for name, (kind, _) in TRACKERS.items():
        found |= keys_of(kind(), f"{name}.")
    return found


def is_of_command(name: str) -> bool:
    """Whether a key, as it is typed, is one of the command itself."""
    return SHORT.get(name, name) in command_keys()


def launcher_of(command: Mapping[str, Any]) -> LauncherSettings:
    """Where workers run, from the values of a command's keys. Raises ConfigError for what no launcher can use."""
    keys = keys_of(LauncherSettings(), "launcher.")
    return LauncherSettings(**{key.removeprefix("launcher."): command[key] for key in keys})


def typed(name: str) -> str:
    """A key as it is typed."""
    return next((short for short, name_of in SHORT.items() if name_of == name), name)


def trackers_of(command: Mapping[str, Any]) -> tuple[TrackerSettings, ...]:
    """The settings of every tracker, from the values of a command's keys. Raises ConfigError for what a tracker cannot use."""
    return tuple(
        kind(**{key.removeprefix(f"{name}."): command[key] for key in keys_of(kind(), f"{name}.")})
        for name, (kind, _) in TRACKERS.items()
    )


def keys_of_choice(group: str, kind: str) -> Mapping[str, Key]:
    """The keys of a group when a choice of this kind is taken. Raises ConfigError for a class of one's own that is no choice."""
    cls: Any = class_of(group, kind)  # for mypy, to which a class of choices is not hashable
    return _keys_of_class(group, cls)


@functools.cache
def _keys_of_class(group: str, cls: type[Choice]) -> Mapping[str, Key]:
    keys = keys_of(cls(), f"{group}.")
    for key in keys.values():
        try:
            convert(key, key.default)
        except ConfigError as error:
            raise ConfigError(f"{group}={cls.kind}: the default of {error}") from None
    return keys


@functools.cache
def all_keys() -> Mapping[str, Key]:
    """Every key that some member has; of keys that several members share, the first one."""
    found = dict(fixed_keys())
    for group, classes in groups.CLASSES.items():
        for cls in classes:
            for name, key in keys_of_choice(group, cls.kind).items():
                found.setdefault(name, key)
    return found


def find_key(name: str, own_keys: Mapping[str, Key] = types.MappingProxyType({})) -> Key:
    """The key of this name, whatever is chosen of the members. Raises ConfigError for a name that none has.

    `own_keys` are those of classes of one's own that may be chosen too.
    """
    known = {**all_keys(), **own_keys}
    name = SHORT.get(name, name)
    if name in known:
        return known[name]
    group, _, rest = name.partition(".")
    if rest and group in groups.CLASSES:
        raise _unknown_field(name, known)
    inside = [key for key in known if key.startswith(f"{name}.")]
    if inside:
        raise ConfigError(f"'{name}' is not a key itself; its keys are {', '.join(inside)} {SEE_HELP}")
    raise ConfigError(f"unknown key '{name}'{_nearest(name, [*known, *groups.MEANINGS])} {SEE_HELP}")


def _unknown_field(name: str, known: Mapping[str, Key]) -> ConfigError:
    """What is said to a key of a group that no choice has; `known` holds the keys among which the nearest is looked for."""
    group, _, rest = name.partition(".")
    own = [key for key in known if key.startswith(f"{group}.")]
    meant = [key for key in own if known[key].meaning == rest.replace("_", " ")]
    fields = [key.removeprefix(f"{group}.") for key in own]
    hint = f"; did you mean '{meant[0]}'?" if meant else did_you_mean(rest, fields)
    return ConfigError(f"unknown key '{name}'{hint} (keys: {', '.join(own) or 'none'})")


def typed_key(name: str) -> Key:
    """The key of this name as far as it is known while a command is read; raises ConfigError where no choice can have it.

    A field of a group that no member has may be one of a class of one's own: it takes any value until the choice is known.
    """
    group, _, field = name.partition(".")
    if name not in all_keys() and group in groups.CLASSES and field.isidentifier():
        return Key(name, Any, None, "")
    return find_key(name)


def find_choice_key(name: str, kinds: Mapping[str, str]) -> Key:
    """The key of this name where `kinds` says which kind of choice each group has.

    Raises ConfigError where no choice, or only another one, has it: loss.delta while the loss is mse.
    """
    group = name.partition(".")[0]
    if group not in groups.CLASSES or name == group:
        return find_key(name)
    own = keys_of_choice(group, kinds[group])
    if name in own:
        return own[name]
    if name not in all_keys():
        raise _unknown_field(name, own if is_written_out(kinds[group]) else all_keys())
    having = [cls.kind for cls in groups.CLASSES[group] if name in keys_of_choice(group, cls.kind)]
    owners = [member for kind in having for member in groups.members_of_kind(group, kind)]
    taken = " or ".join(groups.members_of_kind(group, kinds[group]))
    allowed = f"keys: {', '.join(own)}" if own else f"{group}={taken} has no keys"
    raise ConfigError(
        f"'{name}' does not apply: {group}={taken} has no '{name.partition('.')[2]}', only "
        f"{' and '.join(f'{group}={owner}' for owner in owners)} ({allowed})"
    )


def _nearest(name: str, known: Collection[str]) -> str:
    """did-you-mean that also knows a key by its last word (lr), its meaning (learning_rate), its name elsewhere (gamma)."""
    if name in ELSEWHERE:
        return f"; did you mean '{ELSEWHERE[name]}'?"
    ending = [key for key in known if key.endswith(f".{name}")]
    meant = [key.name for key in all_keys().values() if key.meaning == name.replace("_", " ")]
    for candidates in (ending, meant):
        if candidates:
            return f"; did you mean {' or '.join(repr(key) for key in candidates)}?"
    return did_you_mean(name, known)


def convert(key: Key, value: Any) -> Any:
    """`value` as exactly the type that `key` declares; raises ConfigError where that would change it."""
    if (value is None and key.is_optional) or key.hint is Any:
        return value
    if key.is_list:
        return _convert_list(key, value)
    return _convert_one(key, key.plain_hint, value)


def _convert_list(key: Key, value: Any) -> tuple[Any, ...]:
    element = typing.get_args(key.plain_hint)[0]
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{key.name} is a list: write {key.name}=[{show(value)}]")
    return tuple(_convert_one(key, element, one) for one in value)


def _convert_one(key: Key, hint: Any, value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is str and (isinstance(value, str) or is_number):
        text = str(value)
        if not text:
            raise ConfigError(f"{key.name}= has no value")
        return check_choice(typed(key.name), text, key.allowed) if key.allowed else text
    if hint is bool and isinstance(value, bool):
        return value
    if hint is float and is_number and abs(value) <= sys.float_info.max:
        # One zero for 0.0, -0.0 and denormals, which this comparison takes alike whether or not the process flushes them.
        return 0.0 if abs(value) < sys.float_info.min else float(value)
    if hint is int and is_number and abs(value) <= LARGEST and value == int(value):
        return int(value)
    too_large = (
        f" (at most {LARGEST})" if hint is int and isinstance(value, int) and not isinstance(value, bool) else ""
    )
    raise ConfigError(f"{key.name} must be {wanted(key)}{too_large}; got {show(value)}")


def wanted(key: Key) -> str:
    """What may stand behind a key, in words: "a whole number or null"."""
    hint = typing.get_args(key.plain_hint)[0] if key.is_list else key.plain_hint
    words = {float: "a finite number", int: "a whole number", bool: "true or false", str: "a text"}.get(hint, "a value")
    if key.is_list:
        words = f"a [list], each {words}"
    return words + (" or null" if key.is_optional else "")


def show(value: Any) -> str:
    """A value as it is typed on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value == value and abs(value) < 1e15 and value == int(value):
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(show, value))}]"
    return str(value)
