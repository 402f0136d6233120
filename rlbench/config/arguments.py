"""The `key=value` words of the simple commands (report, results, sync ...), checked against the keys they know.

In: the words after the command, and the allowed keys with their defaults. Out: a dict of texts, or one `ConfigError`
that names the word, what is allowed and the nearest right name. Never: touches a file, or guesses what was meant.
The commands that train take Hydra's grammar instead and do not come here.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from rlbench.errors import (
    EXIT_BAD_INPUT,
    EXIT_CANNOT_WRITE,
    EXIT_DIFFERENCE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    ConfigError,
    RlbenchError,
    check_choice,
    did_you_mean,
)
from rlbench.interrupts import is_pressed, watched
from rlbench.places import Place, is_remote, place_of
from rlbench.plain_text import as_message
from rlbench.untold import watching

HELP_WORDS = ("--help", "-h")


def as_key(word: str, argv: Sequence[str]) -> str:
    """The clause for a flag that is meant as a key: "--seeds" before "3" becomes "; did you mean seeds=3?"."""
    key, equals, value = word.lstrip("-").partition("=")
    if not equals:
        behind = list(argv)[list(argv).index(word) + 1 :]
        value = behind[0] if behind and not behind[0].startswith("-") and "=" not in behind[0] else "..."
    return f"; did you mean {key}={value}?"


def whole_number(key: str, text: str, least: int, most: int) -> int:
    """The whole number that a text says. Raises ConfigError for another text, or one outside `least` to `most`."""
    # Python reads no more than a few thousand digits, so their number is looked at first.
    if not text.isdecimal() or len(text) > 30 or not least <= int(text) <= most:
        raise ConfigError(f"{key} is a whole number of at least {least} and at most {most}; got '{text}'")
    return int(text)


def user_path(key: str, text: str) -> Path:
    """A path that somebody typed, `~` and `~user` written out. Raises ConfigError where that is impossible."""
    if "\0" in text:
        raise ConfigError(f"{key}={text}: no path holds a zero byte")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{key}={text}: there is no such user, or no home folder") from None


def user_store(text: str) -> Place:
    """Where a store lies that somebody typed: a folder or a URL. Raises ConfigError where that is impossible."""
    place = place_of(text)
    return place if is_remote(place) else user_path("store", text)


def parse_arguments(
    argv: Sequence[str],
    allowed: Mapping[str, str | None],
    *,
    prog: str,
    doc: str,
    choices: Mapping[str, Collection[str]] | None = None,
) -> dict[str, str]:
    """Read `key=value` words; a key that is not given takes its default, or is left out where that is None.

    `choices` limits the values of some keys. `--help` or `-h` anywhere prints `doc` and the keys, and leaves by
    SystemExit(0). Raises ConfigError on an unknown key or value, a key given twice or without a value, and on any
    other word.
    """
    if any(word in HELP_WORDS for word in argv):
        print(help_text(allowed, prog=prog, doc=doc, choices=choices))
        raise HelpPrinted(EXIT_OK)
    see_help = f" (see: {prog} --help)"
    given: dict[str, str] = {}
    for word in argv:
        key, equals, value = word.partition("=")
        if word.startswith("--") and word.lstrip("-").partition("=")[0] in allowed:
            raise ConfigError(f"'{word}' is written key=value{as_key(word, argv)}{see_help}")
        if not equals:
            raise ConfigError(f"expected key=value, got '{word}'{did_you_mean(word.lstrip('-'), allowed)}{see_help}")
        if key not in allowed:
            raise ConfigError(f"unknown key '{key}'{did_you_mean(key, allowed)}{see_help}")
        if key == "store" and value:
            several = value.split(",") if "://" in value else [value]  # no address has a comma, a folder may
            value = ",".join(str(user_store(one)) for one in several)  # first: a secret is refused unshown
        if key in given:
            raise ConfigError(f"'{key}' is given twice: {key}={given[key]} and {word}")
        if not value:
            raise ConfigError(f"'{key}=' has no value{see_help}")
        given[key] = check_choice(key, value, choices[key]) if choices and key in choices else value
    defaults = {key: default for key, default in allowed.items() if default is not None}
    return defaults | given


def help_text(
    allowed: Mapping[str, str | None],
    *,
    prog: str,
    doc: str,
    choices: Mapping[str, Collection[str]] | None = None,
) -> str:
    """What `--help` prints: the command's own text, then every key with its default and its values."""
    width = max(map(len, allowed), default=0)
    lines = [f"usage: {prog} " + " ".join(f"[{key}=...]" for key in allowed), "", doc.strip(), "", "keys:"]
    for key, default in allowed.items():
        values = f"   one of: {', '.join(choices[key])}" if choices and key in choices else ""
        lines.append(f"  {key.ljust(width)}   {'optional' if default is None else f'default: {default}'}{values}")
    return "\n".join(lines)


def _is_too_long(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG


def _refused_by_the_system(prog: str, error: OSError) -> int:
    """A path longer than the system takes is bad input, wherever it is met. All else is a place that cannot be written."""
    where = str(error.filename or "the output")
    if _is_too_long(error):
        shown = where if len(where) <= 60 else f"{where[:28]}...{where[-28:]}"
        print(
            f"{prog}: {as_message(f'a path of {len(where)} letters is too long for this system: {shown}')}",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT
    print(f"{prog}: {as_message(f'cannot write {where}: {error.strerror or error}')}", file=sys.stderr)
    _write_to_nothing()
    return EXIT_CANNOT_WRITE


def _write_to_nothing() -> None:
    """Give stdout somewhere to write: the interpreter flushes it once more on its way out, and would complain."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class HelpPrinted(SystemExit):
    """--help was among the words and has been answered."""


def run_command(prog: str, body: Callable[[], int]) -> int:
    """Run a command and return its exit code, with every expected error as one line on stderr.

    A closed pipe (`| head`) ends quietly with 0, an output that cannot be written with 4, Ctrl-C with 130. What was found damaged and
    not told yet is told last, a line each, and then neither success nor a mistake of the user is what happened: 1.
    """
    with watching() as untold:
        code = _run_command(prog, body)
        lines = untold()
    for line in lines:
        print(f"damage: {as_message(line)}", file=sys.stderr)
    return EXIT_DIFFERENCE if lines and code in (EXIT_OK, EXIT_BAD_INPUT) else code


def _run_command(prog: str, body: Callable[[], int]) -> int:
    with watched():
        try:
            code = body()
            sys.stdout.flush()
            return code
        except HelpPrinted:
            return EXIT_OK
        except BrokenPipeError:
            _write_to_nothing()
            return EXIT_OK
        except RlbenchError as error:
            if is_pressed():
                return EXIT_INTERRUPTED
            print(f"{prog}: {as_message(str(error))}", file=sys.stderr)
            return EXIT_BAD_INPUT if _is_too_long(error.__cause__) else error.exit_code
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        except SystemExit as leaving:  # of code that is not ours: nothing here leaves by it
            print(f"{prog}: a module called sys.exit({as_message(repr(leaving.code))})", file=sys.stderr)
            return EXIT_BAD_INPUT
        except Exception as error:
            if is_pressed():  # an import that was cut short says so in its own way
                return EXIT_INTERRUPTED
            if isinstance(error, OSError):
                return _refused_by_the_system(prog, error)
            raise
