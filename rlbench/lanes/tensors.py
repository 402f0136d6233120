"""What the state of lanes is: tensors by name, each with leading axis lanes; lists of tensors are numbered `name.0`, `name.1`, ..."""

from collections.abc import Sequence

from rlbench.deferred import Tensor

Tensors = dict[str, Tensor]


def numbered(prefix: str, tensors: Sequence[Tensor]) -> Tensors:
    """The tensors as `prefix.0`, `prefix.1`, ..."""
    return {f"{prefix}.{number}": tensor for number, tensor in enumerate(tensors)}


def copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of the same numbers, in memory of their own."""
    return [tensor.clone() for tensor in tensors]


def group(tensors: Tensors, prefix: str) -> list[Tensor]:
    """The tensors `prefix.0`, `prefix.1`, ... in order."""
    found: list[Tensor] = []
    while f"{prefix}.{len(found)}" in tensors:
        found.append(tensors[f"{prefix}.{len(found)}"])
    return found


def named(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors `prefix.name` by name."""
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}
