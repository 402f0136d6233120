"""A device that does not exist: tensors on it hold their numbers on the CPU and refuse company from the CPU, as a GPU's do.

`with Elsewhere():` makes torch.device("meta") that device. What a computation would do on a GPU in one respect can be seen with it on
any machine: that it never mixes devices (tensors of no axes may, elementwise), makes its own tensors where those that it was given lie, and
moves none away but as Python numbers. Whether a GPU has all the operations is another question.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
COPY = torch.ops.aten.copy_.default
JOINING = (torch.ops.aten.cat.default, torch.ops.aten.stack.default)


class Held(Tensor):
    """A tensor that says that it is on DEVICE; `held` has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "Held":
        self = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        self.held = held
        return self  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        return self.held.tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


class Elsewhere(TorchDispatchMode):
    """Inside, what is made on DEVICE is Held."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation. Raises RuntimeError where it mixes devices."""
    tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
    held = [each for each in tensors if isinstance(each, Held)]
    here = [each for each in tensors if not isinstance(each, Held)]
    moves_away = held and (
        kwargs.get("device", DEVICE) != DEVICE or (func is COPY and not isinstance(tensors[0], Held))
    )
    if moves_away:
        raise RuntimeError(f"{func} moves a tensor away from its device")
    if held and func is not COPY and any(each.ndim > 0 or func in JOINING for each in here):
        raise RuntimeError(f"{func} of tensors on two devices")
    is_here = kwargs.get("device", DEVICE if held else torch.device("cpu")) != DEVICE
    if kwargs.get("device") == DEVICE:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    inner = [each.held for each in held]

    def unwrapped(value: Any) -> Any:
        return value.held if isinstance(value, Held) else value

    def wrapped(value: Any) -> Any:
        if is_here or not isinstance(value, Tensor):
            return value
        own = [outer for outer, each in zip(held, inner, strict=True) if each is value]
        return own[0] if own else Held(value)

    return tree_map(wrapped, func(*tree_map(unwrapped, args), **tree_map(unwrapped, kwargs)))
