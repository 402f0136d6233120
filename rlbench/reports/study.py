"""The record of a tuned study as a report needs it: read from where tuning left it in the store.

In: a store's folder and an experiment's name. Out: the record (see `rlbench.tuning.record`), or None. Needs neither Optuna nor the study's
own storage. Only reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlbench.store.files import reading
from rlbench.store.names import is_name
from rlbench.store.sealed import unseal


def read_study(store: Path, experiment: str) -> dict[str, Any] | None:
    """The study that an experiment confirms; None where it confirms none. Raises StoreError where its record is damaged."""
    if not is_name(experiment):  # a name is never a path
        return None
    path = store / "studies" / f"{experiment}.json"
    with reading(path):
        return unseal(path.read_bytes(), is_required=False) if path.exists() else None
