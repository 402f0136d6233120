"""Who is told that this process begins to wait for a compiler, and when it ends: the C++ compiler that builds the operators, or PyTorch's.

Never: compiles, or takes the time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[tuple[Callable[[], None], Callable[[], None]]] = []
_depth = 0


def listen(begin: Callable[[], None], end: Callable[[], None]) -> None:
    """From now on call `begin` whenever a wait begins, and `end` when it ends, or fails."""
    _listeners.append((begin, end))


@contextmanager
def waiting() -> Iterator[None]:
    """The compiler is at work in this context. One wait within another, operators built while a function is traced, are one."""
    global _depth
    _depth += 1
    try:
        if _depth == 1:
            for begin, _ in _listeners:
                begin()
        yield
    finally:
        _depth -= 1
        if _depth == 0:
            for _, end in _listeners:
                end()
