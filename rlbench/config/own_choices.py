"""Choices of one's own: `module:Class` as a class that the engine can train with.

In: the text that was typed, or the class of a `Variant` made in Python. Out: the class, checked, or one `ConfigError` that says what
is wrong with it. Modules are imported as environments are: from the current folder, or wherever Python finds them.
"""

import dataclasses
import functools
import importlib
import sys
import types
import typing
from typing import Any

from rlbench.config.sources import source_digest
from rlbench.errors import ConfigError, did_you_mean, first_line
from rlbench.interrupts import is_from_keyboard
from rlbench.lanes.choices import bases
from rlbench.lanes.choices.choice import Choice, check
from rlbench.lanes.choices.registry import CLASSES, bases_of, is_own
from rlbench.lanes.choices.variant import Variant

FORM = "a class of your own is written module:Class, with a module on the Python path"
RESERVED = ("kind", "source")  # what a specification says of a choice beside its fields
_PLAIN = (bool, int, float, str)


def is_written_out(name: str) -> bool:
    """Whether a member's name is `module:Class`."""
    return ":" in name


def class_of(group: str, kind: Any) -> type[Choice]:
    """The class of this kind in a group: a member's, or one's own. Raises ConfigError where there is none."""
    kinds = {cls.kind: cls for cls in CLASSES[group]}
    if kind in kinds:
        return kinds[kind]
    if not is_written_out(str(kind)):
        raise ConfigError(f"unknown kind of {group} {kind!r} (one of: {', '.join(kinds)})")
    return load(group, str(kind))


def load(group: str, name: str) -> type[Choice]:
    """The class that `name` means, `module:Class`, as a choice of the group. Raises ConfigError, one line, for anything else."""
    module_name, _, class_name = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise ConfigError(f"{group}={name}: {FORM}")
    module = _imported(group, name, module_name)
    found = getattr(module, class_name, None)
    if found is None:
        classes = [one for one, value in vars(module).items() if isinstance(value, type) and issubclass(value, Choice)]
        raise ConfigError(
            f"{group}={name}: module '{module_name}' has no '{class_name}'{did_you_mean(class_name, classes)}"
        )
    if not isinstance(found, type):
        raise ConfigError(f"{group}={name} is no {group}: it is not a class")
    check_class(group, found)
    return found


def group_of(name: str) -> tuple[str, type[Choice]]:
    """The group and the class that `name` means, `module:Class`. Raises ConfigError, one line, for anything else."""
    if not is_written_out(name):
        raise ConfigError(f"choice={name}: {FORM}")
    for group in CLASSES:
        try:
            return group, load(group, name)
        except ConfigError as error:
            if f" is no {group}: it has to derive" not in str(error):
                raise ConfigError(str(error).replace(f"{group}={name}", f"choice={name}", 1)) from None
    bases_ = ", ".join(sorted({_path(base) for group in CLASSES for base in bases_of(group)}))
    raise ConfigError(f"choice={name} is a choice of no group: it has to derive from one of {bases_}")


def _imported(group: str, name: str, module_name: str) -> types.ModuleType:
    try:
        return importlib.import_module(module_name)
    except BaseException as error:  # whatever the module's own code raises
        if is_from_keyboard(error):
            raise
        told = f"{type(error).__name__}: {first_line(error)}" if str(error).strip() else type(error).__name__
        raise ConfigError(f"{group}={name}: module '{module_name}' does not import: {told}; {FORM}") from None


def check_class(group: str, cls: type) -> None:
    """Raise ConfigError, one line, where this class is no choice of the group that the engine can train with."""
    told = f"{group}={cls.__module__}:{cls.__qualname__}"
    if not issubclass(cls, bases_of(group)):
        raise ConfigError(f"{told} is no {group}: it has to derive from {' or '.join(map(_path, bases_of(group)))}")
    own: Any = cls  # for mypy, to which a class of choices is not hashable
    problem = (_home_problem(own) or _problem(own)) if is_own(own) else ""
    if problem:
        raise ConfigError(f"{told}: {problem}")


def _path(base: type[Choice]) -> str:
    """Where a base is imported from."""
    return f"rlbench.{base.__name__}" if base.__module__ == bases.__name__ else f"{base.__module__}.{base.__name__}"


