"""Numbers and names as people read them, the same on the page, in Markdown, in figures and in the terminal.

In: numbers, names, command lines. Out: short texts. Never: writes markup (the renderers escape for theirs), or lets a path of the
machine through that the report was made on.
"""

import math
import re
import shlex
from collections.abc import Sequence

NOTHING = "\N{EN DASH}"
# From here on, and below the other one, digits alone are hard to count: 3.40e38, 4.87e-5.
_SCIENTIFIC_FROM, _SCIENTIFIC_BELOW = 1e9, 0.0009995
_MOST_DIGITS = 12  # significant ones; beyond, a width is rounding error
# Two or more folders in front of a name; URLs keep theirs.
_ABSOLUTE_PATH = re.compile(r"(?<![\w:/.~])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\:'\"]+[/\\])+")

_OUTSIDE = re.compile(r"[/\\~]|[A-Za-z]:")


def number(value: float | None, place: int | None = None) -> str:
    """A return with the digits that its size deserves, at least three: 12 345, 487.3, 4.87, 0.0487, 4.87e-5.

    With `place`, a power of ten from `place_of`, it is shown to that place: with -1, 487.3, 4.9 and 0.0.
    """
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    size = abs(value)
    if size >= _SCIENTIFIC_FROM:
        return _scientific(value, 2 if place is None else _exponent(value) - place)
    if place is None:
        if 0.0 < size < _SCIENTIFIC_BELOW:
            return _scientific(value, 2)
        return _plain(value, _decimals(size))
    if place >= -5 or size >= _SCIENTIFIC_BELOW:
        return _plain(value, max(0, -place))
    return "0" if _exponent(value) < place else _scientific(value, _exponent(value) - place)


def signed(value: float | None, place: int | None = None) -> str:
    """A difference with its sign: +12.3, -4.5, 0.00."""
    shown = number(value, place)
    return f"+{shown}" if value is not None and value > 0 and shown.strip("0.") else shown


def place_of(low: float | None, high: float | None, *others: float | None) -> int | None:
    """The power of ten to which an interval and the numbers beside it are shown, or None where there is no interval.

    Half the interval's width keeps two digits, and the largest number the digits that it has alone: an interval of
    [0.000091, 0.000113] asks for 1e-6, so that its ends and its middle differ.
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    largest = max(abs(one) for one in (low, high, *others) if one is not None and math.isfinite(one))
    if largest == 0.0:
        return None
    top = _exponent(largest)
    own = top - 2 if largest >= _SCIENTIFIC_FROM or largest < _SCIENTIFIC_BELOW else -_decimals(largest)
    half = high / 2.0 - low / 2.0
    needed = _exponent(half) - 1 if half > 10.0**-_MOST_DIGITS * largest else own
    return max(min(own, needed), top - _MOST_DIGITS)


def p_value(value: float | None) -> str:
    """A p-value to three decimals; one more where it would read as the level itself, and below 0.001 only that it is."""
    if value is None or math.isnan(value):
        return NOTHING
    if value < 0.001:
        return "< 0.001"
    shown = f"{value:.3f}"
    if shown != "0.050" or value == 0.05:
        return shown
    closer = f"{value:.4f}"
    return closer if closer != "0.0500" else "> 0.05" if value > 0.05 else "< 0.05"


def share(value: float | None) -> str:
    """A probability or rate to two decimals, or as many as keep it apart from 0 and 1."""
    if value is None or math.isnan(value):
        return NOTHING
    apart = min(abs(value), abs(1.0 - value))
    decimals = 2 if apart == 0.0 else min(max(2, math.ceil(-math.log10(apart))), 4)
    shown = f"{value:.{decimals}f}"
    if float(shown) == value or float(shown) not in (0.0, 1.0):
        return shown
    return f"< {10.0**-decimals:.{decimals}f}" if value < 0.5 else f"> {1.0 - 10.0**-decimals:.{decimals}f}"


def factor(value: float | None) -> str:
    """A ratio: 2.4x."""
    return NOTHING if value is None or math.isnan(value) else f"{number(value)}x"


def count(value: float) -> str:
    """A whole number with its thousands apart: 50 000."""
    return f"{round(value):,}".replace(",", " ")


def span(low: float, high: float, place: int | None = None) -> str:
    """An interval; nothing where a single run allows none."""
    return NOTHING if math.isnan(low) else f"[{number(low, place)}, {number(high, place)}]"


def _plain(value: float, decimals: int) -> str:
    shown = round(value, decimals) + 0.0  # adding 0.0 turns -0.0 into 0.0
    return count(shown) if decimals == 0 else f"{shown:,.{decimals}f}".replace(",", " ")


def _scientific(value: float, decimals: int) -> str:
    mantissa, exponent = f"{value:.{min(max(decimals, 0), _MOST_DIGITS)}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _decimals(size: float) -> int:
    """Decimals that show three digits of a number below a thousand, one of a larger one below, none above."""
    if size == 0.0:
        return 2
    return next((decimals for least, decimals in _LEAST if size >= least), 6)


# A number's size as it is after rounding: 9.996 is 10.0.
_LEAST = ((999.95, 0), (9.995, 1), (0.9995, 2), (0.09995, 3), (0.009995, 4), (0.0009995, 5))


def _exponent(value: float) -> int:
    """The power of ten of a number's first digit; of 0, lower than any."""
    return math.floor(math.log10(abs(value))) if value else -400


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
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    if len(shown) <= limit:
        return shown
    head = (limit - 1) // 2
    return f"{shown[:head]}…{shown[len(shown) - (limit - 1 - head) :]}"


def file_stem(name: str) -> str:
    """A name as part of a file's name: no separator, nothing that a shell or a link would read otherwise."""
    return re.sub(r"[^\w.=,+-]+", "_", name).lstrip(".")


def without_folders(text: str) -> str:
    """The text with every absolute path cut down to its last name."""
    return _ABSOLUTE_PATH.sub("…/", text)


def command_line(words: Sequence[str], store: str | None = None) -> str:
    """A command as it can be typed elsewhere: program paths as names, and no `store=` that points into this machine.

    With `store`, that is the store of the command, whatever it was called when the command was given.
    """
    kept: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key == "store" and (store is not None or _OUTSIDE.match(value)):
            continue
        kept.append(word.rsplit("/", 1)[-1] if word.startswith("/") and not kept else without_folders(word))
    return " ".join(_quoted(word) for word in [*kept, *([] if store is None else [f"store={store}"])])


def _quoted(word: str) -> str:
    """A word as a shell reads it, with nothing in it that a page could take for markup or a terminal for an order."""
    if word.isprintable() and not set(word) & set("<>&`"):
        return shlex.quote(word)
    told = "".join(_in_ansi_quotes(letter) for letter in word)
    return f"$'{told}'"


def _in_ansi_quotes(letter: str) -> str:
    if letter in "<>&`" or not letter.isprintable():
        point = ord(letter)
        return f"\\x{point:02x}" if point < 0x80 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
    return f"\\{letter}" if letter in "\\'" else letter


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence: a, b and c."""
    return "".join(words) if len(words) < 2 else f"{', '.join(words[:-1])} and {words[-1]}"
