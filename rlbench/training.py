"""Training what a request asks for, by command or from Python: what is refused before, the record of an experiment, and the mirror.

In: a request, or runs and the definition of their experiment. Out: both in the store, the runs trained; whether it was interrupted.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlbench.places import Place
from rlbench.plain_text import as_message

if TYPE_CHECKING:
    from rlbench.config import PlannedRun, Request
    from rlbench.runner.worker import Launcher
    from rlbench.store import Store
    from rlbench.tracking import Follower
    from rlbench.tracking.tracker import TrackerSettings
    from rlbench.tuning.request import TuneRequest

MIRROR_PATIENCE_SECONDS = 60.0


def open_store(place: Place) -> "Store":
    """The store, which tells of damage on stderr."""
    from rlbench.store import Store

    return Store.open(place, say=lambda line: print(f"damage: {as_message(line)}", file=sys.stderr))


def train_recorded(
    name: str,
    store: "Store",
    runs: "Sequence[PlannedRun]",
    definition: Mapping[str, Any],
    request: "Request | TuneRequest",
    launcher: "Launcher",
) -> bool:
    """Record these runs as the experiment's and train those that are missing; True when interrupted."""
    from rich.console import Console

    from rlbench.config.changed_code import changed_code, changed_lines
    from rlbench.runner.experiments import recorded

    store.record_experiment(name, *recorded(runs, definition))
    ids, final = {planned.run_id for planned in runs}, store.final_runs()
    missing = ids - final
    if missing:
        under_way = len(missing & set(store.progress()))
        resumed = f", {under_way} of them from their last checkpoint" if under_way else ""
        Console(stderr=True).print(
            f"{name}: {len(missing)} of {len(runs)} runs to train{resumed}, {workers_of(request, launcher)}",
            highlight=False,
        )
    for line in changed_lines(changed_code(store.specs(store.members(name).keys() - ids - final))):
        Console(stderr=True).print(f"{name}: not continued: {line}", highlight=False, soft_wrap=True)
    if not missing:
        return False
    from rlbench.runner.launch import pool_of, train_runs  # here and not above: with them comes the engine, and torch

    return train_runs(store, runs, pool_of(request, launcher))


def workers_of(request: "Request | TuneRequest", launcher: "Launcher") -> str:
    """How many workers train and where, as it is told: "2 workers", and of a cluster "16 workers of ray"."""
    from rlbench.config.launchers import LOCAL

    kind = request.launcher.kind
    return f"{request.workers or launcher.room()} workers{'' if kind == LOCAL else f' of {kind}'}"


def check(request: "Request") -> None:
    """All that can be refused before anything is written, by a run and its dry run alike."""
    from rlbench.exact.compiler import compiler
    from rlbench.lanes.choices.variant import doubts
    from rlbench.runner.experiments import recorded
    from rlbench.store import Store
    from rlbench.tracking import require_login

    for line in dict.fromkeys(line for planned in request.planned for line in doubts(planned.run)):
        print(f"note: {as_message(line)}", file=sys.stderr)
    require_login(*request.tracking)
    compiler()  # of a name that is no program it says so
    store = Store.peek(request.store)
    Store.check_writable(request.store)
    runs, definition = request.planned, request.definition
    if request.sequential is not None:
        from rlbench.deciding import current_state, definition_of, runs_of

        state = current_state(request, store)
        runs, definition = tuple(runs_of(request, state)), definition_of(request, state)
    if store is not None:
        store.check_experiment(request.name, *recorded(runs, definition))


def train(request: "Request") -> bool:
    """Record the experiment and train what is missing, or what its plan asks for; True when interrupted."""
    from rlbench.runner.launchers import launched
    from rlbench.tracking import Follower

    check(request)
    with launched(request) as launcher:
        store = open_store(request.store)

        def train_these(runs: "Sequence[PlannedRun]", definition: dict[str, Any]) -> bool:
            return train_recorded(request.name, store, runs, definition, request, launcher)

        with Follower(request.store, *_trackers_with_work(request, store)) as follower:
            if request.sequential is not None:
                from rlbench.deciding import follow

                interrupted = follow(request, store, train_these)
            else:
                interrupted = train_these(request.planned, request.definition)
    await_mirror(follower, request.store, 0 if interrupted else MIRROR_PATIENCE_SECONDS)
    return interrupted


def _trackers_with_work(request: "Request", store: "Store") -> list["TrackerSettings"]:
    """The trackers that will have something to be told: a process that finds out there is nothing takes longer than all the rest."""
    if request.sequential is not None or {planned.run_id for planned in request.planned} - store.final_runs():
        return list(request.tracking)
    from rlbench.tracking.mirror import is_mirrored

    return [settings for settings in request.tracking if settings.is_enabled and not is_mirrored(store, settings)]


def await_mirror(follower: "Follower", store: Place, seconds: float = MIRROR_PATIENCE_SECONDS) -> None:
    """Give the mirror so many seconds to end, and say what is left for it to do."""
    mirrored, told = follower.wait(seconds), follower.told()
    if mirrored is None and seconds:
        print("Weights & Biases is still being told, in the background", file=sys.stderr)
    elif mirrored:
        print(
            f"not all was mirrored to Weights & Biases; python -m rlbench.sync store={store} catches up",
            file=sys.stderr,
        )
    else:
        print(told, end="", file=sys.stderr)
