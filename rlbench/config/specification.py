"""A run as JSON and back, and its id.

In: a `Run`, or the dict that a store keeps of it. Out: the other one, exactly: no number changes on the way there and
back. The id is a digest of what determines a run's result: numbers by value and not by how they were typed (1, 1.0 and 1e0
are one learning rate), with everything resolved that depends on the budget. Never guesses: a missing or unknown key is an
error.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from rlbench.config import groups
from rlbench.config.keys import convert, keys_of, keys_of_choice
from rlbench.config.own_choices import check_choices, class_of
from rlbench.config.seeds import SEED_LIMIT
from rlbench.config.sources import check_source, source_of
from rlbench.errors import ConfigError, first_line
from rlbench.lanes.choices.choice import Choice, is_left_out
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant

RUN_ID_DIGITS = 16
PARTS: Mapping[str, Any] = {
    "env": Environment(),
    "budget": Budget(),
    "evaluation": Evaluation(),
    "diagnostics": Diagnostics(),
}

T = TypeVar("T")


def spec_of(run: Run) -> dict[str, Any]:
    """The specification of a run, JSON-able; every choice is {"kind": ..., its fields}, and one's own has a digest "source".

    Raises ConfigError on wrong types, and for a class that is no choice.
    """
    run = resolved(run)
    return {
        "variant": _data_of(run.variant, ""),
        **{name: _data_of(getattr(run, name), f"{name}.") for name in PARTS},
        "seed": run.seed,
        "namespace": run.namespace,
    }


def run_of(spec: Mapping[str, Any]) -> Run:
    """The run of a specification. Raises ConfigError for a missing or unknown key, or a value of a wrong type.

    ChangedCodeError where it has a class of one's own whose code is another by now.
    """
    _check_names(spec, ["variant", *PARTS, "seed", "namespace"], "")
    seed = spec["seed"]
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < SEED_LIMIT:
        raise ConfigError(f"seed must be a whole number from 0 to {SEED_LIMIT - 1}; got {seed!r}")
    parts = {name: part_of(default, spec[name], f"{name}.") for name, default in PARTS.items()}
    return Run(variant=variant_of(spec["variant"]), seed=seed, namespace=str(spec["namespace"]), **parts)


def run_id(run: Run) -> str:
    """The run's id: 16 hex digits that are a function of its specification."""
    return run_id_of(spec_of(run))


def run_id_of(spec: Mapping[str, Any]) -> str:
    """The id of the run with this specification."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:RUN_ID_DIGITS]


def run_ids_of(spec: Mapping[str, Any], seeds: Sequence[int]) -> list[str]:
    """The ids of the runs with this specification but for their seeds, whose text is made once for all of them."""
    before, behind = (
        json.dumps(own, sort_keys=True, separators=(",", ":"), allow_nan=False)
        for own in (
            {name: value for name, value in spec.items() if name < "seed"},
            {name: value for name, value in spec.items() if name > "seed"},
        )
    )
    texts = (f'{before[:-1]},"seed":{seed},{behind[1:]}' for seed in seeds)
    return [hashlib.sha256(text.encode()).hexdigest()[:RUN_ID_DIGITS] for text in texts]


def resolved(run: Run) -> Run:
    """The run with everything written out that depends on its budget. Raises ConfigError where that is impossible."""
    check_choices(run.variant)
    choices = {group: getattr(run.variant, group).resolved(run.budget.steps) for group in groups.CLASSES}
    return dataclasses.replace(run, variant=dataclasses.replace(run.variant, **choices))


def variant_of(data: Mapping[str, Any]) -> Variant:
    """The variant of {"kind": "dqn", group: {"kind": ..., fields}, scalars}. Raises ConfigError as `run_of` does."""
    keys = keys_of(Variant())
    data = _with_left_out(Variant(), data)
    _check_names(data, ["kind", *groups.CLASSES, *keys], "")
    if data["kind"] != Variant.kind:
        raise ConfigError(f"unknown kind of variant {data['kind']!r} (one of: {Variant.kind})")
    fields: dict[str, Any] = {group: choice_of(group, data[group]) for group in groups.CLASSES}
    return Variant(**fields | {name: convert(key, data[name]) for name, key in keys.items()})


def choice_of(group: str, data: Mapping[str, Any]) -> Choice:
    """The choice of {"kind": ..., fields}. Raises ConfigError as `run_of` does."""
    cls = class_of(group, data.get("kind"))
    check_source(group, cls, data)
    default = cls()
    fields = {name.partition(".")[2]: key for name, key in keys_of_choice(group, cls.kind).items()}
    data = _with_left_out(default, data)
    _check_names(data, ["kind", *source_of(default), *fields], f"{group}.")
    values = {name: convert(key, data[name]) for name, key in fields.items()}
    try:
        return cls(**values)
    except Exception as error:  # whatever a class of one's own raises
        raise ConfigError(f"{group}={cls.kind}: {first_line(error)}") from None


def part_of(default: T, data: Mapping[str, Any], prefix: str) -> T:
    """A flat dataclass of the type of `default` from a dict of all its fields. Raises ConfigError as `run_of` does."""
    fields = {name.removeprefix(prefix): key for name, key in keys_of(default, prefix).items()}
    data = _with_left_out(default, data)
    _check_names(data, fields, prefix)
    return type(default)(**{field: convert(key, data[field]) for field, key in fields.items()})


def _data_of(part: Any, prefix: str) -> dict[str, Any]:
    data: dict[str, Any] = {"kind": part.kind, **source_of(part)} if isinstance(part, Choice) else {}
    fields = {field.name: field for field in dataclasses.fields(part) if not is_left_out(part, field)}
    for name, key in keys_of(part, prefix).items():
        if name.removeprefix(prefix) in fields:
            value = convert(key, key.default)
            data[name.removeprefix(prefix)] = list(value) if isinstance(value, tuple) else value
    for name in fields:
        value = getattr(part, name)
        if isinstance(value, Choice):
            data[name] = _data_of(value, f"{prefix}{name}.")
    return data


def _with_left_out(default: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with the fields that a specification leaves out at their defaults."""
    absent: dict[str, Any] = {}
    for field in dataclasses.fields(default):
        if field.metadata.get("later"):
            value = field.default
            absent[field.name] = {"kind": value.kind} if isinstance(value, Choice) else value
    return {**absent, **data}


def _check_names(data: Mapping[str, Any], names: Collection[str], prefix: str) -> None:
    """Raise ConfigError unless the keys of `data` are exactly `names`."""
    for name in names:
        if name not in data:
            raise ConfigError(f"the specification has no '{prefix}{name}'")
    for name in data:
        if name not in names:
            raise ConfigError(f"the specification has an unknown key '{prefix}{name}'")
