"""`rlbench.run(...)`: the same experiment as the command's, asked for from Python.

In: a variant by name or by value, and further keys. Out: the results of its runs. What is trained, recorded and refused is as by command.
"""

import dataclasses
import numbers
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlbench.errors import ConfigError
from rlbench.training import train

if TYPE_CHECKING:
    from rlbench.config import Request
    from rlbench.lanes.choices.variant import Environment, Variant
    from rlbench.store import Results


def run(
    variant: "str | Sequence[str] | Variant",
    env: "str | Environment" = "CartPole-v1",
    seeds: int | Iterable[int] = 10,
    *,
    steps: int | None = None,
    episodes: int | None = None,
    store: str | os.PathLike[str] = "results",
    name: str = "adhoc",
    label: str | None = None,
    workers: int | None = None,
    **settings: Any,
) -> "Results":
    """Train variants over seeds as part of the experiment `name`, and return the results of these runs.

    Args:
        variant: the name of a variant, several names, or an `rlbench.Variant`.
        env: a Gymnasium id or the name of an environment group member.
        seeds: how many (0, 1, ...), or which.
        steps, episodes: the budget, one of them; default as the command line's.
        store: the folder of results. name: the experiment. label: the variant's name in tables, for a `Variant` object.
        workers: how many train; default as `workers=auto`. Where, say `launcher="ray", launcher__address="auto"`.
        settings: further keys of the command line, dots as double underscores: `optimizer__lr=1e-3`, `wandb__mode="offline"`; those of
            the variant only with a variant's name.

    Returns the runs that were asked for, also where the experiment has others. Raises ConfigError for impossible input, RuntimeError
    when interrupted. Failed and diverged runs are rows with that status; a finding of the audit is a warning.
    """
    from rlbench.store import audit, load

    values: dict[str, Any] = {
        "env": env if isinstance(env, str) else env.id,
        "env.max_env_steps": None if isinstance(env, str) else env.max_env_steps,
        "store": os.fspath(store),
        "name": name,
        "seeds": list(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str) else seeds,
        "steps": steps,
        "episodes": episodes,
        "workers": workers,
    }
    given = {key.replace("__", "."): value for key, value in settings.items()}
    values = {"wandb.mode": "disabled"} | {key: value for key, value in values.items() if value is not None} | given
    if not isinstance(variant, str) and isinstance(variant, Sequence):
        variant = ",".join(variant)
    if not isinstance(variant, str):
        _refuse_settings_of_a_variant(given)
    request = _request(variant, [f"{key}={_word(value)}" for key, value in values.items()], label)
    if train(request):
        raise RuntimeError("interrupted; calling it again goes on from the last checkpoint")
    results = load(store).experiment(name).only(planned.run_id for planned in request.planned)
    for finding in audit(results):
        warnings.warn(f"audit: {finding}", stacklevel=2)
    return results


def _word(value: Any) -> str:
    """A Python value as the command line writes it."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_word(one) for one in value)}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, numbers.Integral):
        return str(int(value))
    return repr(float(value)) if isinstance(value, numbers.Real) else str(value)


def _refuse_settings_of_a_variant(given: Mapping[str, Any]) -> None:
    """A Variant object says all there is to say about the algorithm: a setting beside it would have no effect."""
    from rlbench.config.groups import CLASSES
    from rlbench.config.keys import keys_of
    from rlbench.lanes.choices.variant import Variant

    for key in given:
        if key.split(".")[0] in CLASSES or key in keys_of(Variant()):
            raise ConfigError(f"{key} beside a Variant object has no effect; set it in the object")


def _request(variant: "str | Variant", words: list[str], label: str | None) -> "Request":
    """The request of the words, for a variant by name or by value."""
    from rlbench.config import PlannedCell, planned_runs, resolve

    if isinstance(variant, str):
        return resolve([f"variant={variant}", *words])
    if label is None:
        raise ConfigError("a Variant object needs label=NAME, its name in tables and plots")
    request = resolve(words)
    call = _python_call(variant, words, label)
    first = request.planned[0].run
    cell = PlannedCell(label, variant, first.env, first.budget, first.evaluation, first.diagnostics)
    seeds = list(request.definition["seeds"])
    definition = request.definition | {
        "cells": [{"variant": label, "env": first.env.id, "overrides": {}}],
        "command": call,
    }
    return dataclasses.replace(request, planned=planned_runs([cell], seeds), definition=definition)


def _python_call(variant: "Variant", words: Sequence[str], label: str) -> list[str]:
    """A command that makes this call from Python again; key=value words behind it are further settings, as `store=` is."""
    parts = [variant, *(getattr(variant, field.name) for field in dataclasses.fields(variant))]
    classes = dict.fromkeys(type(part) for part in parts if dataclasses.is_dataclass(part))
    imports = "; ".join(f"from {one.__module__} import {one.__name__}" for one in classes)
    given = "**{key.replace('.', '__'): value for key, value in (word.split('=', 1) for word in sys.argv[1:])}"
    code = f"import sys, rlbench; {imports}; rlbench.run({variant!r}, label={label!r}, {given})"
    return ["python", "-c", code, *(word for word in words if not word.startswith("env.max_env_steps=null"))]
