"""Findings that whoever runs a command has to hear of, however the command ends.

In: from whoever collects findings, a function that gives the lines which nobody has told yet and counts them as told. Out: all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Lines = Callable[[], list[str]]
_watches: list[list[Lines]] = []


def collects(lines: Lines) -> None:
    """From now on ask `lines` too."""
    for sources in _watches:
        sources.append(lines)


@contextmanager
def watching() -> Iterator[Lines]:
    """What is called in this context: it gives each line once that was found in it and has not been told."""
    sources: list[Lines] = []
    _watches.append(sources)
    try:
        yield lambda: list(dict.fromkeys(line for lines in sources for line in lines()))
    finally:
        _watches.remove(sources)
