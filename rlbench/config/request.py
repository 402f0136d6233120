"""A command line resolved: what to train, in what order, into which store.

In: argv of a command that trains. Out: a `Request`, checked to the last value, or one `ConfigError`. Writes and trains
nothing.
"""

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rlbench.config.arguments import user_store, whole_number
from rlbench.config.cadence import yielding
from rlbench.config.cells import expand
from rlbench.config.composing import Composer, composing
from rlbench.config.experiment_file import ExperimentFile, check_labels, experiment_paths, read_experiment
from rlbench.config.help import help_text
from rlbench.config.keys import keys_of, launcher_of, show, trackers_of
from rlbench.config.launchers import LauncherSettings
from rlbench.config.plan import PlannedCell, PlannedRun, planned_runs
from rlbench.config.seeds import parse_seeds
from rlbench.config.sequential import SequentialSpec, check_pairs
from rlbench.config.settings import Settings
from rlbench.config.words import Setting, merged, parse_words, split_flags
from rlbench.config.yaml_files import errors_of
from rlbench.errors import ConfigError, did_you_mean
from rlbench.lanes.choices.choice import check
from rlbench.places import Place, beside
from rlbench.plain_text import as_message
from rlbench.tracking.tracker import TrackerSettings

MOST_WORKERS = 1_000
PROG = ("python", "-m", "rlbench.run")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class HelpRequested(Exception):  # noqa: N818 (not an error)
    """--help was among the words; the text to print is the exception's text."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What a command asks for. `definition` is JSON-able, `tracking` has the settings of every tracker, `argv` is as given."""

    definition: dict[str, Any]
    planned: tuple[PlannedRun, ...]
    store: Place
    workers: int | None  # None: as many as the launcher has room for
    lanes: int
    checkpoint_seconds: float
    lease_seconds: float
    launcher: LauncherSettings
    tracking: tuple[TrackerSettings, ...]
    dry_run: bool
    argv: tuple[str, ...]
    cfg: bool = False  # whether the settings are to be shown, and nothing done
    report: bool = True
    sequential: SequentialSpec | None = None  # the plan to follow; None where all seeds are trained

    @property
    def name(self) -> str:
        """The name of the experiment."""
        return str(self.definition["name"])


def resolve(argv: Sequence[str]) -> Request:
    """The request that `argv` makes.

    Raises:
        ConfigError: an unknown key or name, a wrong type, an impossible value or combination; one line.
        HelpRequested: --help.

    """
    try:
        return _resolve(argv)
    except ConfigError as error:
        # What was typed may itself hold line breaks and control characters.
        raise ConfigError(as_message(str(error))) from None


def _resolve(argv: Sequence[str]) -> Request:
    flags, words = split_flags(argv)
    with composing(flags.config_dir) as composer:
        names = {**composer.names, "experiment": tuple(experiment_paths(flags.config_dir))}
        if flags.help:
            raise HelpRequested(help_text(names))
        settings = parse_words(words, names)
        file = None
        if "experiment" in settings:
            file = read_experiment(str(settings.pop("experiment").values[0]), flags.config_dir)
            settings = merged(yielding(_file_settings(file, names, composer), settings), settings)
        composer.winners = beside(_store(settings)) / "studies"
        cells, command = expand(settings, composer)
    if "name" not in settings:
        command["name"] = _own_name(file, settings) or command["name"]
    options = command_options(command)
    return Request(
        definition=_definition(options, file, cells, [word for word in argv if word not in ("--dry-run", "--cfg")]),
        planned=planned_runs(cells, options.seeds, env_members=names["env"]),
        store=user_store(options.store),
        workers=options.workers,
        lanes=options.lanes,
        checkpoint_seconds=options.checkpoint_seconds,
        lease_seconds=options.lease_seconds,
        launcher=launcher_of(command),
        tracking=trackers_of(command),
        dry_run=flags.dry_run,
        argv=tuple(argv),
        cfg=flags.cfg,
        report=options.report,
        sequential=_sequential(options, file, cells) if options.until_decided else None,
    )


def _own_name(file: ExperimentFile | None, settings: Mapping[str, Setting]) -> str:
    """The name of a command that gives none: that of its experiment file or recipe; empty where it has neither."""
    if file is not None:
        return file.name
    recipes = settings["recipe"].values if "recipe" in settings else ()
    return str(recipes[0]) if len(recipes) == 1 else ""


def _store(settings: Mapping[str, Setting]) -> Place:
    return user_store(str(settings["store"].values[0] if "store" in settings else Settings().store))


