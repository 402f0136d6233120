"""A choice: one setting with its behaviour, a small frozen dataclass that carries its numbers and can be called.

Each field is declared as a *number* (may differ from lane to lane) or as *structure* (must agree within a cohort), with one line of
meaning and the values that are possible. `stack` turns the choices of many lanes into one choice whose numbers are tensors [lanes, 1];
`structure` is what must be equal for lanes to share a program; `check` refuses impossible values.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar

from rlbench.deferred import Tensor, torch
from rlbench.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Choice:
    """Base of all choices: `kind` is the name that configurations use, of a class that gives itself none `module:Class`."""

    kind: ClassVar[str]
    precise: ClassVar[bool] = False  # numbers are stacked as float64 instead of float32
    # The fields of an instance that trains in seconds and still learns, moves its target and ends episodes, where defaults do not.
    small_fields: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        if "kind" not in vars(cls):
            cls.kind = f"{cls.__module__}:{cls.__qualname__}"

    def resolved(self, budget_steps: int | None) -> Self:
        """This choice with everything that depends on the budget written out."""
        return self

    def refused(self) -> str | None:
        """What is wrong with its numbers together, a line, or None."""
        return None

    def refused_beside(self, variant: Any) -> str | None:
        """What is wrong with it beside the other choices of its `Variant`, a line, or None."""
        return None

    def doubted(self, run: Any) -> str | None:
        """What of a `Run` with this choice is possible and may not be meant, a line, or None."""
        return None


C = TypeVar("C", bound=Choice)


def number(default: Any, meaning: str, bound: str = "", *, later: bool = False) -> Any:
    """A field that may differ from lane to lane. `bound` is a test such as "> 0" or "0 <= x <= 1"; empty allows every finite value.

    `later` marks a field that is younger than the first stores: a run's specification leaves it out at its default, so that ids stay.
    """
    metadata = {"role": "number", "meaning": meaning, "bound": bound, "later": later}
    return dataclasses.field(default=default, metadata=metadata)


def structural(
    default: Any, meaning: str, bound: str = "", allowed: tuple[str, ...] = (), *, later: bool = False
) -> Any:
    """A field that must agree within a cohort: it changes shapes, work or schedule. `later` as in `number`."""
    metadata = {"role": "structure", "meaning": meaning, "bound": bound, "allowed": allowed, "later": later}
    return dataclasses.field(default=default, metadata=metadata)


def with_length_in_steps(choice: C, group: str, name: str, budget_steps: int | None) -> C:
    """A choice that has a length as `<name>_fraction` of the budget, or as `<name>_steps`, with the steps written out.

    ConfigError, which calls the choice a member of `group`, where neither is given, or a fraction of a budget in episodes.
    """
    fraction, steps = f"{name}_fraction", f"{name}_steps"
    changes: dict[str, Any] = {fraction: None}
    if getattr(choice, steps) is None:
        share = getattr(choice, fraction)
        if share is None:
            raise ConfigError(f"{group}={choice.kind} needs {group}.{steps} or {group}.{fraction}")
        if budget_steps is None:
            raise ConfigError(f"{group}.{fraction} needs a budget in steps; with episodes=N set {group}.{steps}")
        changes[steps] = length_in_steps(share, budget_steps)
    return dataclasses.replace(choice, **changes)


def length_in_steps(fraction: float, budget_steps: int) -> int:
    """A fraction of a budget, at least a step."""
    return max(1, round(fraction * budget_steps))


def is_left_out(part: Any, field: "dataclasses.Field[Any]") -> bool:
    """Whether a specification leaves this field of `part` out: it is younger than the first stores, and at its default."""
    return bool(field.metadata.get("later")) and getattr(part, field.name) == field.default


def _fields(choice: Any, role: str) -> Iterator[tuple[str, Any, bool]]:
    """Name and value of the fields that are declared with this role or hold a choice, and whether they hold one."""
    for field in dataclasses.fields(choice):
        value = getattr(choice, field.name)
        is_nested = isinstance(value, Choice)
        if is_nested or field.metadata.get("role") == role:
            yield field.name, value, is_nested


def choices_of(choice: Any) -> list[Choice]:
    """The choices that a choice holds."""
    return [value for _, value, is_nested in _fields(choice, "") if is_nested]


def structure(choice: Any) -> tuple[Any, ...]:
    """What must be equal for two choices to be lanes of one program: the class and every structural field, nested choices included."""
    parts = _fields(choice, "structure")
    return type(choice), *((name, structure(value) if is_nested else value) for name, value, is_nested in parts)


def stack(choices: Sequence[C]) -> C:
    """One choice whose numbers are tensors [lanes, 1] (None becomes NaN); the choices must agree in structure."""
    first = choices[0]
    if any(structure(choice) != structure(first) for choice in choices):
        raise ValueError("only choices of one structure can be stacked")
    changes: dict[str, Any] = {}
    for name, _, is_nested in _fields(first, "number"):
        values = [getattr(choice, name) for choice in choices]
        changes[name] = stack(values) if is_nested else _per_lane(values, first.precise)
    return dataclasses.replace(first, **changes)


def _per_lane(values: Sequence[float | None], precise: bool) -> Tensor:
    filled = [math.nan if value is None else float(value) for value in values]
    return torch.tensor(filled, dtype=torch.float64 if precise else torch.float32)[:, None]


def numbers(choice: Any, prefix: str = "") -> dict[str, Any]:
    """The number fields of a choice and its nested choices, by dotted name."""
    found: dict[str, Any] = {}
    for name, value, is_nested in _fields(choice, "number"):
        found |= numbers(value, f"{prefix}{name}.") if is_nested else {prefix + name: value}
    return found


def with_numbers(choice: C, values: dict[str, Any], prefix: str = "") -> C:
    """The same structure with its numbers replaced: the inverse of `numbers`."""
    changes = {
        name: with_numbers(value, values, f"{prefix}{name}.") if is_nested else values[prefix + name]
        for name, value, is_nested in _fields(choice, "number")
    }
    return dataclasses.replace(choice, **changes)


def check(choice: Any, prefix: str = "") -> None:
    """Raise ConfigError, one line, for the first impossible value in a choice or in the choices that it holds."""
    for field in dataclasses.fields(choice):
        value, name = getattr(choice, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            check(value, f"{name}.")
            continue
        allowed = field.metadata.get("allowed", ())
        if allowed and value not in allowed:
            raise ConfigError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")
        bound = field.metadata.get("bound", "")
        for one in value if isinstance(value, tuple) else (value,):
            if one is None or isinstance(one, (bool, str)):
                continue
            if not math.isfinite(one) or not _within(bound, one):
                raise ConfigError(f"{name} must be {bound or 'finite'}; got {one!r}")


def _within(bound: str, x: float) -> bool:
    """Whether a number satisfies a bound such as "> 0" or "0 <= x < 1"; bounds are literals of this package."""
    if not bound:
        return True
    expression = bound if "x" in bound else f"x {bound}"
    return bool(eval(expression, {"__builtins__": {}}, {"x": x}))
