"""The launcher that a command asks for, of those of `rlbench.config.launchers`.

Importing this imports neither torch nor what a launcher needs; one that is taken is imported when it is made.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rlbench.config.launchers import LAUNCHERS, LauncherSettings
from rlbench.errors import ConfigError
from rlbench.runner.worker import Launcher


class LauncherRequest(Protocol):
    """What a command says of where its workers run, and how many; None for as many as there is room for."""

    @property
    def launcher(self) -> LauncherSettings: ...
    @property
    def workers(self) -> int | None: ...


def new_launcher(asked: LauncherRequest) -> Launcher:
    """The launcher that a command asks for, not yet checked. Raises ConfigError where what it needs is not installed."""
    kind = asked.launcher.kind
    where, package = LAUNCHERS[kind]
    if package is not None and importlib.util.find_spec(package) is None:
        raise ConfigError(f"launcher={kind} needs {package}: pip install 'rlbench[{kind}]'")
    module, _, name = where.partition(":")
    launcher: Launcher = getattr(importlib.import_module(module), name)(asked.launcher, asked.workers)
    return launcher


@contextmanager
def launched(asked: LauncherRequest) -> Iterator[Launcher]:
    """The launcher that a command asks for, checked, for as long as it is needed. Raises ConfigError where there can be no workers."""
    launcher = new_launcher(asked)
    try:
        launcher.check()
        yield launcher
    finally:
        launcher.close()
