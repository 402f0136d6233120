"""A module that is a command and, from Python, a function: `rlbench.run` is both `python -m rlbench.run` and `rlbench.run(...)`."""

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def make_callable(module: str, function: Callable[..., Any]) -> None:
    """Make a loaded module callable as this function, with its signature. For `help` it also has to name it in `__all__`."""
    target: Any = sys.modules[module]
    target.__class__ = type("CallableModule", (ModuleType,), {"__call__": staticmethod(function)})
    target.__signature__ = inspect.signature(function)  # of a method without its first argument otherwise
