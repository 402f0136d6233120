"""The keys that belong to a command and not to a run: how much is trained, where it goes, and who is told.

Plain frozen dataclasses with the same field metadata as choices. None of them changes the result of a run, and none is
part of a run's id.
"""

import dataclasses
from typing import Any

from rlbench.lanes.choice import structural

WANDB_MODES = ("offline", "online", "disabled")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Keys at the root, read once per command."""

    seeds: Any = structural(10, "seeds of every cell: a count (0 to count - 1), a range a:b without b, or a [list]")
    name: str = structural("adhoc", "name of the experiment; default: that of the experiment file or recipe, or adhoc")
    store: str = structural("results", "folder of the results")
    workers: Any = structural("auto", "processes that train; auto takes one per core")
    lanes: int = structural(64, "most runs that train as lanes of one program", ">= 1")
    checkpoint_seconds: float = structural(30.0, "seconds between checkpoints", "> 0")
    until_decided: bool = structural(False, "whether to add seeds by the experiment file's sequential plan")
    report: bool = structural(True, "whether the report is written at the end")
    final_window: int = structural(5, "evaluation points, counted from the end, that final_return averages", ">= 1")


@dataclasses.dataclass(frozen=True)
class WandbOptions:
    """The `wandb.*` keys as they were given; who mirrors checks what Weights & Biases itself would refuse."""

    mode: str = structural(
        "offline", "offline writes folders, online sends, disabled does neither", allowed=WANDB_MODES
    )
    project: str = structural("rlbench", "W&B project")
    entity: str | None = structural(None, "W&B user or team; null takes the default of whoever is logged in")
    tags: tuple[str, ...] = structural((), "tags of every run, as a [list]")
    artifacts: bool = structural(False, "whether final weights are sent too")
