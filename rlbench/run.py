"""`python -m rlbench.run`: train what the words ask for, mirror it, compare it. Also callable from Python as `rlbench.run(...)`.

In: key=value words (see --help). Out: results in the store, a summary on the screen, a report; the exit code says how it went. Running the
same command again completes what is missing and trains nothing twice.
"""

import dataclasses
import numbers
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rlbench.config.arguments import run_command
from rlbench.errors import EXIT_DIFFERENCE, EXIT_INTERRUPTED, EXIT_OK, EXIT_RUNS_FAILED, ConfigError
from rlbench.plain_text import as_message

if TYPE_CHECKING:
    from rlbench.config import PlannedRun, Request
    from rlbench.lanes.variant import Environment, Variant
    from rlbench.store import Member, Results, Store
    from rlbench.tracking.settings import TrackingSettings

PROG = "python -m rlbench.run"
MIRROR_PATIENCE_SECONDS = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _run(sys.argv[1:] if argv is None else list(argv)))


def _run(argv: Sequence[str]) -> int:
    from rlbench.config import HelpRequested, resolve

    try:
        request = resolve(argv)
    except HelpRequested as help_text:
        print(help_text)
        return EXIT_OK
    if request.dry_run:
        _check(request)
        if request.sequential is not None:
            _print_sequential(request)
        _print_plan(request)
        return EXIT_OK
    interrupted = _train(request)
    from rlbench.store import load

    results = load(request.store).experiment(request.name)
    return _conclude(request, results, interrupted)


def _tasks(runs: "Sequence[PlannedRun]") -> list[Any]:
    from rlbench.runner.plan import Task

    return [Task(planned.run_id, planned.variant, planned.run) for planned in runs]


def _check(request: "Request") -> "TrackingSettings":
    """All that can be refused before anything is written, by a run and its dry run alike; returns what is tracked and how."""
    from rlbench.store import Store
    from rlbench.tracking.process import require_login
    from rlbench.tracking.settings import TrackingSettings

    tracking = TrackingSettings(**dataclasses.asdict(request.tracking))
    require_login(tracking)
    store = Store.peek(request.store)
    Store.check_writable(request.store)
    runs, definition = request.planned, request.definition
    if request.sequential is not None:
        from rlbench.deciding import current_state, definition_of, runs_of

        state = current_state(request, store)
        runs, definition = tuple(runs_of(request, state)), definition_of(request, state)
    if store is not None:
        store.check_experiment(request.name, *_recorded(runs, definition))
    return tracking


def _recorded(
    runs: "Sequence[PlannedRun]", definition: Mapping[str, Any]
) -> tuple[dict[str, Any], list["Member"], dict[str, dict[str, Any]]]:
    """What a store records of an experiment: its definition, its members, and the specifications of their runs."""
    from rlbench.config import spec_of
    from rlbench.runner.machine import machine
    from rlbench.store import Member

    members = [Member(planned.run_id, planned.variant, planned.position) for planned in runs]
    return {**definition, "machine": machine()}, members, {planned.run_id: spec_of(planned.run) for planned in runs}


def _train(request: "Request") -> bool:
    """Record the experiment and train what is missing, or what its plan asks for; True when interrupted."""
    from rlbench.store import Store
    from rlbench.tracking.process import Follower

    tracking = _check(request)
    store = Store.open(request.store, say=lambda line: print(f"damage: {as_message(line)}", file=sys.stderr))

    def train(runs: "Sequence[PlannedRun]", definition: dict[str, Any]) -> bool:
        return _train_runs(request, store, runs, definition)

    with Follower(request.store, tracking) as follower:
        if request.sequential is not None:
            from rlbench.deciding import follow

            interrupted = follow(request, store, train)
        else:
            interrupted = train(request.planned, request.definition)
    mirrored = follower.wait(0 if interrupted else MIRROR_PATIENCE_SECONDS)
    if mirrored is None and not interrupted:
        print("Weights & Biases is still being told, in the background", file=sys.stderr)
    elif mirrored:
        print(
            f"not all was mirrored to Weights & Biases; python -m rlbench.sync store={request.store} catches up",
            file=sys.stderr,
        )
    return interrupted


