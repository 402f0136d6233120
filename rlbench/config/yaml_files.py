"""YAML files that somebody wrote: their text, once it is known that reading it takes bounded time and memory.

In: a path. Out: the text. What rlbench itself wrote may begin with a comment that is the checksum
of the rest. A few hundred bytes of nested aliases stand for billions of values, and a deep nesting overflows the stack of
whoever builds it, so the size of the whole is counted from the parser's events, which build nothing. Knows nothing of what a file means.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import yaml

from rlbench.errors import ConfigError, DamagedError

MOST_BYTES = 300_000
MOST_VALUES = 100_000
MOST_LEVELS = 40
_CHECKSUM = "# sha256: "


@contextlib.contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """What is raised as a ConfigError meanwhile says which file is wrong."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def checked_text(path: Path) -> str:
    """The text of a YAML file. Raises ConfigError where it cannot be read, is no YAML, or is too large, too deep or endless."""
    try:
        text = bounded_text(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot be read ({' '.join(str(error).split())})") from None
    return text


def bounded_text(path: Path) -> str:
    """As `checked_text`, with the errors of the file system and of YAML as they are."""
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(f"is too large: at most {MOST_BYTES} bytes")
    text = path.read_text(encoding="utf-8")
    _count(text)
    return text


def with_checksum(text: str) -> str:
    """The text behind a line with its checksum: in front, so that a file that was cut still has it."""
    return f"{_first_line(text.encode())}{text}"


def check_checksum(path: Path) -> None:
    """Raise DamagedError where a file that begins with a checksum does not give it; one without was written before there were any."""
    with path.open("rb") as file:
        first, rest = file.readline(), file.read()
    if first.startswith(_CHECKSUM.encode()) and first != _first_line(rest).encode():
        raise DamagedError(f"{path} is damaged: it does not give its checksum")


def _first_line(rest: bytes) -> str:
    return f"{_CHECKSUM}{hashlib.sha256(rest).hexdigest()}\n"


def _count(text: str) -> None:
    """Raise ConfigError where the aliases, written out, are too many values, or lists and mappings are too deep."""
    known: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and the values so far when it began
    values = 0
    for event in yaml.parse(text, yaml.BaseLoader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in known:
                raise ConfigError(f"the alias *{event.anchor} stands for nothing before it")
            values += known[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            if event.anchor:
                known[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            values += 1
            open_nodes.append((event.anchor, values - 1))
            if len(open_nodes) > MOST_LEVELS:
                raise ConfigError(f"lists and mappings are nested too deeply: at most {MOST_LEVELS} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                known[anchor] = values - before
        if values > MOST_VALUES:
            raise ConfigError(f"has too many values, aliases written out: at most {MOST_VALUES}")
