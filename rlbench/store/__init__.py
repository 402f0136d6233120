"""The store: immutable Parquet parts, checkpoints, weights and claims in one folder; the only source of truth.

`Store` and `Program` are for those who write, `load` for those who read. Importing this package imports neither torch
nor pandas.
"""

from rlbench.store.audit import audit, passes_audit
from rlbench.store.program import Program
from rlbench.store.records import Checkpoint, CheckpointLane, Finished, LaneCheckpoint, Member
from rlbench.store.results import Results, load
from rlbench.store.schema import RowDigest, digest_rows, run_digest
from rlbench.store.store import Store

__all__ = [
    "Checkpoint",
    "CheckpointLane",
    "Finished",
    "LaneCheckpoint",
    "Member",
    "Program",
    "Results",
    "RowDigest",
    "Store",
    "audit",
    "digest_rows",
    "load",
    "passes_audit",
    "run_digest",
]
