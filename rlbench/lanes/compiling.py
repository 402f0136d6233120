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
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])


def prepare_process() -> None:
    """Make this process one in which bits can be compared. Call it before the first product of matrices, once.

    One torch thread (bits may depend on their number; processes scale better), no denormals (slow in optimiser state), and products
    whose bits do not depend on where in memory a matrix begins: MKL has them on request only, and hears it at its first call.
    Raises RuntimeError where products depend on the place in memory all the same, because MKL was used before.
    """
    instructions = "AVX512" if torch.backends.cpu.get_cpu_capability() == "AVX512" else "AVX2"
    os.environ["MKL_CBWR"] = f"{instructions},STRICT"
    if not products_are_reproducible():
        raise RuntimeError(
            "products of matrices depend on their place in memory: MKL was used in this process before rlbench could set it up"
        )
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if can_compile():  # the compiler takes more than a second to import
        import torch._dynamo.config as dynamo

        dynamo.fail_on_recompile_limit_hit = True


def products_are_reproducible() -> bool:
    """Whether a product of matrices of odd sizes has the same bits at eight places in memory."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(1, 24, 24, generator=generator), torch.randn(1, 24, 17, generator=generator)

    def at(offset: int, matrix: Tensor) -> Tensor:
        return torch.empty(matrix.numel() + 8)[offset : offset + matrix.numel()].view_as(matrix).copy_(matrix)

    expected = torch.bmm(left, right)
    return all(torch.equal(torch.bmm(at(offset, left), at(offset, right)), expected) for offset in range(8))


def can_compile() -> bool:
    """Whether torch.compile has a C++ compiler here; `RLBENCH_COMPILE=0` answers no."""
    if os.environ.get("RLBENCH_COMPILE", "1") == "0":
        return False
    return shutil.which(os.environ.get("CXX", "g++")) is not None or shutil.which("clang++") is not None


def compiled(function: F, checked: tuple[str, ...] = (), **options: int) -> F:
    """A copy of the function as one compiled graph with fixed shapes, or the function itself where nothing can be compiled.

    The caller promises to call it with arguments of one structure only, and so asks for one copy per cohort and width. Of the compiler's
    checks only those on the arguments named in `checked` stay, which may then have several shapes: all of them on each call cost as much
    as a small network's update. Elsewhere a tensor of another size is an error, and one of another dtype is misread. `options` are the
    compiler's own (torch._inductor.config).
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

    def keep(guards: Sequence[Any]) -> list[bool]:
        unchecked = set(checked) - {guard.name for guard in guards}
        if unchecked:  # a tensor of another shape would be taken for the first one
            raise RuntimeError(f"{function.__name__}: the compiler has no check of {', '.join(sorted(unchecked))}")
        return [guard.name in checked for guard in guards]

    return torch.compile(own, dynamic=False, fullgraph=True, options={"guard_filter_fn": keep, **options})  # type: ignore[return-value]


@functools.cache
def platform_name() -> str:
    """Device, CPU capability, machine, torch version, compiled or eager: digests are comparable where this is equal."""
    capability = torch.backends.cpu.get_cpu_capability().lower()
    return f"cpu-{host.machine()}-{capability}-torch{torch.__version__}-{'compiled' if can_compile() else 'eager'}"
