"""Add seeds until decided: follow an experiment's fixed group-sequential plan, look by look.

In: a request with a plan, its store, and a function that trains runs. Out: a plan whose every comparison is decided or at
the maximum. Its state lies in the store and is only ever replaced by its next look, so that a killed command goes on with
the same data and comes to the same decisions. Never: changes a plan that was begun, looks at fewer runs than a look
needs, or drops a run that diverged: that one counts as random play, from the fixed table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rlbench.deciding.plan_state import Cell, PlanState, Watched, described, sentence, so_far
from rlbench.envs.scores import normalisation
from rlbench.errors import ConfigError, StoreError
from rlbench.stats import SequentialPlan

if TYPE_CHECKING:
    from rlbench.config import PlannedRun, Request
    from rlbench.store import Results, Store

Train = Callable[[Sequence["PlannedRun"], dict[str, Any]], bool]


def follow(request: "Request", store: "Store", train: Train, say: Callable[[str], None] = print) -> bool:
    """Train and look until nothing is undecided; True when interrupted.

    `train` gets the runs of this stage and the experiment's definition, and says whether it was interrupted. Returns False
    early where runs failed: the look waits until the same command has trained them. Raises ConfigError for a changed plan.
    """
    from rlbench.store import load

    state = current_state(request, store)
    # Before the first run, so that the plan cannot be chosen by what the first runs show.
    store.record_plan(request.name, state.to_dict(), after=None)
    for line in [*described(state), *so_far(state)]:
        say(line)
    while True:
        if train(runs_of(request, state), definition_of(request, state)):
            return True
        if not state.open:
            return False
        results = load(request.store).experiment(request.name)
        try:
            after, lines = look(request, state, results)
        except _NotReadyError as reason:
            say(str(reason))
            return False
        if store.record_plan(request.name, after.to_dict(), after=state.to_dict()):
            state = after
            for line in lines:
                say(line)
        else:  # another command took this look in the meantime, at the same runs
            state = current_state(request, store)


def current_state(request: "Request", store: "Store | None") -> PlanState:
    """The stored state of the request's plan, or a new one. Raises ConfigError where the stored plan is another one."""
    fresh = _new_state(request, store)
    stored = store.plan(request.name) if store is not None else None
    if stored is None:
        return fresh
    state = PlanState.from_dict(stored)
    changed = _first_difference(state.rules, fresh.rules)
    if changed:
        raise ConfigError(
            f"experiment '{request.name}' follows a plan already, and this one has {changed}; a plan is fixed once"
            " begun: go on with the old one, or give the new one a name of its own (name=...)"
        )
    return state


def _new_state(request: "Request", store: "Store | None") -> PlanState:
    spec = request.sequential
    assert spec is not None
    seeds = request.definition["seeds"][: spec.looks[-1]]
    envs = list(dict.fromkeys(cell["env"] for cell in request.definition["cells"]))
    watched = [(first, second, env) for env in envs for first, second in spec.pairs]
    level = spec.alpha / len(watched)
    cells = {f"{one.variant} on {one.run.env.id}": one.run_id for one in request.planned if one.run.seed == seeds[0]}
    rules = {
        **spec.as_json(),
        "final_window": request.definition["final_window"],
        "seeds": seeds,
        "cells": cells,
    }
    plan = SequentialPlan(spec.looks, level=level, spending=spec.spending, paired=spec.paired)
    final = store.final_runs() if store is not None else set()
    known = len(final & {one.run_id for one in request.planned})
    return PlanState(rules, tuple(Watched(*names, plan) for names in watched), known)


