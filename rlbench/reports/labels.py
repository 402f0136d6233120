"""Labels that keep apart what must not be averaged together.

In: the `runs` of an experiment and their specifications. Out: one label a run. An experiment's name can be used again
with another budget or learning rate; its runs then hold several configurations under one variant's name, and even
several runs of one seed. Never: pools two configurations, or renames a variant that has only one.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

NOT_OF_THE_CONFIGURATION = ("seed",)


def distinct_labels(runs: pd.DataFrame, specs: Mapping[str, Mapping[str, Any]]) -> pd.Series:
    """The variant's name of each row of `runs`, with the settings in which it differs from its namesakes.

    "soft_huber" stays as it is while all its runs on an environment share one configuration, and else becomes
    "soft_huber (budget.steps=50000)". Seeds do not count as a difference.
    """
    labels = runs["variant"].astype(str)
    settings = {run_id: flattened(specs[run_id]) for run_id in runs["run_id"]}
    for _, rows in runs.groupby(["variant", "env"], sort=False):
        own = [settings[run_id] for run_id in rows["run_id"]]
        keys = dict.fromkeys(key for setting in own for key in setting)
        differing = [key for key in keys if any(setting.get(key) != own[0].get(key) for setting in own)]
        if differing:
            labels.loc[rows.index] = [
                f"{label} ({', '.join(f'{key}={setting.get(key)}' for key in differing)})"
                for label, setting in zip(labels.loc[rows.index], own, strict=True)
            ]
    return labels


def flattened(spec: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted keys, without the seed."""
    flat: dict[str, Any] = {}
    for key, value in spec.items():
        if not prefix and key in NOT_OF_THE_CONFIGURATION:
            continue
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
