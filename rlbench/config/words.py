"""The words of a command line in Hydra's override grammar: flags, and keys with one value or several.

In: argv. Out: `Flags` and `Setting`s in the order in which they were typed, with known keys and parsed, not yet converted
values. A comma list makes a factor; where a key takes only one value or a list in brackets, it is refused with the
brackets shown. Never: opens a file or composes a configuration.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, OverrideType, QuotedString, RangeSweep
from hydra.errors import HydraException

from rlbench.config import groups
from rlbench.config.arguments import HELP_WORDS, as_key, user_path
from rlbench.config.keys import ALTERNATIVES, SEE_HELP, SHORT, Key, all_keys, is_of_command, show, typed_key
from rlbench.errors import ConfigError, did_you_mean

LARGEST_SWEEP = 100_000
FLAGS = ("--dry-run", "--cfg", "--help", "--config-dir")


@dataclasses.dataclass(frozen=True)
class Flags:
    """The words that begin with a dash."""

    dry_run: bool = False
    cfg: bool = False
    help: bool = False
    config_dir: Path | None = None


@dataclasses.dataclass(frozen=True)
class Setting:
    """What one word says: a key or group, and its value, or several values that make a factor (`is_swept`)."""

    key: str
    values: tuple[Any, ...]
    is_swept: bool = False


def split_flags(argv: Sequence[str]) -> tuple[Flags, list[str]]:
    """The flags, and the words that are left. Raises ConfigError for an unknown flag or a folder that is not there."""
    flags, words, waiting = Flags(), [], list(argv)
    while waiting:
        word = waiting.pop(0)
        flag, equals, value = word.partition("=")
        if word in HELP_WORDS:
            flags = dataclasses.replace(flags, help=True)
        elif word == "--dry-run":
            flags = dataclasses.replace(flags, dry_run=True)
        elif word == "--cfg":
            flags = dataclasses.replace(flags, cfg=True)
        elif flag == "--config-dir":
            if not equals and (not waiting or waiting[0].startswith("-")):
                raise ConfigError("--config-dir needs a folder: --config-dir DIR")
            flags = dataclasses.replace(flags, config_dir=_config_dir(value if equals else waiting.pop(0)))
        elif word.startswith("--") and (flag[2:] in groups.MEANINGS or flag[2:] in all_keys()):
            raise ConfigError(f"'{flag}' is written key=value{as_key(word, argv)} {SEE_HELP}")
        elif word.startswith("-"):
            told = " takes no value" if flag in FLAGS else f" is an unknown flag{did_you_mean(flag, FLAGS)}"
            raise ConfigError(f"'{flag}'{told} {SEE_HELP}")
        else:
            words.append(word)
    return flags, words


def _config_dir(text: str) -> Path:
    folder = user_path("--config-dir", text).absolute()
    if not folder.is_dir():
        raise ConfigError(f"--config-dir: '{text}' is not a folder")
    if not any((folder / group).is_dir() for group in (*groups.MEANINGS, "study")):
        raise ConfigError(f"--config-dir: '{text}' has none of the folders {', '.join(groups.MEANINGS)}")
    return folder


def parse_words(words: Sequence[str], names: Mapping[str, Collection[str]]) -> dict[str, Setting]:
    """The settings by key. `names` has the members of every group.

    Raises ConfigError for a word that is not key=value, an unknown key, a key given twice, a comma list where one value
    is due, and two keys that say one thing.
    """
    settings: dict[str, Setting] = {}
    for word in words:
        setting = _parse_word(word, names)
        if setting.key in settings:
            raise ConfigError(f"'{setting.key}' is given twice; several values are written {setting.key}=a,b")
        settings[setting.key] = setting
    for one, other in (*ALTERNATIVES, ("variant", "recipe")):
        if is_given(settings, one) and is_given(settings, other):
            raise ConfigError(f"{one} and {other} exclude each other; give one of them")
    return settings


def is_given(settings: Mapping[str, Setting], key: str) -> bool:
    """Whether a key has a value other than null."""
    return key in settings and settings[key].values != (None,)


def merged(lower: Mapping[str, Setting], upper: Mapping[str, Setting]) -> dict[str, Setting]:
    """Both layers of settings; `upper` wins, also over a key of `lower` that says the same thing in another way."""
    dropped = set()
    for one, other in (*ALTERNATIVES, ("variant", "recipe")):
        dropped |= ({other} if is_given(upper, one) else set()) | ({one} if is_given(upper, other) else set())
    return {key: setting for key, setting in lower.items() if key not in dropped} | dict(upper)


def _parse_word(word: str, names: Mapping[str, Collection[str]]) -> Setting:
    name, equals, text = word.partition("=")
    if name[:1] in ("+", "~") or "@" in name:
        raise ConfigError(
            f"'{_one_line(word)}': every key exists already, so none is added, removed or moved: write key=value"
        )
    if not equals or not name:
        raise ConfigError(f"expected key=value, got '{_one_line(word)}'{_guess(word, names)} {SEE_HELP}")
    if name == "store":  # a path may hold what the grammar gives a meaning to
        return Setting(name, (_unquoted(text),))
    is_group = name in groups.MEANINGS
    key = None if is_group else typed_key(name)
    if "${" in text:
        raise ConfigError(f"{name} has an interpolation ${{...}}; write the value itself")
    try:
        override = OverridesParser.create().parse_override(word)
    except (HydraException, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"cannot read '{_one_line(word)}' ({reason}); text with special characters needs quotes: \"{name}='...'\""
        ) from None
    if override.type is not OverrideType.CHANGE or override.key_or_group != name:
        raise ConfigError(f"expected key=value, got '{_one_line(word)}' {SEE_HELP}")
    placed = SHORT.get(name, name)
    if not override.is_sweep_override():
        return Setting(placed, (_single(key, override),))
    return Setting(placed, _sweep_values(key, override, names), is_swept=True)


def _single(key: Key | None, override: Override) -> Any:
    """The value of an override that is not a comma list; a text is what was typed, also where it looks like a number."""
    value, is_quoted = override.value(), isinstance(override._value, QuotedString)
    if value == "" or isinstance(value, dict):
        raise ConfigError(
            f"{override.key_or_group}= has no value" if value == "" else f"{override.key_or_group} takes no mapping"
        )
    if key is None and (value is None or isinstance(value, list)):
        raise ConfigError(f"{override.key_or_group} takes the name of a member; several are written without brackets")
    wants_text = key is None or key.plain_hint is str
    if wants_text and not is_quoted and isinstance(value, (int, float)):
        return override.get_value_string().strip()
    return value


def _sweep_values(key: Key | None, override: Override, names: Mapping[str, Collection[str]]) -> tuple[Any, ...]:
    name, inner = override.key_or_group, override._value
    if isinstance(inner, Glob):
        if name not in names:
            raise ConfigError(f"{name}: glob() stands for members of a group, and {name} is none")
        values = inner.filter(list(names[name]))
    elif getattr(inner, "shuffle", False) or override.is_interval_sweep():
        raise ConfigError(f"{name}: write the values of a factor out, or as range(start,stop,step)")
    else:
        if isinstance(inner, RangeSweep) and not 0 < _range_size(inner) <= LARGEST_SWEEP:
            raise ConfigError(f"{name}: the range has no values, or more than {LARGEST_SWEEP}")
        values = [Override._convert_value(value) for value in override.sweep_iterator()]
    _check_sweep(key, name, values)
    if not values:
        raise ConfigError(f"{name}: no values in '{_one_line(override.get_value_string())}'")
    if any(
        value == "" or isinstance(value, dict) or (key is None and (value is None or isinstance(value, list)))
        for value in values
    ):
        raise ConfigError(f"{name}: '{_one_line(override.get_value_string())}' holds what is no value of {name}")
    shown = [show(value) for value in values]
    twice = next((text for text in shown if shown.count(text) > 1), None)
    if twice is not None:
        raise ConfigError(f"{name} lists {twice} twice")
    return tuple(values)


def _range_size(sweep: RangeSweep) -> float:
    start, stop, step = float(sweep.start or 0), float(sweep.stop or 0), float(sweep.step)
    return (stop - start) / step if step else 0


def _check_sweep(key: Key | None, name: str, values: Sequence[Any]) -> None:
    """Refuse a comma list where it cannot make cells."""
    shown = ",".join(map(show, values))
    if name == "seeds":
        raise ConfigError(f"seeds={shown} needs brackets: seeds=[{shown}] (or a count, or a range a:b)")
    if key is not None and key.is_list and not all(isinstance(value, list) for value in values):
        raise ConfigError(f"{name} is a list and needs brackets: {name}=[{shown}]")
    if name == "experiment" or is_of_command(name):
        raise ConfigError(f"{name} takes one value for the whole command; got {shown}")


def _guess(word: str, names: Mapping[str, Collection[str]]) -> str:
    """What a word without `=` was perhaps meant to be."""
    if word in all_keys() or word in names:
        return f"; write {word}=VALUE"
    for group, members in names.items():
        if word in members:
            return f"; did you mean '{group}={word}'?"
    return did_you_mean(word, [*names, *all_keys()])


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _one_line(text: str) -> str:
    """The text on one line, cut to a readable length."""
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:117]}..."
