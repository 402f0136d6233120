"""The numbers of a report: every one that the page shows stands here first, with how it was made.

In: results of `rlbench.stats`, and plain numbers. Out: parts of lines that say where they come from, and the content of
stats.json. Never: computes; what is shown is what was recorded, to the digits that a person needs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rlbench.reports import text
from rlbench.reports.document import Part

# How a number is written, by name: a test reads the names from the page and writes the numbers again.
FORMATS: dict[str, Callable[[float | None], str]] = {
    "number": text.number,
    "signed": text.signed,
    "count": lambda value: text.NOTHING if value is None else text.count(value),
    "p": text.p_value,
    "share": text.share,
    "factor": text.factor,
    "minutes": lambda value: text.NOTHING if value is None else text.duration(60.0 * value),
    "duration": lambda value: text.NOTHING if value is None else text.duration(value),
}


class Ledger:
    """Statistics by key, in the order in which they were recorded."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}

    def add(self, key: str, result: object = None, **more: Any) -> str:
        """Record a result (a dataclass; its arrays are left out) with further fields; return the key for `show`."""
        if key in self.records:
            raise ValueError(f"{key!r} is recorded already")
        fields = _scalars(result) if result is not None else {}
        self.records[key] = {name: _plain(value) for name, value in {**fields, **more}.items()}
        return key

    def show(self, key: str, field: str = "estimate", how: str = "number", kind: str = "text") -> Part:
        """One recorded number as a part of a line."""
        value = self.records[key][field]
        number = None if value is None else float(value)
        return Part(FORMATS[how](number), kind, source=f"{key}#{field}", how=how, value=number)

    def span(self, key: str, low: str = "low", high: str = "high", how: str = "number") -> list[str | Part]:
        """A recorded interval in brackets, or a dash."""
        if self.records[key].get(low) is None or self.records[key].get(high) is None:
            return [text.NOTHING]
        return ["[", self.show(key, low, how), ", ", self.show(key, high, how), "]"]

    def told(self, key: str, field: str) -> str:
        """A recorded text, such as the method."""
        return str(self.records[key][field])


def _scalars(result: object) -> Mapping[str, Any]:
    assert dataclasses.is_dataclass(result)
    found = {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if value is None or isinstance(value, bool | int | float | str | np.generic):
            found[field.name] = value
    return found


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers that are not finite have no number there."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