def _train_runs(request: "Request", store: "Store", runs: "Sequence[PlannedRun]", definition: dict[str, Any]) -> bool:
    """Record these runs as the experiment's and train those that are missing; True when interrupted."""
    from rich.console import Console

    from rlbench.config.changed_code import changed_code, changed_lines

    store.record_experiment(request.name, *_recorded(runs, definition))
    tasks = _tasks(runs)
    missing = {task.run_id for task in tasks} - store.final_runs()
    if missing:
        under_way = len(missing & set(store.progress()))
        resumed = f", {under_way} of them from their last checkpoint" if under_way else ""
        Console(stderr=True).print(
            f"{request.name}: {len(missing)} of {len(tasks)} runs to train{resumed}, {request.workers} workers",
            highlight=False,
        )
    others = store.members(request.name).keys() - {task.run_id for task in tasks} - store.final_runs()
    for line in changed_lines(changed_code(store.specs(others))):
        Console(stderr=True).print(f"{request.name}: not continued: {line}", highlight=False, soft_wrap=True)
    if not missing:
        return False
    # Here and not above: with them comes the engine, and torch.
    from rlbench.runner.job import Settings
    from rlbench.runner.launch import launch
    from rlbench.runner.progress import Progress

    settings = Settings(request.lanes, request.checkpoint_seconds, launcher="local")
    outcome = launch(store, tasks, num_workers=request.workers, settings=settings, progress=Progress())
    return outcome.interrupted


def _conclude(request: "Request", results: "Results", interrupted: bool) -> int:
    """Show what came out; the exit code by what is left undone."""
    from rich.console import Console

    from rlbench.published import same_bits
    from rlbench.reports import report_folder
    from rlbench.reports.summary import summarise
    from rlbench.reports.terminal import table_of
    from rlbench.store import passes_audit

    command = shlex.join([*PROG.split(), *request.argv])
    runs = results.only(planned.run_id for planned in request.planned).runs
    if interrupted:
        left = int((~runs["status"].isin(["done", "diverged"])).sum())
        print(
            f"interrupted: {len(runs) - left} of {len(runs)} runs are done; the same command goes on from here:\n  {command}"
        )
        return EXIT_INTERRUPTED
    summary = summarise(results, request.name)
    Console().print(table_of(summary))
    if request.report:
        from rlbench.reports.report import write_summary

        print(f"report: {write_summary(summary, report_folder(request.store, request.name))}")
    if told := same_bits(runs):
        print(told)
    if not passes_audit(results):
        return EXIT_DIFFERENCE
    lost = runs[runs["status"] != "done"]
    for row in lost.itertuples():
        last = str(row.error).strip().splitlines()[-1:] or ["see above"]
        reason = re.sub(r"^rlbench\.[\w.]+: ", "", last[0])
        told = f"{row.status}: {row.variant} seed {row.seed} on {row.env} ({row.run_id}) {reason}"
        print(as_message(told), file=sys.stderr)
    return EXIT_RUNS_FAILED if len(lost) else EXIT_OK


def _print_sequential(request: "Request") -> None:
    """The plan's rules, how far it is, and what its next stage trains; what comes after is all there can be."""
    from rlbench.deciding import current_state, described, runs_of, so_far
    from rlbench.store import Store

    store = Store.peek(request.store)
    state = current_state(request, store)
    print("\n".join([*described(state), *so_far(state)]))
    final = store.final_runs() if store is not None else set()
    missing = [one for one in runs_of(request, state) if one.run_id not in final]
    print(f"  the next stage trains {len(missing)} runs" if state.open else "  all of it is settled")
    print("with every seed of the plan:")


def _print_plan(request: "Request") -> None:
    """What would be trained, together with what, and what that costs; writes nothing."""
    from rlbench.config.cadence import EPISODE_STEPS_GUESS
    from rlbench.runner.plan import cohorts, forecast
    from rlbench.store import Store

    tasks = _tasks(request.planned)
    store = Store.peek(request.store)
    final = store.final_runs() if store is not None else set()
    missing = [task for task in tasks if task.run_id not in final]
    print(
        f"experiment {request.name}: {len(tasks)} runs, {len(tasks) - len(missing)} of them done, {len(missing)} to train"
    )
    for number, cohort in enumerate(cohorts(missing), start=1):
        names = ", ".join(dict.fromkeys(task.variant for task in cohort))
        first = cohort[0].run
        budget = f"{first.budget.steps} steps" if first.budget.steps else f"{first.budget.episodes} episodes"
        print(f"  cohort {number}: {len(cohort)} lanes on {first.env.id}, {budget}: {names}")
    cost = forecast(missing, request.workers, request.lanes)
    minutes = cost.seconds / 60
    print(f"  memory: {cost.num_bytes / 2**20:.0f} MiB of lanes at once, on {request.workers} workers")
    time = f"{minutes:.0f} min" if minutes >= 1.5 else f"{cost.seconds:.0f} s"
    by_episodes = any(task.run.budget.episodes is not None for task in missing)
    guess = f", at {EPISODE_STEPS_GUESS} steps an episode or its limit" if by_episodes else ""
    print(f"  expected time: about {time}{guess}")
    print("nothing was written")


