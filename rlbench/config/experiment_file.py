"""An experiment file: one question as a grid, read into the words that would ask it on the command line.

In: a name and the folders to look in. Out: `ExperimentFile`. Scalars are read as the text that stands there and go through
the same grammar as the command line, so that 1e-3, 0:16 or [64, 64] mean the same in both. Keys are strict, and nothing is
composed.
"""

import dataclasses
import importlib.resources
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rlbench.config.keys import is_of_command
from rlbench.config.parts import Claim, DeclaredParts, is_pair, read_claims, read_parts
from rlbench.config.sequential import SequentialSpec, read_sequential
from rlbench.config.yaml_files import checked_text, errors_of
from rlbench.errors import ConfigError, check_choice, did_you_mean

_LISTS = ("variant", "recipe", "env")  # groups: one member, or several that make a factor
_SCALARS = ("steps", "episodes", "final_window")
_MAPPINGS = ("evaluation", "diagnostics")
_PER_ENVIRONMENT = ("smallest_effect", "threshold")  # returns: one number, or one for each Gymnasium id
_GRID_KEYS = ("question", *_LISTS, "grid", "set", "seeds", *_SCALARS, *_MAPPINGS)
KEYS = (*_GRID_KEYS, "comparisons", "factors", "parts", "claims", *_PER_ENVIRONMENT, "sequential")


@dataclasses.dataclass(frozen=True)
class ComparisonFamily:
    """Comparisons declared before training: the name of the family, and pairs of cell labels, first against second."""

    family: str
    pairs: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class DeclaredFactor:
    """A factor of the grid: its name, and its levels in their order, each with the labels of its cells."""

    name: str
    levels: tuple[tuple[str, tuple[str, ...]], ...]


@dataclasses.dataclass(frozen=True)
class ExperimentFile:
    """What one file says. `words` are key=value words of the command line's grammar; the rest is for the report."""

    name: str
    path: Path
    question: str
    words: tuple[str, ...]
    comparisons: tuple[ComparisonFamily, ...]
    factors: tuple[DeclaredFactor, ...] = ()
    parts: DeclaredParts | None = None  # whose comparisons are among `comparisons`
    claims: tuple[Claim, ...] = ()
    smallest_effect: Mapping[str, float] = dataclasses.field(default_factory=dict)  # "" stands for every environment
    threshold: Mapping[str, float] = dataclasses.field(default_factory=dict)
    sequential: SequentialSpec | None = None


class _Loader(yaml.BaseLoader):
    """Plain YAML, every scalar as its text, that refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"'{twice}' is given twice")
        return super().construct_mapping(node, deep)


def experiment_paths(config_dir: Path | None) -> dict[str, Path]:
    """The experiment files by name: of --config-dir, ./experiments and the package; an earlier one hides a later one."""
    folders = [config_dir / "experiment"] if config_dir else []
    folders += [Path("experiments"), packaged_experiments()]
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else []:
            found.setdefault(path.stem, path)
    return found


def packaged_experiments() -> Path:
    """The folder of the experiments that come with rlbench: in a wheel inside the package, in a checkout beside it."""
    package = Path(str(importlib.resources.files("rlbench")))
    inside = package / "experiments"
    return inside if inside.is_dir() else package.parent / "experiments"


def read_experiment(name: str, config_dir: Path | None) -> ExperimentFile:
    """The experiment file of this name. Raises ConfigError for an unknown name and for anything wrong in the file."""
    paths = experiment_paths(config_dir)
    path = paths[check_choice("experiment", name, paths)]
    with errors_of(path):
        return _read(name, path)


def read_mapping(path: Path, kind: str, keys: Sequence[str]) -> dict[str, Any]:
    """A YAML file as a mapping with these keys at most, every scalar as its text. Raises ConfigError for anything else."""
    try:
        data = yaml.load(checked_text(path), _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{kind} file is a mapping of {', '.join(keys)}")
    for key in data:
        if key not in keys:
            raise ConfigError(f"unknown key '{key}'{did_you_mean(str(key), keys)} (one of: {', '.join(keys)})")
    return data


def _read(name: str, path: Path) -> ExperimentFile:
    data = read_mapping(path, "an experiment", KEYS)
    if ("variant" in data) == ("recipe" in data):
        raise ConfigError("needs either variant or recipe: one of the two")
    question = data.get("question", "")
    if not isinstance(question, str):
        raise ConfigError("question is one text")
    parts = read_parts(data["parts"]) if "parts" in data else None
    of_parts = [ComparisonFamily(family, pairs) for family, pairs in (parts.families if parts else {}).items()]
    comparisons = _distinct([*of_parts, *_comparisons(data.get("comparisons", []))])
    declared = [pair for comparison in comparisons for pair in comparison.pairs]
    smallest_effect, threshold = (_per_environment(key, data.get(key, {})) for key in _PER_ENVIRONMENT)
    return ExperimentFile(
        name,
        path,
        question.strip(),
        tuple(_words(data)),
        comparisons,
        _factors(data.get("factors", {})),
        parts,
        read_claims(data.get("claims", []), declared),
        smallest_effect,
        threshold,
        read_sequential(data["sequential"], declared) if "sequential" in data else None,
    )


def _words(data: Mapping[str, Any]) -> list[str]:
    words = [f"{key}={_joined(key, data[key])}" for key in _LISTS if key in data]
    words += [f"{key}={value_text(key, data[key])}" for key in ("seeds", *_SCALARS) if key in data]
    for part in _MAPPINGS:
        words += [f"{part}.{key}={value_text(f'{part}.{key}', value)}" for key, value in mapping_of(part, data).items()]
    for key, values in mapping_of("grid", data).items():
        check_settable("grid", key)
        if not isinstance(values, list):
            raise ConfigError(f"grid.{key} is a list of values, [a, b]; one value for all cells belongs under set")
        words.append(f"{key}={_joined(key, values)}")
    return words + set_words(data)


def set_words(data: Mapping[str, Any]) -> list[str]:
    """What `set` says, as words. Raises ConfigError for a key that is not a file's to set."""
    for key in mapping_of("set", data):
        check_settable("set", key)
    return [f"{key}={value_text(key, value)}" for key, value in mapping_of("set", data).items()]


