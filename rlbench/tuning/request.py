"""A tuning command resolved: its studies, one for each variant, checked to the last value.

In: argv. Out: a `TuneRequest`, or one `ConfigError`. Writes and trains nothing; knows nothing of Optuna.
"""

import contextlib
import dataclasses
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlbench.config import HelpRequested, check_cell, parse_seeds
from rlbench.config.arguments import user_store, whole_number
from rlbench.config.cadence import DEFAULT_STEPS, yielding
from rlbench.config.cells import expand
from rlbench.config.composing import Composer, composing
from rlbench.config.keys import launcher_of, trackers_of
from rlbench.config.launchers import LauncherSettings
from rlbench.config.request import command_options
from rlbench.config.seeds import LARGEST_COUNT
from rlbench.config.settings import Settings
from rlbench.config.words import Setting, merged, parse_words, split_flags
from rlbench.config.yaml_files import errors_of
from rlbench.errors import ConfigError
from rlbench.places import Place
from rlbench.plain_text import as_message
from rlbench.tracking.tracker import TrackerSettings
from rlbench.tuning.masking import shown_words
from rlbench.tuning.space import grid_values, read_space
from rlbench.tuning.study import NAMESPACE, Study, check_space
from rlbench.tuning.study_file import (
    MOST,
    Confirm,
    StudyFile,
    check_effort,
    pruner_at,
    read_study,
    study_paths,
)

OWN_KEYS = {
    "study": "the study file: what is tuned, over which space",
    "trials": "trials of each variant, finished or pruned; more of them continue a study",
    "storage": "where Optuna keeps the study: sqlite:///FILE, journal:FILE, postgresql://...; default: SQLite in the store, or beside it",
}
SEEDS_OF_A_NAME = 1_000


@dataclasses.dataclass(frozen=True)
class TuneRequest:
    """What a tuning command asks for. `argv` is for showing: secrets in it are masked."""

    name: str
    question: str
    studies: tuple[Study, ...]
    confirm: Confirm
    storage: str
    store: Place
    workers: int | None  # None: as many as the launcher has room for
    lanes: int
    checkpoint_seconds: float
    lease_seconds: float
    launcher: LauncherSettings
    tracking: tuple[TrackerSettings, ...]
    config_dir: Path | None
    dry_run: bool
    argv: tuple[str, ...]

    @property
    def tuning_experiment(self) -> str:
        """The experiment that holds the runs of the trials; reports refuse it."""
        return f"{self.name}.tuning"

    @property
    def fresh_seeds(self) -> tuple[int, ...]:
        """The seeds of the confirmation: this study's own, above every seed that a count of seeds stands for."""
        begin = LARGEST_COUNT + _place(f"{self.name} confirmation")
        return tuple(range(begin, begin + self.confirm.seeds))

    def trials_at_once(self, study: Study) -> int:
        """Trials that train at the same time."""
        return self.lanes // len(study.seeds)


def resolve(argv: Sequence[str]) -> TuneRequest:
    """The request that `argv` makes. Raises ConfigError, one line, for anything impossible, and HelpRequested for --help."""
    try:
        return _resolve(argv)
    except ConfigError as error:
        raise ConfigError(as_message(str(error))) from None


def _resolve(argv: Sequence[str]) -> TuneRequest:
    flags, words = split_flags(argv)
    if flags.help:
        raise HelpRequested(help_text(list(study_paths(flags.config_dir))))
    if flags.cfg:
        raise ConfigError("'--cfg' shows the settings of runs: python -m rlbench.run ... --cfg; a study has --dry-run")
    own, words = _own_keys(words)
    if "study" not in own:
        raise ConfigError(f"study=NAME is needed (one of: {', '.join(study_paths(flags.config_dir)) or 'none found'})")
    file = read_study(own["study"], flags.config_dir)
    if "trials" in own:
        file = dataclasses.replace(file, trials=whole_number("trials", own["trials"], 1, MOST))
    with composing(flags.config_dir) as composer:
        studies, options, command = _studies(file, words, composer)
    if options.until_decided:
        raise ConfigError("until_decided is for experiments; a study ends with its trials")
    request = TuneRequest(
        name=options.name,
        question=file.question,
        studies=studies,
        confirm=file.confirm,
        storage=own.get("storage", ""),
        store=user_store(options.store),
        workers=options.workers,
        lanes=options.lanes,
        checkpoint_seconds=options.checkpoint_seconds,
        lease_seconds=options.lease_seconds,
        launcher=launcher_of(command),
        tracking=trackers_of(command),
        config_dir=flags.config_dir,
        dry_run=flags.dry_run,
        argv=shown_words(argv),
    )
    for study in studies:
        if request.trials_at_once(study) < 1:
            raise ConfigError(f"lanes={request.lanes} are fewer than the {len(study.seeds)} seeds of a trial")
    return request


