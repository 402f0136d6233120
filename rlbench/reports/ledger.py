"""The numbers of a report: every one that the page shows stands here first, with how it was made.

In: results of `rlbench.stats`, and plain numbers. Out: parts of lines that say where they come from, and the content of
stats.json. Never: computes; what is shown is what was recorded, to the digits that a person needs.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from rlbench import text
from rlbench.reports.document import Content, Part

_TO_A_PLACE: dict[str, Callable[[float | None, int | None], str]] = {"number": text.number, "signed": text.signed}


class Formats(dict[str, Callable[[float | None], str]]):
    """The ways to write a number, by name; "signed@-6" is "signed" to six decimals, the place that an interval asks for."""

    def __missing__(self, name: str) -> Callable[[float | None], str]:
        how, _, place = name.partition("@")
        write, power = _TO_A_PLACE[how], int(place)
        return lambda value: write(value, power)


# A test reads the names from the page and writes the numbers again.
FORMATS = Formats(
    number=text.number,
    signed=text.signed,
    count=lambda value: text.NOTHING if value is None else text.count(value),
    p=text.p_value,
    share=text.share,
    factor=text.factor,
    minutes=lambda value: text.NOTHING if value is None else text.duration(60.0 * value),
    duration=lambda value: text.NOTHING if value is None else text.duration(value),
)
# The ends of a record's interval, whichever it has, and what is shown to the same place as they are.
_ENDS = (("low", "high"), ("paired_low", "paired_high"))
_BESIDE = ("estimate", "mean", "difference", "restricted_mean", "hodges_lehmann")
_TO_THE_PLACE = {*itertools.chain(*_ENDS), *_BESIDE, "unpaired_low", "unpaired_high"}


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a table's column shows of a record: a number, or the interval from `field` to `high`."""

    field: str = "estimate"
    how: str = "number"
    kind: str = "text"
    high: str = ""


class Ledger:
    """Statistics by key, in the order in which they were recorded."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self._places: dict[str, int | None] = {}

    def add(self, key: str, result: object = None, **more: Any) -> str:
        """Record a result (a dataclass; its arrays are left out) with further fields; return the key for `show`."""
        if key in self.records:
            raise ValueError(f"{key!r} is recorded already")
        fields = _scalars(result) if result is not None else {}
        record = {name: _plain(value) for name, value in {**fields, **more}.items()}
        self.records[key] = record
        for low, high in _ENDS:
            ends = record.get(low), record.get(high)
            if all(isinstance(end, float | int) for end in ends):
                self._places[key] = text.place_of(*ends, *(record.get(name) for name in _BESIDE))
        return key

    def show(self, key: str, field: str = "estimate", how: str = "number", kind: str = "text") -> Part:
        """One recorded number as a part of a line, to the place that the record's interval supports."""
        value = self.records[key][field]
        number = None if value is None else float(value)
        place = self._places.get(key)
        if how in _TO_A_PLACE and field in _TO_THE_PLACE and place is not None:
            how = f"{how}@{place}"
        return Part(FORMATS[how](number), kind, source=f"{key}#{field}", how=how, value=number)

    def span(self, key: str, low: str = "low", high: str = "high", how: str = "number") -> list[str | Part]:
        """A recorded interval in brackets, or a dash."""
        if self.records[key].get(low) is None or self.records[key].get(high) is None:
            return [text.NOTHING]
        return ["[", self.show(key, low, how), ", ", self.show(key, high, how), "]"]

    def cells(self, key: str, columns: Iterable[Shown]) -> list[Content]:
        """One record in a table's row, a cell for each of the columns."""
        return [
            self.span(key, one.field, one.high, one.how) if one.high else self.show(key, one.field, one.how, one.kind)
            for one in columns
        ]

    def points(self, key: str, how: str = "number") -> list[str]:
        """A recorded curve as texts: at each point its estimate and its interval, to the place that the interval supports."""
        record = self.records[key]
        write, told = _TO_A_PLACE[how], []
        for estimate, low, high in zip(record["estimate"], record["low"], record["high"], strict=True):
            if low is None:
                told.append(write(estimate, None))
                continue
            place = text.place_of(low, high, estimate)
            told.append(f"{write(estimate, place)} [{write(low, place)}, {write(high, place)}]")
        return told

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
