"""torch, imported when something is first asked of it: it takes seconds, and a help text, a plan or a table needs none of it.

A choice is a setting and its behaviour in one class. Modules that define choices take `torch` from here, so that the settings are
there at once and the behaviour when training begins. `Tensor` is a name for annotations. Modules that only train import torch itself.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any


class _Deferred(ModuleType):
    """A module that is imported when its first attribute is asked for."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, value)  # found at once from now on: a step asks for dozens
        return value


class _TensorType(type):
    """Makes `isinstance(x, Tensor)` mean what it says."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, torch.Tensor)


if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn
else:
    torch, nn, F = _Deferred("torch"), _Deferred("torch.nn"), _Deferred("torch.nn.functional")

    class Tensor(metaclass=_TensorType):
        """torch.Tensor, for annotations."""


__all__ = ["F", "Tensor", "nn", "torch"]
