"""A study file: what is tuned, over which space, for which objective, with how much effort.

In: a name and the folders to look in. Out: `StudyFile`; strict keys and types, nothing composed. The space stays as it is written, because
it is read once for each variant. Knows nothing of Optuna.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from rlbench.config.arguments import whole_number
from rlbench.config.cadence import is_fraction, steps_of
from rlbench.config.experiment_file import mapping_of, packaged_experiments, read_mapping, set_words, value_text
from rlbench.config.seeds import SEED_LIMIT
from rlbench.config.yaml_files import errors_of
from rlbench.errors import ConfigError, check_choice, did_you_mean
from rlbench.stats import smallest_sign_flip_p
from rlbench.tuning.objective import Objective

_RUN = ("env", "steps", "episodes", "seeds", "lanes")
_PARTS = ("evaluation", "diagnostics")
KEYS = (
    "question",
    "variant",
    *_RUN,
    *_PARTS,
    "set",
    "space",
    "objective",
    "trials",
    "sampler",
    "pruner",
    "seed",
    "confirm",
)
SAMPLERS = ("tpe", "random", "gp", "grid", "cmaes")
PRUNERS = ("none", "median", "halving", "hyperband", "wilcoxon")
DEFAULT_SEEDS = "4"
MOST = 1_000_000  # trials
LEVEL = 0.05  # of a confirmation, over all its candidates

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class SamplerSettings:
    """Which sampler proposes trials; `startup` random ones come first (tpe, gp, cmaes)."""

    kind: str = "tpe"
    startup: int = 10


@dataclasses.dataclass(frozen=True)
class PrunerSettings:
    """Which pruner stops trials, and when; a number that a kind does not know is ignored by none of them: it is refused.

    median: after `startup` finished trials, from `warmup` steps on. halving, hyperband: first decision at `least` steps (default: one
    evaluation period), then each `factor` times as far. wilcoxon: below `p`, over the seeds of a trial against those of the best one.
    A study file may give the cadences, `warmup` and `least`, as fractions of a run's steps; in a `Study` they are steps.
    """

    kind: str = "median"
    startup: int = 5
    warmup: int | float = 0
    least: int | float = 0
    factor: int = 3
    p: float = 0.1


CADENCES = ("warmup", "least")
USED = {
    "none": (),
    "median": ("startup", "warmup"),
    "halving": ("least", "factor"),
    "hyperband": ("least", "factor"),
    "wilcoxon": ("p",),
}


@dataclasses.dataclass(frozen=True)
class Confirm:
    """What is trained on fresh seeds after tuning: the `top` trials and the untuned default, on this many `seeds`; 0 is none."""

    top: int = 3
    seeds: int = 10


@dataclasses.dataclass(frozen=True)
class StudyFile:
    """What one file says. `words` are key=value words of the command line's grammar, `space` is as it is written."""

    name: str
    path: Path
    question: str
    variants: tuple[str, ...]
    words: tuple[str, ...]
    space: Mapping[str, Any]
    objective: Objective
    sampler: SamplerSettings
    pruner: PrunerSettings
    confirm: Confirm
    trials: int
    seed: int


def study_paths(config_dir: Path | None) -> dict[str, Path]:
    """The study files by name: of --config-dir, ./experiments/studies and the package; an earlier one hides a later one."""
    folders = [config_dir / "study"] if config_dir else []
    folders += [Path("experiments") / "studies", packaged_experiments() / "studies"]
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else []:
            found.setdefault(path.stem, path)
    return found


def read_study(name: str, config_dir: Path | None) -> StudyFile:
    """The study file of this name. Raises ConfigError for an unknown name and for anything wrong in the file but its space."""
    paths = study_paths(config_dir)
    path = paths[check_choice("study", name, paths)]
    with errors_of(path):
        return _read(name, path)


def _read(name: str, path: Path) -> StudyFile:
    data = read_mapping(path, "a study", KEYS)
    for key in ("variant", "space"):
        if not data.get(key):
            raise ConfigError(f"a study file needs {key}")
    variants = data["variant"] if isinstance(data["variant"], list) else [data["variant"]]
    if not all(isinstance(one, str) for one in variants) or len(set(variants)) < len(variants):
        raise ConfigError("variant is a name, or a list of different names")
    file = StudyFile(
        name=name,
        path=path,
        question=str(data.get("question", "")).strip(),
        variants=tuple(variants),
        words=tuple(_words(data)),
        space=mapping_of("space", data),
        objective=_filled(Objective, "objective", mapping_of("objective", data)),
        sampler=_filled(SamplerSettings, "sampler", _with_kind(data.get("sampler", {}), "sampler")),
        pruner=_filled(PrunerSettings, "pruner", _with_kind(data.get("pruner", {}), "pruner")),
        confirm=_filled(Confirm, "confirm", mapping_of("confirm", data)),
        trials=_whole("trials", data.get("trials", "64"), 1, MOST),
        seed=_whole("seed", data.get("seed", "0"), 0, SEED_LIMIT - 1),
    )
    _check(file, mapping_of("pruner", data) if isinstance(data.get("pruner"), dict) else {})
    return file


