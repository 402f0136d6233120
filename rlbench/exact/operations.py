"""Which operations of a traced computation have the same bits everywhere: those that round once, as IEEE 754 says, or not at all.

In goes the graph of a computation with its derivatives, as ATen operations. What is not listed is refused, with what to use instead.
"""

import re
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.utils._python_dispatch import TorchDispatchMode

# One rounding, or none. Of an addition with `alpha`, see `_is_exact`.
ELEMENTWISE = """
abs add bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil clamp clamp_max clamp_min div eq floor ge
gt isfinite isinf isnan le logical_and logical_not logical_or logical_xor lt maximum minimum mul ne neg reciprocal relu round rsub sgn sign
sub threshold_backward trunc where __and__ __or__ __lshift__ __rshift__ __xor__ masked_fill
"""
MOVING = """
_to_copy _unsafe_view alias argmax argmin as_strided cat clone constant_pad_nd copy copy_ detach empty empty_like expand
fill fill_ flip full full_like gather index index_copy_ index_select item lift_fresh_copy max.dim min.dim narrow new_empty new_full new_ones
new_zeros ones ones_like permute repeat reshape roll scalar_tensor scatter.value select select_backward select_scatter slice
slice_backward slice_scatter split split_with_sizes squeeze stack t transpose unbind unsqueeze view zeros zeros_like
amax amin any all max min to
"""
# Exact on whole numbers only, in what goes in and in what comes out.
WHOLE = "sum cumsum remainder prod bincount"
REPLACEMENTS = {
    "sqrt": "exact.sqrt", "exp": "exact.exp", "log": "exact.log", "pow": "exact.power", "tanh": "exact.tanh", "sin": "exact.sine",
    "cos": "exact.cosine", "sum": "exact.sums", "mean": "exact.sums and a division", "lerp": "exact.lerp",
    "_softmax": "exact.softmax", "logsumexp": "exact.log_sum_exp", "_log_softmax": "x - exact.spread(exact.log_sum_exp(x), x.shape[-1])",
    "bmm": "exact.affine", "mm": "exact.affine", "addmm": "exact.affine", "baddbmm": "exact.affine", "scatter_add": "exact.pick",
}  # fmt: skip
# By the operation of a derivative, where the operation itself is exact.
OF_DERIVATIVES = {
    "sum": "exact.spread where an axis is stretched", "scatter_add": "exact.pick", "index_put": "exact.pick", "index_add": "exact.pick",
    "embedding_dense_backward": "exact.pick",
}  # fmt: skip

_ALLOWED = frozenset((ELEMENTWISE + MOVING).split())
_WHOLE = frozenset(WHOLE.split())
_FLOATS = (torch.float32, torch.float64)
_FRAME = re.compile(r'  File "(.+)", line (\d+)')


@dataclass(frozen=True)
class _Place:
    """The line of Python that asked for an operation, or for the one whose derivative it is; empty where there is none."""

    line: str
    is_derivative: bool

    def __str__(self) -> str:
        return f" ({'in the derivative of ' * self.is_derivative}{self.line})" if self.line else ""


