"""What is kept of a tuned study in the store, as JSON beside the winner: enough to write its section of the report again, without Optuna.

In: trials, importances and confirmations. Out: plain data, and the file `STORE/studies/NAME.json`.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlbench.errors import WriteError
from rlbench.store.sealed import seal
from rlbench.tuning.confirmation import Compared, Confirmation
from rlbench.tuning.importance import Importance
from rlbench.tuning.optuna_names import FrozenTrial
from rlbench.tuning.study import Study


def study_record(
    study: Study, trials: Sequence[FrozenTrial], found: Sequence[Importance], confirmation: Confirmation | None
) -> dict[str, Any]:
    """One variant's part of the record."""
    return {
        "study": study.name,
        "variant": study.variant,
        "definition": study.definition(),
        "objective": str(study.objective),
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "value": trial.values[0] if trial.values else None,
                "params": trial.params,
                "reported": {str(step): value for step, value in sorted(trial.intermediate_values.items())},
                "reason": trial.user_attrs.get("reason", ""),
                "twin_of": trial.user_attrs.get("twin_of"),
            }
            for trial in trials
        ],
        "importances": [dataclasses.asdict(one) for one in found],
        "confirmation": None if confirmation is None else _confirmation(confirmation),
    }


def _confirmation(confirmation: Confirmation) -> dict[str, Any]:
    return {
        "default_score": confirmation.default.score,
        "default_mean": confirmation.default.mean,
        "default_n": confirmation.default.n,
        "default_lost": confirmation.default.lost,
        "verdict": confirmation.verdict,
        "winner": confirmation.winner.label if confirmation.winner else None,
        "candidates": [
            {
                "label": one.label,
                "tuning_score": one.tuning_score,
                "fresh_score": one.fresh.score,
                "fresh_mean": one.fresh.mean,
                "n": one.fresh.n,
                "lost": one.fresh.lost,
                "optimism_gap": one.gap,
                "against_default": None if one.against_default is None else compared_record(one.against_default),
            }
            for one in confirmation.candidates
        ],
    }


def compared_record(compared: Compared) -> dict[str, Any]:
    """A comparison as JSON, with its sentence."""
    return {**dataclasses.asdict(compared), "words": compared.words}


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write the record. Raises WriteError where it cannot be written."""
    write_file(path, json.dumps(seal(finite(record)), indent=1) + "\n")


def write_file(path: Path, text: str) -> None:
    """Write a text by rename, so that nobody reads half of it. Raises WriteError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error


def finite(value: Any) -> Any:
    """The value with None for what JSON cannot hold."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
