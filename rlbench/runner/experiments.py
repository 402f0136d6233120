"""What a store records of an experiment before its first run is trained."""

from collections.abc import Mapping, Sequence
from typing import Any

from rlbench.config import PlannedRun
from rlbench.runner.machine import machine
from rlbench.store import Member


def recorded(
    runs: Sequence[PlannedRun], definition: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Member], dict[str, dict[str, Any]]]:
    """An experiment's definition with the machine that trains it, its members, and the specification of each run by its id."""
    members = [Member(planned.run_id, planned.variant, planned.position) for planned in runs]
    return {**definition, "machine": machine()}, members, {planned.run_id: planned.spec for planned in runs}
