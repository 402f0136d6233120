"""What a training program hands to the store and gets back: plain values, no behaviour.

In: what the runner knows of its runs. Out: the arguments of `Store` and `Program`. Never touches a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

FINAL_STATUSES = ("done", "diverged", "pruned")  # never trained again; a pruned run was ended early by a study
STATUSES = (*FINAL_STATUSES, "failed")  # a failed run may be tried again


@dataclass(frozen=True)
class Member:
    """One run's place in one experiment: the label of its variant, and where it stands in the plan."""

    run_id: str
    variant: str
    position: int
    study: str | None = None
    trial: int | None = None


@dataclass(frozen=True)
class CheckpointLane:
    """What a checkpoint says of one lane; `meta` is any JSON (counters, the state of its `RowDigest`, ...).

    attempt, crc32: set by the store: since which beginning the run has come to this state, and the checksum of its tensors.
    """

    run_id: str
    env_steps: int
    meta: Mapping[str, Any] = field(default_factory=dict)
    attempt: str = ""
    crc32: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """The state of every unfinished lane of a program.

    tensors: each [lanes, ...], any dtype that safetensors knows; row i belongs to `lanes[i]`.
    lanes: in the order of the tensors' first axis.
    """

    tensors: Mapping[str, torch.Tensor]
    lanes: Sequence[CheckpointLane]


@dataclass(frozen=True)
class LaneCheckpoint:
    """One run's stored state: each tensor [1, ...], its own memory; `meta` and `env_steps` as they were committed."""

    run_id: str
    env_steps: int
    meta: dict[str, Any]
    tensors: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Finished:
    """The end of one run.

    status: `done`, `diverged`, `pruned` or `failed`. digest: empty for a failed run. wall_s: seconds.
    weights: final online weights under the names of a plain `nn.Sequential`, or None where there are none.
    """

    run_id: str
    status: str
    env_steps: int
    updates: int
    episodes: int
    wall_s: float
    digest: str = ""
    error: str = ""
    weights: Mapping[str, torch.Tensor] | None = None
