"""What the columns of somebody's table are called, and what they mean here.

In: the names in a file, and a mapping that was given for them. Out: the names that this package reads. Raises `ConfigError`
for a name that nobody knows, unless a mapping was given: then the other columns are left aside, and said to be.
"""

from collections.abc import Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType, QuotedString
from hydra.errors import HydraException

from rlbench.errors import ConfigError, did_you_mean
from rlbench.evidence.source import quoted

CURVES = ("variant", "environment", "seed", "step", "return")
SCORES = ("variant", "environment", "score")
COLUMNS = ("variant", "environment", "seed", "step", "return", "episode", "score")
# What this package calls them elsewhere.
ALIASES = {"env": "environment", "env_steps": "step", "episode_return": "return", "final_return": "score"}
_EXAMPLE = "columns='{algo: variant, game: env, score: final_return}'"


def parse_columns(columns: str | Mapping[str, str]) -> dict[str, str]:
    """A mapping {THEIRS: OURS}, as it is or in Hydra's grammar. Raises ConfigError with an example."""
    given = _parsed(columns) if isinstance(columns, str) else dict(columns)
    if not isinstance(given, dict) or not given:
        raise ConfigError(f"columns= takes a mapping from their names to ours: {_EXAMPLE}")
    mapping = {_text(theirs): _text(ours) for theirs, ours in given.items()}
    known = (*COLUMNS, *ALIASES)
    for theirs, ours in mapping.items():
        if ours not in known:
            said = f"columns={{{theirs}: {ours}}}: there is no column '{ours}'{did_you_mean(ours, known)}"
            raise ConfigError(f"{said} (one of: {', '.join(known)})")
    return {theirs: ALIASES.get(ours, ours) for theirs, ours in mapping.items()}


def _parsed(text: str) -> object:
    """What Hydra makes of the text; None where it makes nothing of it, or several values."""
    try:
        override = OverridesParser.create().parse_override(f"columns={text}")
        return override.value() if override.type == OverrideType.CHANGE and not override.is_sweep_override() else None
    except (HydraException, RecursionError):
        return None


def _text(value: object) -> str:
    return value.text if isinstance(value, QuotedString) else str(value)


def our_names(names: Sequence[str], mapping: Mapping[str, str] | None, origin: str) -> list[str]:
    """Ours for each column of a file, empty for one that is left aside. Raises ConfigError for what does not fit."""
    if not names:
        raise ConfigError(f"{origin} is empty; it needs the columns {', '.join(CURVES)}")
    for theirs in mapping or {}:
        if theirs not in names:
            near = did_you_mean(theirs, names)
            raise ConfigError(f"columns=: {origin} has no column '{theirs}'{near} (it has: {', '.join(names)})")
    found = [(mapping or {}).get(name) or _own(name, mapping, origin) for name in names]
    for name in COLUMNS:
        if found.count(name) > 1:
            raise ConfigError(f"{origin} row 1: the column '{name}' is there twice")
    wanted = SCORES if "score" in found and "step" not in found else CURVES
    for name in wanted:
        if name not in found:
            raise ConfigError(
                f"{origin} row 1: the column '{name}' is missing (columns: {', '.join(CURVES)}; or, of scores without steps,"
                f" {', '.join(SCORES)}, and perhaps seed); other names: {_EXAMPLE}"
            )
    odd = ("return", "episode") if wanted is SCORES else ("score",)
    for name in odd:
        if name in found:
            raise ConfigError(f"{origin} row 1: '{name}' does not go with {', '.join(wanted)}")
    return found


def _own(name: str, mapping: Mapping[str, str] | None, origin: str) -> str:
    """Ours for a column that the mapping does not name."""
    ours = ALIASES.get(name, name)
    if ours in COLUMNS and ours not in (mapping or {}).values():
        return ours
    if mapping is None:
        known = (*COLUMNS, *ALIASES)
        raise ConfigError(
            f"{origin} row 1: unknown column {quoted(name)}{did_you_mean(name, known)} (columns: {', '.join(CURVES)}, and perhaps episode);"
            f" other names: {_EXAMPLE}"
        )
    return ""
