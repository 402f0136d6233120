"""Which module of the package imports which, read from the sources by `ast`; nothing is imported."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "rlbench"
NAME = PACKAGE.name

Graph = Mapping[str, set[str]]
# What a method for people offers and imports when it is called; nothing below needs it.
ASKED_FOR = {"rlbench.store.results": {"rlbench.config", "rlbench.config.run_of", "rlbench.playing.choosing"}}


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Dotted name -> syntax tree of every module."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def _nodes(tree: ast.AST, *, typing: bool) -> Iterator[ast.AST]:
    """Every node, those inside functions too; `if TYPE_CHECKING:` only where that is asked for."""
    for node in ast.iter_child_nodes(tree):
        is_typing = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        if typing or not is_typing:
            yield node
            yield from _nodes(node, typing=typing)


def imported(tree: ast.Module, *, typing: bool = False) -> set[str]:
    """The dotted names that a module imports; of `from a import b` both `a` and `a.b`, which may be a module."""
    found: set[str] = set()
    for node in _nodes(tree, typing=typing):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@functools.cache
def graph(*, typing: bool = False) -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports. A package that is only passed through does not count."""
    trees = modules()
    found = {}
    for name, tree in trees.items():
        own = {one for one in imported(tree, typing=typing) if one in trees and one != name} - ASKED_FOR.get(
            name, set()
        )
        found[name] = {one for one in own if not any(other.startswith(f"{one}.") for other in own)}
    return found


def unit(module: str) -> str:
    """The package that a module is in, or itself where it stands at the top."""
    return ".".join(module.split(".")[1:2])


def cycles(edges: Graph) -> list[list[str]]:
    """The groups of modules that lead back to themselves (strongly connected components, Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            place = stack.index(node)
            group, stack[place:] = sorted(stack[place:]), []
            if len(group) > 1:
                found.append(group)

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found
