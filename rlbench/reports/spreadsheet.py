"""CSV that is safe to open: no label is a formula, and none holds a control character.

In: a frame. Out: CSV. Numbers stay numbers, and texts that read as numbers stay as they are. Never: changes a name that begins
with a letter.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Any

from rlbench.plain_text import printable

if TYPE_CHECKING:
    import pandas as pd

# What spreadsheets take for the beginning of a formula, in their wide forms too.
_FORMULA = re.compile(
    r"\s*[=+\-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}]|[\t\r\n]"
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def csv_of(frame: pd.DataFrame, out: IO[str] | None = None) -> str:
    """The frame as CSV, written to `out` where that is given: labels that begin as a formula does stand behind an apostrophe."""
    texts = [name for name, kind in frame.dtypes.items() if not _is_numeric(kind)]
    safe = frame.assign(**{name: _safe(frame[name]) for name in texts}).rename(columns=lambda name: cell(name))
    told = safe.to_csv(out, index=False, lineterminator="\n")
    return "" if told is None else str(told)


def _safe(texts: pd.Series) -> pd.Series:
    """A column with every cell made safe. A text that stands in many rows is looked at once."""
    changed = {one: safe for one in texts.unique() if isinstance(one, str) and (safe := cell(one)) != one}
    return texts.map(lambda one: changed.get(one, one)) if changed else texts


def cell(value: Any) -> Any:
    """One cell: a text made safe, anything else as it is."""
    if not isinstance(value, str):
        return value
    is_plain = value.isascii() and value.isprintable()
    shown = value if is_plain else "".join(letter if letter in "\t\r" else printable(letter) for letter in value)
    return f"'{shown}" if _FORMULA.match(shown) and not _NUMBER.fullmatch(shown) else shown


def _is_numeric(kind: Any) -> bool:
    return getattr(kind, "kind", "O") in "iufb"
