"""Numbers and names as people read them, the same on the page, in Markdown, in figures and in the terminal.

In: numbers, names, command lines. Out: short texts. Never: escapes (the templates do), or lets a path of the machine
through that the report was made on.
"""

import math
import re
import shlex
from collections.abc import Sequence

NOTHING = "\N{EN DASH}"
# Two or more folders in front of a name; URLs keep theirs.
_ABSOLUTE_PATH = re.compile(r"(?<![\w:/.~])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\:'\"]+[/\\])+")

_OUTSIDE = re.compile(r"[/\\~]|[A-Za-z]:")


def number(value: float | None) -> str:
    """A return with the digits that its size deserves: 12 345, 487.3, 4.87, 0.487."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    size = abs(value)
    decimals = 0 if size >= 999.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 or value == 0 else 3
    shown = round(value, decimals) + 0.0  # adding 0.0 turns -0.0 into 0.0
    return count(shown) if decimals == 0 else f"{shown:.{decimals}f}"


def signed(value: float | None) -> str:
    """A difference with its sign: +12.3, -4.5, 0.00."""
    shown = number(value)
    return f"+{shown}" if value is not None and value > 0 and shown.strip("0.") else shown


def p_value(value: float | None) -> str:
    """A p-value to three decimals; below, only that it is."""
    if value is None or math.isnan(value):
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def share(value: float | None) -> str:
    """A probability or rate to two decimals."""
    return NOTHING if value is None or math.isnan(value) else f"{value:.2f}"


def factor(value: float | None) -> str:
    """A ratio: 2.4x."""
    return NOTHING if value is None or math.isnan(value) else f"{number(value)}x"


def count(value: float) -> str:
    """A whole number with its thousands apart: 50 000."""
    return f"{round(value):,}".replace(",", " ")


def span(low: float, high: float) -> str:
    """An interval; nothing where a single run allows none."""
    return NOTHING if math.isnan(low) else f"[{number(low)}, {number(high)}]"


def duration(seconds: float) -> str:
    """A length of time in the unit that suits it: 45 s, 12.5 min, 3.2 h."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 or seconds == round(seconds) else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def plural(amount: int, noun: str) -> str:
    """An amount with its noun: 1 run, 8 runs."""
    return f"{count(amount)} {noun}" if amount == 1 else f"{count(amount)} {noun}s"


def shortened(name: str, limit: int = 26) -> str:
    """A name that fits a figure: printable, and cut in the middle, since names differ at both ends."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in name)
    if len(printable) <= limit:
        return printable
    head = (limit - 1) // 2
    return f"{printable[:head]}…{printable[len(printable) - (limit - 1 - head) :]}"


def without_folders(text: str) -> str:
    """The text with every absolute path cut down to its last name."""
    return _ABSOLUTE_PATH.sub("…/", text)


def command_line(words: Sequence[str]) -> str:
    """A command as it can be typed elsewhere: program paths as names, no `store=` that points into this machine."""
    kept: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key == "store" and _OUTSIDE.match(value):
            continue
        kept.append(word.rsplit("/", 1)[-1] if word.startswith("/") and not kept else without_folders(word))
    return shlex.join(kept)


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence: a, b and c."""
    return "".join(words) if len(words) < 2 else f"{', '.join(words[:-1])} and {words[-1]}"
