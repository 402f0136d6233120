"""Configuration: a command line becomes a list of checked runs, and a run becomes JSON with an id.

`resolve(argv)` is the way in from a command, `planned_runs(cells, seeds)` from Python; `spec_of`, `run_of` and `run_id`
are what the store keeps of a run. Never writes anything.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlbench.config.plan import PlannedCell, PlannedRun, check_cell, planned_runs
    from rlbench.config.request import HelpRequested, Request, resolve
    from rlbench.config.seeds import parse_seeds
    from rlbench.config.settings import Settings
    from rlbench.config.specification import run_id, run_id_of, run_of, spec_of

__all__ = [
    "HelpRequested",
    "PlannedCell",
    "PlannedRun",
    "Request",
    "Settings",
    "check_cell",
    "parse_seeds",
    "planned_runs",
    "resolve",
    "run_id",
    "run_id_of",
    "run_of",
    "spec_of",
]

# Imported when first asked for: they need torch, and commands that only read results do not.
_HOMES = {
    "rlbench.config.plan": ("PlannedCell", "PlannedRun", "check_cell", "planned_runs"),
    "rlbench.config.request": ("HelpRequested", "Request", "resolve"),
    "rlbench.config.seeds": ("parse_seeds",),
    "rlbench.config.settings": ("Settings",),
    "rlbench.config.specification": ("run_id", "run_id_of", "run_of", "spec_of"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'rlbench.config' has no attribute {name!r}")
