"""The errors that a user can cause, each with the exit code of the command that meets it.

Everything raised on purpose derives from `RlbenchError`; its text is one clear line, written for the person who made the mistake.
"""

EXIT_OK = 0
EXIT_DIFFERENCE = 1  # a check (verify, lint) found a difference
EXIT_BAD_INPUT = 2
EXIT_RUNS_FAILED = 3  # some runs failed or diverged
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
    """The results folder cannot be read or written: no permission, no space, a foreign or newer format."""


def first_line(error: BaseException) -> str:
    """What an error of somebody else's code says first, for an error of our own in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


MOST_OF_A_WORD, MOST_OF_A_MESSAGE = 300, 4000  # characters that an error repeats of what was typed or read


def printable(text: str) -> str:
    """The text on one line of bounded length, with control characters shown and not sent."""
    shown = "".join(
        one if one.isprintable() else " " if one.isspace() else one.encode("unicode_escape").decode() for one in text
    )
    words = [word if len(word) <= MOST_OF_A_WORD else f"{word[:200]}...{word[-50:]}" for word in shown.split(" ")]
    line = " ".join(words)
    return line if len(line) <= MOST_OF_A_MESSAGE else f"{line[: MOST_OF_A_MESSAGE - 200]} ... {line[-190:]}"
