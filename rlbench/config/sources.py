"""The code of a choice of one's own, as a digest: changed code is another run.

In: a class of choices. Out: what a specification says of its code beside its fields, and whether that is still so. Nothing is said of
classes that come with rlbench, whose code the engine's version stands for.
"""

import ast
import functools
import hashlib
import inspect
import sys
from collections.abc import Mapping
from typing import Any

from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import Choice
from rlbench.lanes.choices.registry import CLASSES, is_own
from rlbench.lanes.choices.variant import Variant

SOURCE_DIGITS = 16


class ChangedCodeError(ConfigError):
    """A run was made by code that is not here any more."""


def source_digest(cls: type[Choice]) -> str:
    """A digest of the modules that define a class and those it derives from, as far as they are somebody's own.

    Comments, blank lines and docstrings do not count. What those modules import is not looked at. Raises OSError, TypeError or
    SyntaxError where the source cannot be read.
    """
    own: Any = cls  # for mypy, to which a class of choices is not hashable
    return _digest(own)


@functools.cache
def _digest(cls: type[Choice]) -> str:
    """Read once for each class, when it is first asked for: the code that this process runs, and not what the file is later."""
    modules = {base.__module__ for base in cls.__mro__ if _is_own_module(base.__module__)}
    told = [(name, _told(ast.parse(inspect.getsource(sys.modules[name])))) for name in sorted(modules)]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:SOURCE_DIGITS]


def _is_own_module(module: str) -> bool:
    package = module.partition(".")[0]
    return package != "rlbench" and package not in sys.stdlib_module_names


def _told(node: Any) -> Any:
    """A syntax tree as nested tuples, without docstrings and without what is empty, which differs between versions of Python."""
    if isinstance(node, list):
        return tuple(_told(one) for one in node)
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    if _has_docstring(node):
        fields["body"] = fields["body"][1:]
    return (type(node).__name__, *((name, _told(value)) for name, value in fields.items() if value not in (None, [])))


def _has_docstring(node: ast.AST) -> bool:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None


def source_of(choice: Choice) -> dict[str, str]:
    """What a specification says of the code of a choice: nothing where it comes with rlbench."""
    return {"source": source_digest(type(choice))} if is_own(type(choice)) else {}


def has_own_choice(variant: Variant) -> bool:
    """Whether a variant has a choice that does not come with rlbench."""
    return any(is_own(type(getattr(variant, group))) for group in CLASSES)


def check_source(group: str, cls: type[Choice], data: Mapping[str, Any]) -> None:
    """Raise ChangedCodeError where the class of a choice is not, any more, the one that these data describe."""
    if not is_own(cls):
        return
    if cls.kind != data["kind"]:
        raise ChangedCodeError(f"{group} {data['kind']} is {cls.kind} by now")
    if "source" in data and data["source"] != source_digest(cls):
        raise ChangedCodeError(
            f"{group} {cls.kind} has changed since: its source has the digest {source_digest(cls)}, and had {data['source']}"
        )
