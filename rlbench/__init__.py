"""rlbench: which DQN variant is better, by how much, on what evidence?

`rlbench.run(variant, env, seeds, ...)` trains and returns results, `rlbench.load(path)` reads them, `rlbench.report(results)` compares;
`rlbench.Variant` and the choices that it is made of describe an algorithm; `rlbench.Loss` and the other bases, with `number` and
`structural`, make choices of your own.
The commands are those of `python -m rlbench --help`.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from rlbench.interrupts import is_command, leave_at_once

if TYPE_CHECKING:
    from rlbench.from_python import run
    from rlbench.inline import report
    from rlbench.lanes.choices.bases import (
        Clip,
        Estimator,
        Exploration,
        Loss,
        Network,
        Observation,
        Optimizer,
        Replay,
        Returns,
        Target,
        Validation,
    )
    from rlbench.lanes.choices.choice import number, structural
    from rlbench.lanes.choices.variant import Environment, Variant
    from rlbench.store import Results, load

    __version__: str

if is_command(sys.orig_argv):
    leave_at_once()

# Imported when first asked for: torch takes two seconds, and half of the commands do without it.
_HOMES = {
    "load": "rlbench.store",
    "Results": "rlbench.store",
    "Variant": "rlbench.lanes.choices.variant",
    "Environment": "rlbench.lanes.choices.variant",
    "number": "rlbench.lanes.choices.choice",
    "structural": "rlbench.lanes.choices.choice",
    **dict.fromkeys(
        (
            "Clip",
            "Estimator",
            "Exploration",
            "Loss",
            "Network",
            "Observation",
            "Optimizer",
            "Replay",
            "Returns",
            "Target",
            "Validation",
        ),
        "rlbench.lanes.choices.bases",
    ),
}

__all__ = [
    "Clip",
    "Environment",
    "Estimator",
    "Exploration",
    "Loss",
    "Network",
    "Observation",
    "Optimizer",
    "Replay",
    "Results",
    "Returns",
    "Target",
    "Validation",
    "Variant",
    "__version__",
    "load",
    "number",
    "report",
    "run",
    "structural",
]


def __getattr__(name: str) -> Any:
    if name in ("run", "report"):  # modules that can be called
        return importlib.import_module(f"rlbench.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("rlbench")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'rlbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