def check_settable(where: str, key: str) -> None:
    """Raise ConfigError for a key of the command and not of its runs: where results go and who is told is for whoever runs a file."""
    if key in ("seeds", "final_window"):
        raise ConfigError(f"{where}.{key}: {key} stands beside {where}, not under it")
    if key == "experiment" or is_of_command(key):
        raise ConfigError(f"{where}.{key} is not a file's to choose: give {key}= on the command line")


def mapping_of(key: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The mapping under a key, or an empty one. Raises ConfigError for anything else."""
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise ConfigError(f"{key} is a mapping, {{key: value}}")
    return value


def _joined(key: str, value: Any) -> str:
    """One value, or a list as a comma list."""
    if not isinstance(value, list):
        return value_text(key, value)
    if not value:
        raise ConfigError(f"{key} is an empty list")
    return ",".join(value_text(key, one) for one in value)


def value_text(key: str, value: Any) -> str:
    """A text, or a list in brackets."""
    if isinstance(value, list):
        return f"[{','.join(value_text(key, one) for one in value)}]"
    if isinstance(value, dict):
        raise ConfigError(f"{key} is a value or a list, not a mapping")
    if not value:
        raise ConfigError(f"{key} has no value")
    return str(value)


def _comparisons(data: Any) -> list[ComparisonFamily]:
    form = "comparisons is a list of {family: name, pairs: [[cell, other cell], ...]}"
    if not isinstance(data, list):
        raise ConfigError(form)
    found = []
    for one in data:
        if not isinstance(one, dict) or set(one) != {"family", "pairs"} or not isinstance(one["family"], str):
            raise ConfigError(form)
        pairs = one["pairs"]
        if not isinstance(pairs, list) or not pairs or not all(is_pair(pair) for pair in pairs):
            raise ConfigError(f"{form}; the pairs of '{one['family']}' are not pairs of two different cells")
        found.append(ComparisonFamily(one["family"], tuple((first, second) for first, second in pairs)))
    return found


def _distinct(comparisons: Sequence[ComparisonFamily]) -> tuple[ComparisonFamily, ...]:
    if len({comparison.family for comparison in comparisons}) < len(comparisons):
        raise ConfigError("comparisons has two families of one name")
    return tuple(comparisons)


def _factors(data: Any) -> tuple[DeclaredFactor, ...]:
    form = "factors is a mapping {factor: {level: [cell, ...], other level: [cell, ...]}}"
    if not isinstance(data, dict):
        raise ConfigError(form)
    found = []
    for name, levels in data.items():
        if not isinstance(levels, dict) or len(levels) < 2 or ":" in name:
            raise ConfigError(f"{form}; '{name}' needs at least two levels, and a name without a colon")
        if not all(
            isinstance(cells, list) and cells and all(isinstance(c, str) for c in cells) for cells in levels.values()
        ):
            raise ConfigError(f"{form}; a level of '{name}' is no list of cells")
        together = [cell for cells in levels.values() for cell in cells]
        twice = next((cell for cell in together if together.count(cell) > 1), None)
        if twice is not None:
            raise ConfigError(f"factors: '{twice}' is given twice under '{name}'")
        found.append(DeclaredFactor(name, tuple((level, tuple(cells)) for level, cells in levels.items())))
    return tuple(found)


def _per_environment(key: str, data: Any) -> dict[str, float]:
    """A number for all environments, under "", or one each."""
    values = data if isinstance(data, dict) else {"": data}
    found = {}
    for env, value in values.items():
        try:
            found[env] = float(value)
        except (TypeError, ValueError):
            raise ConfigError(f"{key} is a return, or a mapping {{environment: return}}; got {value!r}") from None
        if not math.isfinite(found[env]) or (key == "smallest_effect" and found[env] <= 0.0):
            raise ConfigError(f"{key} must be finite{' and above 0' if key == 'smallest_effect' else ''}; got {value}")
    return found


def check_labels(file: ExperimentFile, labels: Sequence[str]) -> None:
    """Raise ConfigError for a comparison or a factor with a cell that the file does not have."""
    named = [
        (f"comparisons '{comparison.family}'", label)
        for comparison in file.comparisons
        for pair in comparison.pairs
        for label in pair
    ]
    named += [
        (f"factors '{factor.name}'", label) for factor in file.factors for _, cells in factor.levels for label in cells
    ]
    for where, label in named:
        if label not in labels:
            raise ConfigError(
                f"{where}: unknown cell '{label}'{did_you_mean(label, labels)} (one of: {', '.join(labels)})"
            )