def _check(file: StudyFile, told: Mapping[str, Any]) -> None:
    check_choice("sampler", file.sampler.kind, SAMPLERS)
    check_choice("pruner", file.pruner.kind, PRUNERS)
    for key in told:
        if key != "kind" and key not in USED[file.pruner.kind]:
            allowed = ", ".join(USED[file.pruner.kind]) or "none"
            raise ConfigError(f"pruner.{key} does not apply to {file.pruner.kind} (its keys: {allowed})")
    if file.sampler.startup < 0 or file.pruner.startup < 0 or file.pruner.warmup < 0 or file.pruner.least < 0:
        raise ConfigError("sampler.startup, pruner.startup, pruner.warmup and pruner.least are at least 0")
    if file.pruner.factor < 2 or not 0 < file.pruner.p < 1:
        raise ConfigError("pruner.factor is at least 2, and pruner.p between 0 and 1")
    if not 0 <= file.confirm.seeds <= 1000 or file.confirm.top < 1:
        raise ConfigError("confirm.seeds is from 0 to 1000, and confirm.top at least 1")


def pruner_at(
    pruner: PrunerSettings, period: int, steps: int | None, file_steps: int, *, yields: bool
) -> PrunerSettings:
    """The pruner of runs of so many steps, evaluated every `period`, with its cadences in steps.

    `file_steps` are those of the study file. Where the command has another budget (`yields`), a cadence in steps that would stop no trial
    is the fraction that it was of the file's, and none is later than the last decision.
    """
    found = {}
    for key in CADENCES:
        value, last = getattr(pruner, key), None if steps is None else last_decision(steps, period)
        if yields and last is not None and value > last and not is_fraction(value):
            value = value / file_steps
        if is_fraction(value):
            value = steps_of(value, steps or file_steps)
        found[key] = min(value, max(last, 0)) if yields and last is not None else value
    return dataclasses.replace(pruner, **found)


def last_decision(steps: int, period: int) -> int:
    """The last step at which a run of so many steps can be stopped."""
    return (steps // period - 1) * period


def check_effort(file: StudyFile, pruner: PrunerSettings, num_seeds: int, period: int, steps: int | None) -> None:
    """Raise ConfigError for settings under which a pruner never stops a trial, or the confirmation never supports one."""
    if pruner.kind == "wilcoxon" and 0.5**num_seeds >= pruner.p:
        least = math.floor(-math.log2(pruner.p)) + 1
        raise ConfigError(
            f"pruner wilcoxon with {num_seeds} seeds has no p below {0.5**num_seeds:g}, so p={pruner.p:g} stops no trial;"
            f" it needs at least {least} seeds"
        )
    if steps is not None:
        last = last_decision(steps, period)
        key = {"median": "warmup", "halving": "least", "hyperband": "least"}.get(pruner.kind, "")
        if key and getattr(pruner, key) > last:
            raise ConfigError(
                f"pruner.{key}={getattr(pruner, key)} stops no trial: the last decision of a run of {steps} steps is at {last}"
            )
    smallest = smallest_sign_flip_p(file.confirm.seeds) * file.confirm.top
    if file.confirm.seeds and smallest > LEVEL:
        least = 1 + math.ceil(math.log2(file.confirm.top / LEVEL))
        raise ConfigError(
            f"confirm: {file.confirm.seeds} seeds can support none of {file.confirm.top} candidates (the smallest corrected p is"
            f" {smallest:.2g}): at least {least} seeds are needed, or 0 for no confirmation"
        )


def effort_notes(file_trials: int, sampler: SamplerSettings, pruner: PrunerSettings) -> list[str]:
    """What is possible and probably not meant, one line each."""
    notes = []
    if sampler.kind in ("tpe", "gp", "cmaes") and sampler.startup >= file_trials:
        notes.append(
            f"sampler {sampler.kind} never learns: the first {sampler.startup} of {file_trials} trials are random"
        )
    if pruner.kind == "median" and pruner.startup >= file_trials:
        notes.append(f"pruner median never stops a trial: it waits for {pruner.startup} finished of {file_trials}")
    return notes


def _words(data: Mapping[str, Any]) -> list[str]:
    words = [f"{key}={value_text(key, data[key])}" for key in _RUN if key in data]
    if "seeds" not in data:
        words.append(f"seeds={DEFAULT_SEEDS}")
    for part in _PARTS:
        words += [f"{part}.{key}={value_text(f'{part}.{key}', value)}" for key, value in mapping_of(part, data).items()]
    return words + set_words(data)


def _with_kind(told: Any, what: str) -> Mapping[str, Any]:
    """`sampler: tpe` is `sampler: {kind: tpe}`."""
    if isinstance(told, str):
        return {"kind": told}
    if not isinstance(told, dict):
        raise ConfigError(f"{what} is a name, or a mapping with its kind")
    return told


def _filled(cls: type[T], what: str, told: Mapping[str, Any]) -> T:
    """A flat dataclass from texts, each of its field's type."""
    fields: dict[str, Any] = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, raw in told.items():
        if key not in fields:
            raise ConfigError(f"unknown key '{what}.{key}'{did_you_mean(key, fields)} (one of: {', '.join(fields)})")
        kind = type(fields[key].default)
        try:
            is_part = cls is PrunerSettings and key in CADENCES and is_fraction(float(raw))
            values[key] = float(raw) if is_part else kind(raw)
        except (TypeError, ValueError):
            wanted = {int: "a whole number", float: "a number"}.get(kind, "a text")
            raise ConfigError(f"{what}.{key} is {wanted}; got {raw!r}") from None
    return cls(**values)


def _whole(key: str, raw: Any, least: int, most: int) -> int:
    if not isinstance(raw, str):
        raise ConfigError(f"{key} is a whole number of at least {least}; got {raw!r}")
    return whole_number(key, raw, least, most)
