"""YAML files that somebody wrote: their text, once it is known that reading it takes bounded time and memory.

In: a path. Out: the text. A few hundred bytes of nested aliases stand for billions of values, and a deep nesting overflows the stack of
whoever builds it, so the size of the whole is counted from the parser's events, which build nothing. Knows nothing of what a file means.
"""

from pathlib import Path

import yaml

from rlbench.errors import ConfigError

MOST_BYTES = 300_000
MOST_VALUES = 100_000
MOST_LEVELS = 40


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
