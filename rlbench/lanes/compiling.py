"""How a computation becomes a fast one on this machine, and the name of the platform on which bits can be compared.

Compiled and eager results differ in their last bits, so the choice is made once per process and is part of the platform's name.
Nothing falls back silently: passing the recompilation limit is an error, and a machine without a C++ compiler runs eagerly, named so.
"""

import functools
import os
import platform as host
import shutil
import types
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., Any])


def prepare_process() -> None:
    """One torch thread (bits may depend on their number; processes scale better), and no denormals (slow in optimiser state)."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    import torch._dynamo.config as dynamo

    dynamo.fail_on_recompile_limit_hit = True


def can_compile() -> bool:
    """Whether torch.compile has a C++ compiler here; `RLBENCH_COMPILE=0` answers no."""
    if os.environ.get("RLBENCH_COMPILE", "1") == "0":
        return False
    return shutil.which(os.environ.get("CXX", "g++")) is not None or shutil.which("clang++") is not None


def compiled(function: F, checked: tuple[str, ...] = ()) -> F:
    """A copy of the function as one compiled graph with fixed shapes, or the function itself where nothing can be compiled.

    The caller promises to call it with arguments of one structure only, and so asks for one copy per cohort and width. Of the compiler's
    checks only those on the arguments named in `checked` stay: all of them on each call cost as much as a small network's update.
    """
    if not can_compile():
        return function
    own = types.FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    own.__kwdefaults__ = function.__kwdefaults__
    names = {f"L['{name}']" for name in checked}

    def keep(guards: Sequence[Any]) -> list[bool]:
        return [guard.name in names and guard.guard_type == "TENSOR_MATCH" for guard in guards]

    return torch.compile(own, dynamic=False, fullgraph=True, options={"guard_filter_fn": keep})  # type: ignore[return-value]


@functools.cache
def platform_name() -> str:
    """Device, CPU capability, machine, torch version, compiled or eager: digests are comparable where this is equal."""
    capability = torch.backends.cpu.get_cpu_capability().lower()
    return f"cpu-{host.machine()}-{capability}-torch{torch.__version__}-{'compiled' if can_compile() else 'eager'}"