class _Places(TorchDispatchMode):
    """Notes which line of Python first asked for each operation with results of a dtype, outside of torch and this package."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[Any, _Place] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        key = func, getattr(result, "dtype", None)
        if key not in self.of:
            self.of[key] = _place()
        return result


def _place() -> _Place:
    """Where the operation of now stands; one that autograd itself asks for, where the operation stands whose derivative it is."""
    node: Any = torch._C._current_autograd_node()
    stack = traceback.format_stack()
    if node is None:
        return _Place(_last_line(stack), is_derivative=False)
    engine = max((place for place, one in enumerate(stack) if "/torch/autograd/" in one), default=-1)
    own = _last_line(stack[engine + 1 :])  # within a `backward` of somebody's own
    return _Place(own, False) if own else _Place(_last_line(node.metadata.get("traceback_", [])), True)


def _last_line(stack: Sequence[str]) -> str:
    frames = [frame for one in stack if (frame := _FRAME.match(one))]
    lines = [f"{frame[1]}, line {frame[2]}" for frame in frames if "/torch/" not in frame[1] and not _is_own(frame[1])]
    return lines[-1] if lines else ""


def _is_own(filename: str) -> bool:
    return filename.startswith(__file__.removesuffix("operations.py"))


def traced(function: Callable[..., list[Tensor]], inputs: Sequence[Tensor]) -> GraphModule:
    """The operations of a function of tensors, derivatives included; nothing is computed and no input is changed."""
    from torch.fx.experimental.proxy_tensor import make_fx  # the compiler takes more than a second to import

    places = _Places()

    def noted(*tensors: Tensor) -> list[Tensor]:
        # With this mode autograd remembers lines; of a `backward` that raises it would also print them.
        with torch.autograd.set_detect_anomaly(True, check_nan=False), places, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Error detected in")
            return function(*tensors)

    graph: GraphModule = make_fx(noted, tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)
    graph.meta["places"] = places.of
    return graph


def inexact(graph: GraphModule) -> Iterator[str]:
    """What in a traced computation may round differently elsewhere, a line each: what, what to use instead, and where it stands."""
    for node in graph.graph.nodes:
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload) or _is_exact(node):
            continue
        name = node.target.overloadpacket.__name__
        place = graph.meta["places"].get(
            (node.target, getattr(node.meta["val"], "dtype", None)), _Place("", is_derivative=False)
        )
        better = (OF_DERIVATIVES | REPLACEMENTS if not place.is_derivative else REPLACEMENTS | OF_DERIVATIVES).get(name)
        named, _, more = (better or "").partition(" ")
        instead = f": use {named} of rlbench{' ' * bool(more)}{more}" if better else ""
        yield f"torch.{name.strip('_')} may round differently elsewhere{instead}{place}"


def _is_exact(node: Node) -> bool:
    target = node.target
    assert isinstance(target, torch._ops.OpOverload)
    if target.namespace == "rlbench":
        return True
    if target.namespace not in ("aten", "prim"):
        return False
    name = _in_place_or_not(target)
    full = f"{name}.{target._overloadname}"
    dtypes = _dtypes(node)
    if not all(dtype in _FLOATS or not (dtype.is_floating_point or dtype.is_complex) for dtype in dtypes):
        return (
            False  # half precision is computed in float32 and rounded here and there, complex numbers in several steps
        )
    if name in ("add", "sub", "rsub") and (node.kwargs.get("alpha", 1) != 1 or len(node.args) > 2):
        return False
    if name == "round" and (len(node.args) > 1 or node.kwargs.get("decimals", 0) != 0):
        return False
    if name == "arange":  # a step of a tenth is added up in vectors, and multiplied elsewhere
        return all(float(value).is_integer() for value in node.args if isinstance(value, (int, float)))
    if name == "sort":  # equal numbers stand in any order, unless it is stable
        return node.kwargs.get("stable") is True
    if full == "scatter.src":  # of two numbers for one place, any may stay
        dim, index = node.args[1], node.args[2]
        return isinstance(index, Node) and bool(index.meta["val"].shape[dim] == 1)
    if name == "div" and node.kwargs.get("rounding_mode") is not None:
        return False
    if name == "pow":  # x * x, in every one of PyTorch's ways
        return target._overloadname == "Tensor_Scalar" and bool(node.args[1] == 2)
    if name in _WHOLE:
        return not any(dtype.is_floating_point for dtype in dtypes)
    return name in _ALLOWED or full in _ALLOWED


def _dtypes(node: Node) -> set[torch.dtype]:
    """Of all tensors that go into an operation or come out of it."""
    values: list[Any] = [one.meta.get("val") for one in (node, *node.all_input_nodes)]
    parts = [part for value in values for part in (value if isinstance(value, (list, tuple)) else [value])]
    return {part.dtype for part in parts if isinstance(part, Tensor)}


def _in_place_or_not(target: Any) -> str:
    """The name of an operation, without the underscore of one that changes its first argument."""
    name: str = target.overloadpacket.__name__
    return name if name in _ALLOWED or name.endswith("__") else name.removesuffix("_")
