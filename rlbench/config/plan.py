"""Cells times seeds: the list of runs, each checked, resolved and with its id.

In: cells (one algorithm on one environment with one budget) and seeds. Out: `PlannedRun`s, cell by cell. Nothing impossible
and no run that stands twice leaves here. Knows nothing of Hydra, of the command line or of the store.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rlbench.config.own_choices import check_choices
from rlbench.config.specification import resolved, run_ids_of, spec_of
from rlbench.errors import ConfigError, did_you_mean
from rlbench.lanes.choices.choice import check
from rlbench.lanes.choices.variant import Budget, Diagnostics, Environment, Evaluation, Run, Variant, check_run
from rlbench.lanes.steps.observing import observed

NAMESPACE = "train"
LARGEST_PLAN = 1_000_000


@dataclasses.dataclass(frozen=True)
class PlannedCell:
    """Everything about a run but its seed. `overrides` are the settings that made it, as JSON."""

    label: str
    variant: Variant
    env: Environment = Environment()
    budget: Budget = Budget()
    evaluation: Evaluation = Evaluation()
    diagnostics: Diagnostics = Diagnostics()
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def run(self, seed: int, namespace: str = NAMESPACE) -> Run:
        """The run of one seed."""
        return Run(self.variant, self.env, self.budget, self.evaluation, self.diagnostics, seed, namespace)


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One run of an experiment: the label of its cell (the column `variant`), its place in the plan, and its specification."""

    run: Run
    variant: str
    position: int
    run_id: str
    spec: dict[str, Any] = dataclasses.field(compare=False, repr=False)


def planned_runs(
    cells: Sequence[PlannedCell], seeds: Sequence[int], *, namespace: str = NAMESPACE, env_members: Collection[str] = ()
) -> tuple[PlannedRun, ...]:
    """The runs of all cells and seeds, resolved. Raises ConfigError for an impossible cell, or two cells that are one."""
    if len(cells) * len(seeds) > LARGEST_PLAN:
        raise ConfigError(f"{len(cells)} cells with {len(seeds)} seeds each are too many runs; at most {LARGEST_PLAN}")
    planned: list[PlannedRun] = []
    labels: dict[str, str] = {}
    for cell in cells:
        for one in runs_of_cell(cell, seeds, namespace=namespace, env_members=env_members):
            if one.run_id in labels:
                raise ConfigError(
                    f"the cells '{labels[one.run_id]}' and '{cell.label}' on {cell.env.id} are the same runs:"
                    " their settings do not differ"
                )
            labels[one.run_id] = cell.label
            planned.append(dataclasses.replace(one, position=len(planned)))
    return tuple(planned)


def runs_of_cell(
    cell: PlannedCell, seeds: Sequence[int], *, namespace: str = NAMESPACE, env_members: Collection[str] = ()
) -> list[PlannedRun]:
    """The runs of one cell, which differ in their seed alone: all else is checked and specified once. Raises as `check_cell`."""
    first = check_cell(cell, namespace=namespace, env_members=env_members)
    base = spec_of(first)
    return [
        PlannedRun(dataclasses.replace(first, seed=seed), cell.label, place, run_id, {**base, "seed": seed})
        for place, (seed, run_id) in enumerate(zip(seeds, run_ids_of(base, seeds), strict=True))
    ]


def check_cell(
    cell: PlannedCell,
    *,
    namespace: str = NAMESPACE,
    env_members: Collection[str] = (),
) -> Run:
    """The cell's run of seed 0, resolved. Raises ConfigError for an impossible value, combination or environment.

    `env_members` are names that an unknown id may have meant.
    """
    check_choices(cell.variant)
    for part in ("env", "evaluation", "diagnostics"):
        check(getattr(cell, part), f"{part}.")
    run = cell.run(0, namespace)
    check_run(run)
    _check_environment(run, env_members)
    return resolved(run)


def _check_environment(run: Run, members: Collection[str]) -> None:
    env = run.env
    try:
        seen = observed(run)
    except ConfigError:
        hint = "" if ":" in env.id or "-v" in env.id else did_you_mean(env.id, members)
        if not hint:
            raise
        raise ConfigError(f"unknown env '{env.id}'{hint} (one of: {', '.join(members)}; or any Gymnasium id)") from None
    variant = run.variant
    refused = variant.network.refused_shape(seen.shape, variant.batch_size == variant.steps_per_minibatch)
    if variant.network.learns and seen.pixel is None and refused is not None:
        raise ConfigError(refused)
    if seen.info.max_episode_steps is None:
        raise ConfigError(
            f"environment '{env.id}' has no time limit, so an episode might never end: set env.max_env_steps"
        )
