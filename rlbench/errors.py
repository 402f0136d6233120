"""The errors that a user can cause, each with the exit code of the command that meets it.

Everything raised on purpose derives from `RlbenchError`; its text is one clear line, written for the person who made the mistake.
"""

from collections.abc import Collection

EXIT_OK = 0
EXIT_DIFFERENCE = 1  # a check (verify, lint) found a difference, or something that is stored is damaged
EXIT_BAD_INPUT = 2
EXIT_RUNS_FAILED = 3  # some runs failed or diverged
EXIT_CANNOT_WRITE = 4  # a full disk, say; what was published before stays readable
EXIT_INTERRUPTED = 130


class RlbenchError(Exception):
    """Base of every error that rlbench raises on purpose."""

    exit_code = EXIT_BAD_INPUT


class ConfigError(RlbenchError):
    """What was asked for is impossible: an unknown name, a wrong type, an impossible value. Nothing was written."""


class TrainingError(RlbenchError):
    """Runs could not be trained to their ends; what is done is stored."""

    exit_code = EXIT_RUNS_FAILED


class StoreError(RlbenchError):
    """The results folder cannot be read: no permission, a foreign or newer format."""


class DamagedError(StoreError):
    """Something that is stored is not what was written."""

    exit_code = EXIT_DIFFERENCE


class UnreachableError(StoreError):
    """A server did not give what was asked for. Nothing follows from that for what is stored."""


class WriteError(StoreError):
    """The results folder cannot be written any more: no space, no permission. What was published before stays readable."""

    exit_code = EXIT_CANNOT_WRITE


class LeaseLostError(WriteError):
    """Another process has taken this one for dead, and its runs over: it may write no more."""


def first_line(error: BaseException) -> str:
    """What an error of somebody else's code says first, for an error of our own in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def did_you_mean(word: str, known: Collection[str]) -> str:
    """A clause "; did you mean 'x'?" with the known name nearest to `word`, or an empty text where none is near."""
    import difflib  # here: what is imported before Ctrl-C is watched is kept to what Python has loaded anyway

    nearest = difflib.get_close_matches(word.lower(), {name.lower(): None for name in known}, n=1)
    for name in known:
        if nearest and name.lower() == nearest[0]:
            return f"; did you mean '{name}'?"
    return ""


def check_choice(key: str, value: str, choices: Collection[str]) -> str:
    """Return `value` if it is one of `choices`; raises ConfigError with the nearest one otherwise."""
    if value in choices:
        return value
    raise ConfigError(f"unknown {key} '{value}'{did_you_mean(value, choices)} (one of: {', '.join(choices) or 'none'})")
