"""Ctrl-C in a command: it ends without a traceback from its first moment on, and is told from code that raises KeyboardInterrupt itself.

Only commands come here: a program that imports rlbench keeps its own signals. Never: decides how training is stopped, which
`rlbench.runner.pool` does with a commit.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rlbench.errors import EXIT_INTERRUPTED

_pressed = False


def is_command(words: list[str]) -> bool:
    """Whether the words of a process (`sys.orig_argv`) are `python -m rlbench...`, or the console script."""
    if "-m" in words[1:]:
        return (
            words[words.index("-m", 1) + 1 :][:1] != [] and words[words.index("-m", 1) + 1].split(".")[0] == "rlbench"
        )
    return any(os.path.basename(word) == "rlbench" for word in words[:2])


def leave_at_once() -> None:
    """Until the command has begun, end the process: there is nothing to save, and an import that is cut short ends in a traceback."""

    def leave(number: int, frame: FrameType | None) -> None:
        os._exit(EXIT_INTERRUPTED)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, leave)


@contextmanager
def watched() -> Iterator[None]:
    """Take note of Ctrl-C while a command runs. Python gives signals to the main thread only: elsewhere nothing changes."""
    global _pressed
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, hook = signal.signal(signal.SIGINT, _note), sys.unraisablehook
    try:
        yield
    finally:
        _pressed = False
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)


def is_pressed() -> bool:
    """Whether Ctrl-C has come since the command began."""
    return _pressed


def is_from_keyboard(error: BaseException) -> bool:
    """Whether this is a KeyboardInterrupt of the user, and not one that somebody's code raises by itself."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    handler = signal.getsignal(signal.SIGINT)
    return handler is not signal.SIG_IGN and (_pressed or handler is not _note)


def _note(number: int, frame: FrameType | None) -> None:
    global _pressed
    _pressed = True
    sys.unraisablehook = lambda _: None  # what is torn down halfway has nothing to say
    raise KeyboardInterrupt