def run(
    variant: "str | Sequence[str] | Variant",
    env: "str | Environment" = "CartPole-v1",
    seeds: int | Iterable[int] = 10,
    *,
    steps: int | None = None,
    episodes: int | None = None,
    store: str | os.PathLike[str] = "results",
    name: str = "adhoc",
    label: str | None = None,
    workers: int | None = None,
    **settings: Any,
) -> "Results":
    """Train variants over seeds as part of the experiment `name`, and return the results of these runs.

    Args:
        variant: the name of a variant, several names, or an `rlbench.Variant`.
        env: a Gymnasium id or the name of an environment group member.
        seeds: how many (0, 1, ...), or which.
        steps, episodes: the budget, one of them; default as the command line's.
        store: the folder of results. name: the experiment. label: the variant's name in tables, for a `Variant` object.
        workers: processes; default one per core.
        settings: further keys of the command line, dots as double underscores: `optimizer__lr=1e-3`, `wandb__mode="offline"`; those of
            the variant only with a variant's name.

    Returns the runs that were asked for, also where the experiment has others. Raises ConfigError for impossible input, RuntimeError
    when interrupted. Failed and diverged runs are rows with that status; a finding of the audit is a warning.
    """
    from rlbench.store import audit, load

    values: dict[str, Any] = {
        "env": env if isinstance(env, str) else env.id,
        "env.max_env_steps": None if isinstance(env, str) else env.max_env_steps,
        "store": os.fspath(store),
        "name": name,
        "seeds": list(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str) else seeds,
        "steps": steps,
        "episodes": episodes,
        "workers": workers,
    }
    given = {key.replace("__", "."): value for key, value in settings.items()}
    values = {"wandb.mode": "disabled"} | {key: value for key, value in values.items() if value is not None} | given
    if not isinstance(variant, str) and isinstance(variant, Sequence):
        variant = ",".join(variant)
    if not isinstance(variant, str):
        _refuse_settings_of_a_variant(given)
    request = _request(variant, [f"{key}={_word(value)}" for key, value in values.items()], label)
    if _train(request):
        raise RuntimeError("interrupted; calling it again goes on from the last checkpoint")
    results = load(store).experiment(name).only(planned.run_id for planned in request.planned)
    for finding in audit(results):
        warnings.warn(f"audit: {finding}", stacklevel=2)
    return results


def _word(value: Any) -> str:
    """A Python value as the command line writes it."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_word(one) for one in value)}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, numbers.Integral):
        return str(int(value))
    return repr(float(value)) if isinstance(value, numbers.Real) else str(value)


def _refuse_settings_of_a_variant(given: Mapping[str, Any]) -> None:
    """A Variant object says all there is to say about the algorithm: a setting beside it would have no effect."""
    from rlbench.config.groups import CLASSES
    from rlbench.config.keys import keys_of
    from rlbench.lanes.variant import Variant

    for key in given:
        if key.split(".")[0] in CLASSES or key in keys_of(Variant()):
            raise ConfigError(f"{key} beside a Variant object has no effect; set it in the object")


def _request(variant: "str | Variant", words: list[str], label: str | None) -> "Request":
    """The request of the words, for a variant by name or by value."""
    from rlbench.config import Cell, planned_runs, resolve

    if isinstance(variant, str):
        return resolve([f"variant={variant}", *words])
    if label is None:
        raise ConfigError("a Variant object needs label=NAME, its name in tables and plots")
    request = resolve(words)
    call = _python_call(variant, words, label)
    first = request.planned[0].run
    cell = Cell(label, variant, first.env, first.budget, first.evaluation, first.diagnostics)
    seeds = list(request.definition["seeds"])
    definition = request.definition | {
        "cells": [{"variant": label, "env": first.env.id, "overrides": {}}],
        "command": call,
    }
    return dataclasses.replace(request, planned=planned_runs([cell], seeds), definition=definition)


def _python_call(variant: "Variant", words: Sequence[str], label: str) -> list[str]:
    """A command that makes this call from Python again; key=value words behind it are further settings, as `store=` is."""
    parts = [variant, *(getattr(variant, field.name) for field in dataclasses.fields(variant))]
    classes = dict.fromkeys(type(part) for part in parts if dataclasses.is_dataclass(part))
    imports = "; ".join(f"from {one.__module__} import {one.__name__}" for one in classes)
    given = "**{key.replace('.', '__'): value for key, value in (word.split('=', 1) for word in sys.argv[1:])}"
    code = f"import sys, rlbench; {imports}; rlbench.run({variant!r}, label={label!r}, {given})"
    return ["python", "-c", code, *(word for word in words if not word.startswith("env.max_env_steps=null"))]


class _CallableModule(ModuleType):
    """`rlbench.run` is a module, because it is a command, and a function, because that is what one calls from Python."""

    __call__ = staticmethod(run)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    sys.exit(main())
