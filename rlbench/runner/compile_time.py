"""How long the compiler takes, seen from the process that waits for it, and how long it took the last time on this machine.

In: what `rlbench.exact.waiting` tells. Out: a word when it begins, seconds, and a note of them in the compiler's cache folder, beside what
makes the next time shorter. Never: compiles, or changes what is compiled.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NOTE = "rlbench-compile-seconds.json"


@dataclass(frozen=True)
class Compiling:
    """A worker's compiler has begun for the first time; how long the last cohort took, None where nobody knows."""

    last_seconds: float | None

    def __str__(self) -> str:
        last = "" if self.last_seconds is None else f" (the last time it took {self.last_seconds:.0f} s)"
        return f"compiling for this machine{last}; later commands find most of it in the cache"


class CompileTime:
    """The seconds that this process has waited for the compiler."""

    def __init__(self, say: Callable[[Compiling], None], folder: Path) -> None:
        self.seconds = self._before = 0.0
        self._say, self._note, self._began, self._told = say, folder / NOTE, 0.0, False

    def begin_cohort(self) -> None:
        """What is noted is the wait of one cohort: an experiment has many, and the next command waits for its first."""
        self._before = self.seconds

    def begin(self) -> None:
        self._began = time.monotonic()
        if not self._told:
            self._told = True
            self._say(Compiling(self._last()))

    def end(self) -> None:
        self.seconds += time.monotonic() - self._began
        with suppress(OSError):  # a note for the next time, and no more than that
            staged = self._note.with_suffix(f".{os.getpid()}")
            staged.write_text(json.dumps({"seconds": round(self.seconds - self._before, 1)}))
            staged.replace(self._note)

    def _last(self) -> float | None:
        try:
            return float(json.loads(self._note.read_text())["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def watch_compiler(say: Callable[[Compiling], None]) -> CompileTime:
    """Begin to watch the compilers of this process; where nothing is compiled, nothing is ever said."""
    from rlbench.exact.building import cache_folder
    from rlbench.exact.waiting import listen

    watched = CompileTime(say, cache_folder())
    listen(watched.begin, watched.end)
    return watched
