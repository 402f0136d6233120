"""Labels that keep apart what must not be averaged together.

In: the runs of an experiment as they were recorded, and their specifications. Out: one label a run. An experiment's name can be used
again with another budget or learning rate; its runs then hold several configurations under one variant's name, and even several
runs of one seed. Never: pools two configurations, or renames a variant that has only one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rlbench.store.schema import canonical_json
from rlbench.store.specs import configurations

_ABSENT = "absent"


def distinct_labels(names: Mapping[str, str], specs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """run_id -> the variant's recorded name, with the settings in which it differs from its namesakes on one environment.

    "soft_huber" stays as it is while all its runs on an environment share one configuration, and else becomes
    "soft_huber (budget.steps=50000)". Seeds do not count as a difference.
    """
    texts = configurations({run_id: specs[run_id] for run_id in names})
    groups: dict[tuple[str, str], dict[str, list[str]]] = {}
    for run_id, name in names.items():
        group = groups.setdefault((name, specs[run_id]["env"]["id"]), {})
        group.setdefault(texts[run_id], []).append(run_id)
    labels = dict(names)
    for (name, _), by_text in groups.items():
        if len(by_text) > 1:
            told = _differences([specs[run_ids[0]] for run_ids in by_text.values()])
            for difference, run_ids in zip(told, by_text.values(), strict=True):
                labels |= dict.fromkeys(run_ids, f"{name} ({difference})")
    return labels


def _differences(specs: Iterable[Mapping[str, Any]]) -> list[str]:
    """What tells each of these configurations from the others: key=value of every key in which they are not all equal."""
    settings = [flattened(spec) for spec in specs]
    keys = dict.fromkeys(key for one in settings for key in one)
    differing = [key for key in keys if len({_identity(one, key) for one in settings}) > 1]
    return [", ".join(f"{key}={one.get(key, _ABSENT)}" for key in differing) for one in settings]


def differing(specs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Dotted key -> run_id -> value, of every setting but the seed in which these runs are not all equal; None where a run has none."""
    settings = {run_id: flattened(spec) for run_id, spec in specs.items()}
    keys = dict.fromkeys(key for one in settings.values() for key in one)
    return {
        key: {run_id: one.get(key) for run_id, one in settings.items()}
        for key in keys
        if len({_identity(one, key) for one in settings.values()}) > 1
    }


def _identity(settings: Mapping[str, Any], key: str) -> str:
    # As text: 1 and True are equal, and are two settings.
    return canonical_json(settings[key]) if key in settings else _ABSENT


def flattened(spec: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted keys, without the seed."""
    flat: dict[str, Any] = {}
    for key, value in spec.items():
        if not prefix and key == "seed":
            continue
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
