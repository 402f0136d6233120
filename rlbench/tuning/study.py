"""A study of one variant: how parameters become runs, and what its result depends on.

In: parameters of a space. Out: cells and planned runs, or one `ConfigError`. Writes and trains nothing; knows nothing of Optuna.
"""

import dataclasses
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlbench.config import PlannedCell, PlannedRun, check_cell, spec_of
from rlbench.config.cells import expand
from rlbench.config.composing import Composer
from rlbench.config.keys import show
from rlbench.config.plan import runs_of_cell
from rlbench.config.words import Setting
from rlbench.errors import ConfigError
from rlbench.lanes.choices.variant import Run
from rlbench.tuning.space import Space, Value, settings_of, space_sources
from rlbench.tuning.study_file import Objective, PrunerSettings, SamplerSettings

NAMESPACE = "tune"
SAMPLED_CHECKS = 200


@dataclasses.dataclass(frozen=True)
class Study:
    """One study: a variant, its space, and everything that its result depends on."""

    name: str
    variant: str
    settings: Mapping[str, Setting]
    space: Space
    objective: Objective
    sampler: SamplerSettings
    pruner: PrunerSettings
    seed: int
    seeds: tuple[int, ...]
    trials: int
    base: PlannedCell

    @property
    def period(self) -> int:
        """Environment steps between two decisions: those between evaluations."""
        return self.base.evaluation.period

    @property
    def steps(self) -> int | None:
        """The budget of a run in steps; None where it is in episodes."""
        return self.base.budget.steps

    def cell(self, params: Mapping[str, Value], label: str, composer: Composer) -> PlannedCell:
        """The cell that these parameters stand for. Raises ConfigError for an impossible value or combination."""
        cells, _ = expand({**self.settings, **settings_of(params)}, composer)
        overrides = dict(params)
        cell = dataclasses.replace(cells[0], label=label, overrides=overrides)
        check_cell(cell, namespace=NAMESPACE)
        return cell

    def runs(self, params: Mapping[str, Value], label: str, composer: Composer) -> list[PlannedRun]:
        """The runs of a trial, one a seed. Raises ConfigError as `cell` does."""
        cell = self.cell(params, label, composer)
        return runs_of_cell(cell, self.seeds, namespace=NAMESPACE)

    def definition(self) -> dict[str, Any]:
        """What must not change while a study goes on, as JSON."""
        spec = spec_of(check_cell(self.base, namespace=NAMESPACE))
        del spec["seed"], spec["namespace"]
        sources = space_sources(self.space)
        return {
            "run": spec,
            "space": [parameter.describe() for parameter in self.space],
            **({"sources": sources} if sources else {}),
            "objective": dataclasses.asdict(self.objective),
            "sampler": {**dataclasses.asdict(self.sampler), "seed": self.seed},
            "pruner": dataclasses.asdict(self.pruner),
            "seeds": list(self.seeds),
        }


def first_run(study: Study) -> Run:
    """The run of the untuned variant on the first tuning seed."""
    run = check_cell(study.base, namespace=NAMESPACE)
    return dataclasses.replace(run, seed=study.seeds[0])


def check_space(path: Path, study: Study, composer: Composer) -> None:
    """Build runs from the ends of every range, every choice, and random combinations; raise ConfigError where one is impossible."""
    try:
        # A small space has few combinations, which are drawn again and again.
        wanted = {repr(params): params for params in (*_corners(study.space), *_draws(study.space))}
        for params in wanted.values():
            study.cell(params, "", composer)
    except ConfigError as error:
        raise ConfigError(f"{path}: space of {study.variant}: {error}") from None


def _draws(space: Space) -> Iterator[dict[str, Value]]:
    """Random combinations of ends and choices."""
    generator = random.Random(0)
    for _ in range(SAMPLED_CHECKS):
        drawn: dict[str, Value] = {}
        for parameter in space:
            if parameter.applies(drawn):
                drawn[parameter.key] = generator.choice(parameter.ends())
        yield drawn


def _corners(space: Space) -> Iterator[dict[str, Value]]:
    """For every end of every parameter a set of parameters that has it, with its conditions met and nothing else set."""
    by_key = {parameter.key: parameter for parameter in space}

    def meet(key: str, params: dict[str, Value]) -> None:
        for above, values in by_key[key].when:
            params[above] = values[0]
            meet(above, params)

    for parameter in space:
        for value in parameter.ends():
            params: dict[str, Value] = {}
            meet(parameter.key, params)
            ordered = {key: params[key] for key in by_key if key in params}
            yield {**ordered, parameter.key: value}


def check_same(study: Study, stored: Mapping[str, Any]) -> None:
    """Raise ConfigError where the study that was begun under this name has another definition."""
    found = differences(stored, json.loads(json.dumps(study.definition())))
    if found:
        others = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise ConfigError(
            f"study '{study.name}' exists and differs in {', '.join(found[:3])}{others}; take another name=, or the study as it was"
        )


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """What two definitions of a study differ in, one text each."""
    found = []
    for part in asked:
        if stored.get(part) == asked[part]:
            continue
        if part == "space":
            before = {one["key"]: one for one in stored.get(part, [])}
            after = {one["key"]: one for one in asked[part]}
            found += [f"space.{key}" for key in {**before, **after} if before.get(key) != after.get(key)]
            if not found:
                found.append("the order of the space")
        elif isinstance(asked[part], Mapping):
            found += [f"{part}.{path}" for path in _paths(stored.get(part, {}), asked[part])]
        else:
            found.append(f"{part} ({json.dumps(stored.get(part))}, now {json.dumps(asked[part])})")
    return found


def _paths(before: Any, after: Mapping[str, Any]) -> Iterator[str]:
    before = before if isinstance(before, Mapping) else {}
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            yield from (f"{key}.{path}" for path in _paths(old, new))
        elif old != new:
            yield f"{key} ({show(old)}, now {show(new)})"
