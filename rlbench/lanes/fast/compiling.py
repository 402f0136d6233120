"""How a computation becomes a fast one on this machine.

A computation is traced with its derivatives into single operations, each of which is exact (see `rlbench.exact.operations`), and these are
compiled. So compiled code has the bits of the function itself, which runs where there is no C++ compiler. Nothing falls back silently.
"""

import dataclasses
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from rlbench.errors import ConfigError
from rlbench.exact import building
from rlbench.exact.compiler import compiler
from rlbench.exact.operations import inexact, traced
from rlbench.exact.waiting import waiting

# Vectors of the compiler, in bits, where PyTorch was told to use lesser instructions than the CPU has.
VECTOR_BITS = {"AVX512": 512, "AVX2": 256, "DEFAULT": 1}


def prepare_process() -> None:
    """Make this process one in which bits can be compared: call it before the first number is computed.

    One torch thread (processes scale better), and no denormals (slow in optimiser state), which is part of the arithmetic.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def can_compile() -> bool:
    """Whether there is a C++ compiler here; `RLBENCH_COMPILE=0` answers no."""
    return os.environ.get("RLBENCH_COMPILE", "1") != "0" and compiler() is not None


class Computation:
    """A function of tensors, compiled once for each shape of its arguments, or as it is where nothing can be compiled.

    Whatever of its arguments is not a tensor, or made of tensors by dicts, lists, tuples and dataclasses, is a constant: one computation
    must always be given the same ones. Tensors may be changed in place; what is returned shares no memory with an argument.
    `exact` says whether every operation must have the same bits everywhere. `options` are the compiler's own (torch._inductor.config).
    """

    def __init__(self, function: Callable[..., Any], *, exact: bool = True, **options: int) -> None:
        self.function, self.exact, self.options = function, exact, options
        self._programs: dict[Any, Any] = {}

    def bind(self, *fixed: Any) -> Callable[..., Any]:
        """The function with its first arguments given; the others are tensors, given at each call.

        The tensors of `fixed` stay where they are: looking them up at each call would cost as much as a small network's update.
        """
        if not can_compile():
            return self._eager(fixed)
        tensors = list(tensors_of(fixed))
        shapes = [(t.shape, t.stride(), t.dtype) for t in tensors]
        programs: dict[Any, _Program] = {}

        def call(*given: Tensor) -> Any:
            key = tuple((t.shape, t.dtype) for t in given)
            program = programs.get(key)
            if program is None:
                whole = (*shapes, *key)
                if whole not in self._programs:
                    with waiting():
                        self._programs[whole] = _Program(self, fixed, given)
                program = programs[key] = self._programs[whole]
            return program([*tensors, *(t.contiguous() for t in given)])

        return call

    def _eager(self, fixed: tuple[Any, ...]) -> Callable[..., Any]:
        def call(*given: Tensor) -> Any:
            if self.exact and os.environ.get("RLBENCH_CHECK_EXACT", "1") != "0":
                structure = tuple((t.shape, t.dtype) for t in tensors_of((fixed, given)))
                if structure not in self._programs:
                    check_exact(_flat(self.function, (*fixed, *given))[0])
                    self._programs[structure] = None
            return self.function(*fixed, *given)

        return call

    def __call__(self, *arguments: Any) -> Any:
        """Call it once."""
        return self.bind(*arguments)()


class _Program:
    """A computation compiled for arguments of one structure."""

    def __init__(self, computation: Computation, fixed: tuple[Any, ...], given: tuple[Tensor, ...]) -> None:
        graph, inputs, self._result = _flat(computation.function, (*fixed, *(t.contiguous() for t in given)))
        if computation.exact:
            check_exact(graph)
        for node in graph.graph.find_nodes(op="call_function", target=torch.ops.rlbench.sqrt.default):
            node.target = torch.ops.aten.sqrt.default  # compiled, it is the CPU's, and joins what is around it
        self._run = _compiled(graph, inputs, computation.options)

    def __call__(self, tensors: list[Tensor]) -> Any:
        return with_tensors(self._result, iter(self._run(tensors)))


def _flat(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[GraphModule, list[Tensor], Any]:
    """The function traced as one of a list of tensors; these tensors; and what it returned, with tensors of no meaning."""
    inputs, results = list(tensors_of(arguments)), []

    def flat(*tensors: Tensor) -> list[Tensor]:
        results.append(function(*with_tensors(arguments, iter(tensors))))
        return [t.clone() if any(t is one for one in tensors) else t for t in tensors_of(results[-1])]

    graph = traced(flat, inputs)
    return graph, inputs, results[-1]


def check_exact(graph: GraphModule) -> None:
    """Raise ConfigError, one line, where an operation of a traced function may round differently elsewhere."""
    found = next(inexact(graph), None)
    if found is not None:
        raise ConfigError(f"{found}; see rlbench.exact")


def _compiled(
    graph: GraphModule, inputs: Sequence[Tensor], options: dict[str, int]
) -> Callable[[list[Tensor]], Sequence[Tensor]]:
    from torch._functorch import config as functorch
    from torch._inductor import config as inductor
    from torch._inductor.compile_fx import compile_fx, compile_fx_inner

    constants = _lifted(graph)
    made: list[Callable[[list[Tensor]], Sequence[Tensor]]] = []

    def keep(inner: GraphModule, examples: Sequence[Tensor], **kwargs: Any) -> Any:
        if len(examples) != len(inputs) + len(constants):
            raise RuntimeError(f"the compiler left {len(examples)} of {len(inputs) + len(constants)} arguments")
        made.append(compile_fx_inner(inner, examples, **kwargs))
        return made[-1]

    # Calls from C++ and without checks of sizes: a fifth of the time of an update of one lane of 64-64.
    own = {
        "cpp_wrapper": True,
        "size_asserts": False,
        "cpp.simdlen": VECTOR_BITS.get(torch.backends.cpu.get_cpu_capability()) if _is_x86() else None,
        "cpp.cxx": (None, compiler() or "g++"),
        # What environment variables would change of the arithmetic.
        "cpp.enable_floating_point_contract_flag": "off",
        "cpp.enable_unsafe_math_opt_flag": False,
        "emulate_precision_casts": False,
    }
    if building.march() and hasattr(inductor.cpp, "march"):
        own["cpp.march"] = building.march()  # and not `native`: a cache may be shared by machines that differ
    # The cache of whole derivatives would answer without handing over what is called here: its callers cost 11 us a call.
    with functorch.patch(enable_autograd_cache=False):
        compile_fx(graph, [*inputs, *constants], inner_compile=keep, config_patches={**own, **options})
    (run,) = made
    return (lambda tensors: run([*tensors, *constants])) if constants else run


def _is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


def _lifted(graph: GraphModule) -> list[Tensor]:
    """The constant tensors of a graph, such as a renderer's tables, which from now on are its last arguments."""
    constants: dict[str, Node] = {}
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    for node in graph.graph.find_nodes(op="get_attr"):
        if node.target not in constants:
            with graph.graph.inserting_after(last):
                last = constants[node.target] = graph.graph.placeholder(f"constant_{len(constants)}")
            last.meta = dict(node.meta)
        node.replace_all_uses_with(constants[node.target])
        graph.graph.erase_node(node)
    graph.recompile()
    found = [getattr(graph, name) for name in constants]
    for name in constants:
        delattr(graph, name)
    return found


def tensors_of(value: Any) -> Iterator[Tensor]:
    """The tensors of a value made of dicts, lists, tuples and dataclasses, in order."""
    match value:
        case Tensor():
            yield value
        case dict():
            for part in value.values():
                yield from tensors_of(part)
        case list() | tuple():
            for part in value:
                yield from tensors_of(part)
        case _ if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                yield from tensors_of(getattr(value, field.name))


def with_tensors(value: Any, tensors: Iterator[Tensor]) -> Any:
    """The value with other tensors in place of its own, in the order of `tensors_of`."""
    match value:
        case Tensor():
            return next(tensors)
        case dict():
            return {name: with_tensors(part, tensors) for name, part in value.items()}
        case list() | tuple():
            return type(value)(with_tensors(part, tensors) for part in value)
        case _ if any(True for _ in tensors_of(value)):
            names = [field.name for field in dataclasses.fields(value)]
            return dataclasses.replace(value, **{name: with_tensors(getattr(value, name), tensors) for name in names})
    return value