def _first_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The first rule in which two plans differ, in words; empty where they are one."""
    for key in {**new, **old}:
        if old.get(key) == new.get(key):
            continue
        if key == "cells":
            names = [name for name in {**new["cells"], **old["cells"]} if old[key].get(name) != new[key].get(name)]
            return f"other settings of {names[0]}"
        if key == "seeds":
            return "other seeds"
        return f"{key} {new.get(key)} instead of {old.get(key)}"
    return ""


def runs_of(request: "Request", state: PlanState) -> list["PlannedRun"]:
    """The runs of this stage: of each cell the first seeds, as many as its comparisons need."""
    place = {seed: number for number, seed in enumerate(request.definition["seeds"])}
    return [one for one in request.planned if place[one.run.seed] < state.seeds_of((one.variant, one.run.env.id))]


def definition_of(request: "Request", state: PlanState) -> dict[str, Any]:
    """The experiment at this stage: its `seeds` are those that every cell has, each cell says its own."""
    seeds = request.definition["seeds"]
    cells = [
        {**cell, "seeds": seeds[: state.seeds_of((cell["variant"], cell["env"]))]}
        for cell in request.definition["cells"]
    ]
    shared = min((cell["seeds"] for cell in cells), key=len)
    assert request.sequential is not None
    return {**request.definition, "cells": cells, "seeds": shared, "sequential": request.sequential.as_json()}


class _NotReadyError(Exception):
    """A look cannot be taken yet; the text says why."""


def look(request: "Request", state: PlanState, results: "Results") -> tuple[PlanState, list[str]]:
    """Every open comparison's next look at its runs, and what it says in sentences."""
    scores = _Scores(request, results, str(state.rules["metric"]))
    comparisons, lines = [], []
    for one in state.comparisons:
        if one.plan.next_look is not None:
            num_seeds = one.plan.next_look
            x = scores.of((one.first, one.env), num_seeds)
            y = scores.of((one.second, one.env), num_seeds)
            try:
                one = replace(one, plan=one.plan.advance(x, y))
            except ValueError as error:
                raise StoreError(f"no look at {one.first} and {one.second} on {one.env}: {error}") from error
            lines.append(f"  {sentence(one, str(state.rules['metric']))}")
        comparisons.append(one)
    after = replace(state, comparisons=tuple(comparisons))
    seen = max(len(one.plan.history) for one in comparisons)
    looks = state.rules["looks"]
    decided = len(comparisons) - len(after.open)
    lines.insert(0, f"look {seen} of {len(looks)}, {looks[seen - 1]} seeds: {decided} of {len(comparisons)} settled")
    if scores.num_diverged:
        lines.append(f"  diverged runs, counted with the return of random play: {scores.num_diverged}")
    return after, lines


class _Scores:
    """One number a run, in the order of the seeds."""

    def __init__(self, request: "Request", results: "Results", metric: str) -> None:
        self._seeds = request.definition["seeds"]
        self._run_ids = {(one.variant, one.run.env.id, one.run.seed): one.run_id for one in request.planned}
        self._rows = results.runs.set_index("run_id")[["status", metric]].to_dict("index")
        self._metric = metric
        self._diverged: set[str] = set()

    @property
    def num_diverged(self) -> int:
        return len(self._diverged)

    def of(self, cell: Cell, num_seeds: int) -> list[float]:
        """The scores of a cell's first seeds. Raises _NotReadyError where a run has none yet."""
        run_ids = [self._run_ids[*cell, seed] for seed in self._seeds[:num_seeds]]
        missing = [one for one in run_ids if self._rows[one]["status"] not in ("done", "diverged")]
        if missing:
            raise _NotReadyError(
                f"the look at {num_seeds} seeds waits for runs of {cell[0]} on {cell[1]} that failed ({len(missing)} of"
                f" {num_seeds}); the same command tries them again"
            )
        return [self._score(one, cell[1]) for one in run_ids]

    def _score(self, run_id: str, env: str) -> float:
        row = self._rows[run_id]
        if row["status"] == "done":
            return float(row[self._metric])
        self._diverged.add(run_id)
        try:
            return normalisation(env).random
        except ConfigError as error:
            raise ConfigError(f"run {run_id} diverged, which counts as random play, but there is {error}") from None
