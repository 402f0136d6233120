"""What `seeds=` means: a count, a range a:b without b, or a list in brackets.

In: the parsed value. Out: distinct seeds in the order given, each in [0, 2**32). Never guesses.
"""

import re
from collections import Counter
from typing import Any

from rlbench.config.arguments import whole_number
from rlbench.errors import ConfigError

SEED_LIMIT = 2**32
LARGEST_COUNT = 1_000_000

_RANGE = re.compile(r"(\d+):(\d+)")
_FORMS = "seeds takes a count (32), a range (100:132) or a list in brackets ([1,2,5])"


def parse_seeds(value: Any) -> tuple[int, ...]:
    """The seeds that a value of `seeds=` stands for. Raises ConfigError for none, too many, one twice, or another form."""
    matched = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, str) and value.isdecimal():
        value = whole_number("seeds", value, 0, SEED_LIMIT)
    if matched:
        first, stop = (whole_number("a seed", text, 0, SEED_LIMIT) for text in matched.groups())
        if first >= stop:
            raise ConfigError(f"seeds={value} is an empty range: a:b are the seeds from a up to b, without b")
        _check(stop - first, stop - 1)
        return tuple(range(first, stop))
    if isinstance(value, list) and all(_is_whole(seed) and seed >= 0 for seed in value):
        if not value:
            raise ConfigError("seeds=[] has no seeds; at least 1 is needed")
        twice = sorted(seed for seed, count in Counter(value).items() if count > 1)
        if twice:
            raise ConfigError(f"seeds lists {', '.join(map(str, twice))} twice; every seed is one run")
        _check(len(value), max(value))
        return tuple(value)
    if _is_whole(value):
        if value < 1:
            raise ConfigError(f"seeds={value}: at least 1 seed is needed")
        _check(value, value - 1)
        return tuple(range(value))
    raise ConfigError(f"{_FORMS}; got {value!r}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(count: int, largest: int) -> None:
    if count > LARGEST_COUNT:
        raise ConfigError(f"{count} seeds in one command are too many; at most {LARGEST_COUNT}")
    if largest >= SEED_LIMIT:
        raise ConfigError(f"a seed is at most {SEED_LIMIT - 1}; got {largest}")
