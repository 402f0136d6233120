"""The record of a tuned study as a report needs it: read from where tuning left it in the store.

In: a store's folder and an experiment's name. Out: the record (see `rlbench.tuning.record`), or None. Needs neither Optuna nor the study's
own storage. Only reads.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rlbench.errors import StoreError


def read_study(store: Path, experiment: str) -> dict[str, Any] | None:
    """The study that an experiment confirms; None where it confirms none. Raises StoreError where its record is damaged."""
    path = store / "studies" / f"{experiment}.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    return record
