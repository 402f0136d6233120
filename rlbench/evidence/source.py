"""A run as somebody else recorded it, and what its reader has to say: what every reader of foreign files gives.

Plain values. Knows nothing of files or of the tables of a store.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rlbench.plain_text import escaped

EVALUATION, TRAINING = "evaluation", "training"
KINDS = (EVALUATION, TRAINING)  # what a return is of: greedy episodes apart from training, or training's own episodes
_SEED = re.compile(r"(?:seed[_=-]?|s)?(\d{1,10})", re.IGNORECASE)
_RUNS_FOR_A_TEST = 2
_MAX_ROWS = 5  # of a file that cannot be read
_LONGEST = 80  # letters of a file's own that a message shows
_AMOUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# What writers put where an environment has no Gymnasium specification.
_NO_NAMES = ("", "none", "null", "nan", "unknown")


@dataclass(frozen=True)
class SourceRun:
    """One run's returns in the order of its environment steps.

    steps, returns, lengths, episodes: [rows]; a length of 0 is an unknown one. episodes: counts the episodes of one
    evaluation point; 0 where there is one. origin: where it was read, for messages. repeated: rows that stood there before.
    num_files: how many files it was put together from.
    """

    variant: str
    env: str
    seed: int
    steps: NDArray[np.int64]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    episodes: NDArray[np.int64]
    origin: str
    repeated: tuple[str, ...] = ()
    num_files: int = 1


@dataclass(frozen=True)
class Finding:
    """One thing to say of evidence. `is_note` where it is to be known and is not wrong."""

    kind: str
    text: str
    is_note: bool = False


@dataclass
class Reading:
    """What a reader gives: the runs that it could read, and findings on what it left aside or what is to be doubted.

    kind: what the returns are of. source: what kind of files, in words. meaning: what more there is to know of the returns.
    has_episodes: each row of training is one episode, and no average over some. is_paired: whether equal seeds of two
    variants mean anything. has_curves: False for scores without steps.
    """

    kind: str
    source: str
    runs: list[SourceRun] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    meaning: str = ""
    has_episodes: bool = True
    is_paired: bool = True
    has_curves: bool = True

    def leave(self, kind: str, text: str) -> None:
        """Something is wrong, and is left aside or to be doubted."""
        self.findings.append(Finding(kind, text))

    def leave_rows(self, file: str, told: Sequence[str]) -> None:
        """Rows of a file cannot be read: the first few are told one by one."""
        for text in told[:_MAX_ROWS]:
            self.leave("unreadable", f"{file} {text}")
        if len(told) > _MAX_ROWS:
            self.leave("unreadable", f"{file}: and {len(told) - _MAX_ROWS} more rows")

    def note(self, text: str) -> None:
        """Something is to be known without its being wrong."""
        self.findings.append(Finding("note", text, is_note=True))


def seed_in(text: str) -> int | None:
    """The seed that a name stands for: 3, s3, seed3, seed_3. None for any other name."""
    matched = _SEED.fullmatch(text)
    return None if matched is None else int(matched[1])


def env_name(text: object) -> str:
    """An environment's id, or an empty text where a writer says that it has none: null, None, nan."""
    name = str(text).strip()
    return "" if name.lower() in _NO_NAMES else name


def quoted(text: str) -> str:
    """What a file says, to be shown in a message: in quotes, printable and of a readable length."""
    shown = escaped(text)
    return f"'{shown}'" if len(shown) <= _LONGEST else f"'{shown[: _LONGEST - 3]}...'"


def shortened_list(names: Iterable[object], most: int = 5) -> str:
    """Some names, and how many more there are."""
    texts = [str(name) for name in names]
    more = len(texts) - most
    return ", ".join(texts if more <= 0 else [*texts[:most], f"and {more} more"])


def untestable(env: str, counts: Mapping[str, int]) -> str:
    """A sentence where no two variants have the runs for a test, by their numbers of runs; empty where two have."""
    if len(counts) < 2 or sum(count >= _RUNS_FOR_A_TEST for count in counts.values()) >= 2:
        return ""
    total = sum(counts.values())
    told = shortened_list(f"{variant} has {count}" for variant, count in counts.items())
    amount = _AMOUNTS[total] if total < len(_AMOUNTS) else str(total)
    return f"{amount} runs, no test possible on {env}: {told}, and a test needs {_RUNS_FOR_A_TEST} a side"