def _own_keys(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The keys that only this command has, and the other words."""
    own: dict[str, str] = {}
    rest = []
    for word in words:
        key, equals, value = word.partition("=")
        if key not in OWN_KEYS or not equals:
            rest.append(word)
            continue
        if key in own:
            raise ConfigError(f"'{key}' is given twice")
        if not value:
            raise ConfigError(f"'{key}=' has no value")
        own[key] = value
    return own, rest


def _studies(
    file: StudyFile, words: Sequence[str], composer: Composer
) -> tuple[tuple[Study, ...], Settings, dict[str, Any]]:
    """The studies of a file under a command's words, the command's options, and the values of its keys."""
    with errors_of(file.path):
        lower = parse_words(file.words, composer.names)
    given = parse_words(words, composer.names)
    for name in ("variant", "recipe", "experiment"):
        if name in given:
            raise ConfigError(f"{name} is the study file's to say; write a study file of your own")
    settings = merged(yielding(lower, given), given)
    swept = [name for name, setting in settings.items() if setting.is_swept]
    if swept:
        raise ConfigError(f"{swept[0]} takes one value in a study; several belong into its space")
    studies: list[Study] = []
    command: dict[str, Any] = {}
    for variant in file.variants:
        study, command = _study(file, variant, settings, composer)
        pruner = pruner_at(file.pruner, study.period, study.steps, _steps_in(lower), yields="steps" in given)
        studies.append(dataclasses.replace(study, pruner=pruner))
    name = given["name"].values[0] if "name" in given else file.name
    options = command_options({**command, "seeds": 1, "name": name})
    named = tuple(dataclasses.replace(one, **_named(one, options.name, len(studies), settings)) for one in studies)
    if len({study.name for study in named}) < len(named):
        raise ConfigError("two variants of the study have one name")
    for study in named:
        check_effort(file, study.pruner, len(study.seeds), study.period, study.steps)
    return named, options, command


def _steps_in(settings: Mapping[str, Setting]) -> int:
    """The budget in steps that a study file has."""
    value = settings["steps"].values[0] if "steps" in settings else None
    return value if isinstance(value, int) and value > 0 else DEFAULT_STEPS


def _named(study: Study, name: str, num_studies: int, settings: Mapping[str, Setting]) -> dict[str, Any]:
    """The study's own name, and its seeds: a count stands for seeds that no study of another name has."""
    full = name if num_studies == 1 else f"{name}.{study.variant}"
    told = settings["seeds"].values[0]
    seeds = parse_seeds(told)
    if seeds == tuple(range(len(seeds))) and not isinstance(told, list) and ":" not in str(told):
        begin = _place(full)
        seeds = tuple(begin + index for index in range(len(seeds)))
    elif num_studies > 1:
        raise ConfigError("the tuning seeds of several variants are a count: each variant has seeds of its own")
    study.objective.check(len(seeds))
    return {"name": full, "seeds": seeds}


def _place(name: str) -> int:
    """The first of a thousand seeds that belong to this name, at most 4 * 10**9."""
    return zlib.crc32(name.encode()) % 4_000_000 * SEEDS_OF_A_NAME


def _study(
    file: StudyFile, variant: str, settings: Mapping[str, Setting], composer: Composer
) -> tuple[Study, dict[str, Any]]:
    """The study of one variant, still without its name and seeds, and the values of the command's keys."""
    own = {**settings, "variant": Setting("variant", (variant,))}
    cells, command = expand(own, composer)
    base = dataclasses.replace(cells[0], label=variant)
    with errors_of(file.path):
        space = read_space(file.space, variant, base.variant)
    both = [parameter.key for parameter in space if parameter.key in settings]
    if both:
        raise ConfigError(f"{both[0]} is in the space of the study, so it cannot have one value")
    check_cell(base, namespace=NAMESPACE, env_members=composer.names["env"])
    steps = base.budget.steps
    if file.pruner.kind == "hyperband" and steps is None:
        raise ConfigError("pruner hyperband needs a budget in steps")
    if file.sampler.kind == "grid":
        size = 1
        for values in grid_values(space).values():
            size *= len(values)
        if file.trials > size:
            raise ConfigError(f"trials={file.trials}, but the grid has only {size} points")
    study = Study(
        name="",
        variant=variant,
        settings=own,
        space=space,
        objective=file.objective,
        sampler=file.sampler,
        pruner=file.pruner,
        seed=file.seed,
        seeds=(0,),
        trials=file.trials,
        base=base,
    )
    check_space(file.path, study, composer)
    return study, command


@contextlib.contextmanager
def composer_of(request: TuneRequest) -> Iterator[Composer]:
    """What turns parameters into cells, as it was when the request was resolved."""
    with composing(request.config_dir) as composer:
        yield composer


def help_text(studies: Sequence[str]) -> str:
    """What --help prints."""
    width = max(map(len, OWN_KEYS)) + 2
    return "\n".join(
        [
            "usage: python -m rlbench.tune study=NAME [key=value ...] [--dry-run] [--config-dir DIR]",
            "",
            "Tunes a variant with Optuna: trials x seeds as lanes of one program, bad trials stopped early, the best ones and the",
            "untuned default trained again on seeds that tuning never saw. A command that was interrupted goes on when given again.",
            "",
            "examples",
            "  study=cartpole                                  a study file: ./experiments/studies/cartpole.yaml",
            "  study=cartpole trials=128                       more trials of it",
            "  study=cartpole storage=postgresql://host/db     one study, several tuners at once",
            "  study=cartpole --dry-run                        shows what would be done and does nothing",
            "",
            f"studies: {'  '.join(studies) or '(none found)'}",
            "",
            "keys of this command",
            *(f"  {key.ljust(width)}{meaning}" for key, meaning in OWN_KEYS.items()),
            f"  {'lanes'.ljust(width)}runs that train at once, over all workers: lanes / seeds trials (64)",
            f"  {'seeds'.ljust(width)}seeds of each trial, in the namespace of tuning",
            f"  {'name'.ljust(width)}name of the study; default: that of its file",
            "",
            "env, steps, episodes, store, workers, launcher, checkpoint_seconds, lease_seconds, wandb.* and the keys of a run are",
            "those of python -m rlbench.run --help; what a command sets wins over the study file.",
        ]
    )
