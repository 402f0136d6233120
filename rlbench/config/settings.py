"""The keys that belong to a command and not to a run: how much is trained, and where it goes.

A plain frozen dataclass with the same field metadata as choices. None of them changes the result of a run, and none is part
of a run's id. Those of trackers, such as `wandb.*`, are declared where the trackers are.
"""

import dataclasses
from typing import Any

from rlbench.lanes.choices.choice import structural
from rlbench.metrics import FINAL_WINDOW


@dataclasses.dataclass(frozen=True)
class Settings:
    """Keys at the root, read once per command."""

    seeds: Any = structural(10, "seeds of every cell: a count (0 to count - 1), a range a:b without b, or a [list]")
    name: str = structural("adhoc", "name of the experiment; default: that of the experiment file or recipe, or adhoc")
    store: str = structural("results", "folder of the results, or s3://BUCKET/PREFIX")
    workers: Any = structural("auto", "workers that train; auto takes one per core, of a Ray cluster too")
    lanes: int = structural(64, "most runs that train as lanes of one program", ">= 1")
    checkpoint_seconds: float = structural(30.0, "seconds between checkpoints", "> 0")
    lease_seconds: float = structural(
        120.0, "seconds without a sign until a process elsewhere is taken for dead", ">= 1"
    )
    until_decided: bool = structural(False, "whether to add seeds by the experiment file's sequential plan")
    report: bool = structural(True, "whether the report is written at the end")
    final_window: int = structural(
        FINAL_WINDOW, "evaluation points, counted from the end, that final_return averages", ">= 1"
    )