def check_choices(variant: Variant) -> None:
    """Raise ConfigError, one line, where a group of a variant holds what is no choice of it. Values are not looked at."""
    for group in CLASSES:
        choice = getattr(variant, group)
        if not isinstance(choice, Choice):
            raise ConfigError(f"{group} must be a choice such as {getattr(Variant(), group)!r}; got {choice!r}")
        check_class(group, type(choice))


def _home_problem(cls: type[Choice]) -> str:
    """Why a worker process could not import a class; asked each time, because a module may have been loaded again."""
    if cls.__module__ == "__main__":
        return "it is in the script that runs, which worker processes cannot import: move it into a module of its own"
    if getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is not cls:
        return (
            f"it is not what '{cls.__module__}' has as '{cls.__qualname__}': define it at the top of a module, and take it from"
            " there again when that was loaded again"
        )
    return ""


@functools.cache
def _problem(cls: type[Choice]) -> str:
    """What keeps a class of the right base from being a choice; empty where nothing does."""
    params = vars(cls).get("__dataclass_params__")
    if params is None or not params.frozen:
        return "it is not a frozen dataclass: write @dataclasses.dataclass(frozen=True) above the class"
    if cls.kind != f"{cls.__module__}:{cls.__qualname__}":
        return f"it calls itself '{cls.kind}': leave `kind` out, it is {cls.__module__}:{cls.__qualname__}"
    renamed = next(
        (name for name in ("q_values", "forward") if issubclass(cls, bases.Network) and name in vars(cls)), None
    )
    if renamed is not None:
        return f"it defines {renamed}, which nobody calls: define outputs(params, statistics, obs, role)"
    unknown = [name for name in cls.columns if name not in bases.STEP_COLUMNS] if issubclass(cls, bases.Returns) else []
    if unknown:
        return f"it asks for a column '{unknown[0]}' of rows; there is {', '.join(bases.STEP_COLUMNS)} beside the usual ones"
    missing = [name for name in dir(cls) if getattr(getattr(cls, name), "__isabstractmethod__", False)]
    if missing:
        return f"it does not define {', '.join(missing)}"
    try:
        hints = typing.get_type_hints(cls)
    except Exception as error:  # whatever an annotation raises
        return f"its annotations cannot be read: {first_line(error)}"
    fields = {field.name: field for field in dataclasses.fields(cls)}
    absent = [name for name, hint in hints.items() if name not in fields and not _is_of_the_class(hint)]
    if absent:
        return f"it has no field '{absent[0]}', which the engine asks for"
    for name, field in fields.items():
        problem = _field_problem(field, hints[name])
        if problem:
            return f"field '{name}' {problem}"
    try:
        check(cls())
    except Exception as error:  # whatever its own code raises
        return f"its defaults make none: {first_line(error)}"
    try:
        source_digest(cls)
    except (OSError, TypeError, SyntaxError) as error:
        return f"its source cannot be read, so that changed code could not be told from it: {first_line(error)}"
    return ""


def _field_problem(field: "dataclasses.Field[Any]", hint: Any) -> str:
    role, default = field.metadata.get("role"), field.default
    if field.name in RESERVED:
        return f"has a name that a specification needs for itself ({', '.join(RESERVED)})"
    if role is None:
        return "has no role: declare it by number(default, meaning) or structural(default, meaning) of rlbench"
    if not field.init:
        return "must be an argument of the class"
    plain = [one for one in typing.get_args(hint) if one is not types.NoneType] if _is_optional(hint) else [hint]
    element = typing.get_args(plain[0])[:1] if typing.get_origin(plain[0]) is tuple else tuple(plain[:1])
    is_list = typing.get_origin(plain[0]) is tuple
    if (
        len(plain) > 1
        or not element
        or element[0] not in _PLAIN
        or (is_list and typing.get_args(plain[0])[1:] != (...,))
    ):
        return "has a type that is not supported: bool, int, float, str, tuple[int, ...] or the like, or one of them | None"
    if role == "number" and (is_list or plain[0] is str):
        return "is a number and may not be a text or a list: declare it by structural(...)"
    if default is None and not _is_optional(hint):
        return "has the default None: write its type as ... | None"
    return ""


def _is_of_the_class(hint: Any) -> bool:
    return hint is typing.ClassVar or typing.get_origin(hint) is typing.ClassVar


def _is_optional(hint: Any) -> bool:
    return types.NoneType in typing.get_args(hint)
