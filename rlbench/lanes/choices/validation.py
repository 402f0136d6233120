"""Validation: episodes between those of training whose return decides when a run stops and which weights it keeps.

Not evaluation: validation is part of the algorithm, on environment seeds of its own, and what it does to a run is in the run's digest.
"""

import dataclasses
from typing import ClassVar

from rlbench.lanes.choices.bases import Validation
from rlbench.lanes.choices.choice import number, structural


@dataclasses.dataclass(frozen=True)
class NoValidation(Validation):
    """A run lasts for its budget and keeps its last weights."""

    kind: ClassVar[str] = "none"


@dataclasses.dataclass(frozen=True)
class EpisodeValidation(Validation):
    """One validation episode after every training episode that began when learning had started."""

    kind: ClassVar[str] = "episode"
    small_fields: ClassVar = {"max_env_steps": 12}
    max_env_steps: int | None = structural(
        None, "steps after which a validation episode is cut; null takes the environment's limit", ">= 1"
    )
    greedy: bool = number(
        True, "whether validation acts greedily; otherwise by the exploration schedule, which its steps advance"
    )
    patience: int | None = number(
        None, "validations without a strictly higher return after which a run stops; null never stops", ">= 1"
    )
    keep_best: bool = structural(True, "whether a run ends with the weights of its best validation, not with its last")

    @property
    def episodes(self) -> "EpisodeValidation":
        """This rule."""
        return self