def _sequential(options: Settings, file: ExperimentFile | None, cells: Sequence[PlannedCell]) -> SequentialSpec:
    """The plan to follow. Raises ConfigError where there is none, or not all of its cells and seeds are part of this."""
    plan = file.sequential if file is not None else None
    if plan is None:
        raise ConfigError("until_decided=true follows the `sequential` plan of an experiment file; there is none")
    present = {(cell.label, cell.env.id) for cell in cells}
    for label in dict.fromkeys(label for pair in plan.pairs for label in pair):
        for env in dict.fromkeys(cell.env.id for cell in cells):
            if (label, env) not in present:
                raise ConfigError(f"the sequential plan compares '{label}', which this command does not have on {env}")
    if len(options.seeds) < plan.looks[-1]:
        raise ConfigError(
            f"the sequential plan looks at up to {plan.looks[-1]} seeds and there are {len(options.seeds)}:"
            f" seeds={plan.looks[-1]} would be enough"
        )
    return plan


def _file_settings(
    file: ExperimentFile, names: Mapping[str, Collection[str]], composer: Composer
) -> dict[str, Setting]:
    """The settings of an experiment file, its comparisons checked against the cells that the file has by itself."""
    with errors_of(file.path):
        settings = parse_words(file.words, names)
        cells, _ = expand(settings, composer)
        check_labels(file, list(dict.fromkeys(cell.label for cell in cells)))
        _check_environments(file, list(dict.fromkeys(cell.env.id for cell in cells)))
        if file.sequential is not None:
            check_pairs(file.sequential, [cell.label for cell in cells])
    return settings


def _check_environments(file: ExperimentFile, envs: Sequence[str]) -> None:
    """Raise ConfigError where a number is declared for an environment that the file does not have: nobody would look at it."""
    for key, values in (("smallest_effect", file.smallest_effect), ("threshold", file.threshold)):
        for env in values:
            if env and env not in envs:
                raise ConfigError(
                    f"{key} is given for '{env}', which is no environment of this file{did_you_mean(env, envs)}"
                    f" (one of: {', '.join(envs)})"
                )


def command_options(command: Mapping[str, Any]) -> Settings:
    """The command's own keys, checked, with seeds and workers as numbers (None: auto)."""
    options = Settings(**{name: command[name] for name in keys_of(Settings())})
    options = dataclasses.replace(options, seeds=parse_seeds(options.seeds), workers=_workers(options.workers))
    check(options)
    if not _NAME.fullmatch(options.name):
        raise ConfigError(
            f"name={options.name}: a name has 1 to 100 letters, digits, dots, dashes and underscores,"
            " and begins with a letter or digit"
        )
    return options


def _workers(value: Any) -> int | None:
    if value == "auto":
        return None
    if isinstance(value, str) and value.isdecimal():
        value = whole_number("workers", value, 1, MOST_WORKERS)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"workers must be auto, or a whole number of at least 1; got {show(value)}")
    if value > MOST_WORKERS:
        raise ConfigError(f"workers={value} are too many; at most {MOST_WORKERS}")
    return value


def _definition(
    options: Settings, file: ExperimentFile | None, cells: Sequence[PlannedCell], argv: Sequence[str]
) -> dict[str, Any]:
    """The experiment as JSON. Declared comparisons and factors stay as far as their cells are part of this command."""
    labels = {cell.label for cell in cells}
    comparisons = []
    for comparison in file.comparisons if file else ():
        pairs = [list(pair) for pair in comparison.pairs if labels.issuperset(pair)]
        if pairs:
            comparisons.append({"family": comparison.family, "pairs": pairs})
    return {
        "name": options.name,
        "question": file.question if file else "",
        "cells": [{"variant": cell.label, "env": cell.env.id, "overrides": dict(cell.overrides)} for cell in cells],
        "seeds": list(options.seeds),
        "final_window": options.final_window,
        "comparisons": comparisons,
        **_declared(file, labels),
        "command": [*PROG, *argv],
    }


def _declared(file: ExperimentFile | None, labels: set[str]) -> dict[str, Any]:
    """What else the file declares for the report: factors of which every cell is there, and what is not empty."""
    if file is None:
        return {}
    # Lists throughout: the store sorts the keys of mappings, and the order of the levels says what an effect's sign means.
    factors = [
        {"factor": factor.name, "levels": [{"level": level, "cells": list(cells)} for level, cells in factor.levels]}
        for factor in file.factors
        if labels.issuperset(cell for _, cells in factor.levels for cell in cells)
    ]
    parts = file.parts.among(labels) if file.parts else None
    claims = [
        {**dataclasses.asdict(claim), "pair": list(claim.pair)}
        for claim in file.claims
        if labels.issuperset(claim.pair)
    ]
    found = {
        "factors": factors,
        "parts": parts.as_json() if parts and parts.families else None,
        "claims": claims,
        "smallest_effect": dict(file.smallest_effect),
        "threshold": dict(file.threshold),
    }
    return {name: value for name, value in found.items() if value}
