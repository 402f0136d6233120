"""`python -m rlbench.tune`: tune variants with Optuna, trials x seeds as lanes, and judge the winner on fresh seeds.

In: key=value words (see --help). Out: the study in its storage, its runs in the store, the winner as a file, a report; the exit code says
how it went. Running the same command again goes on where it stopped.
"""

import importlib.util
import shlex
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rlbench.config.arguments import run_command
from rlbench.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_RUNS_FAILED, ConfigError

if TYPE_CHECKING:
    from rlbench.runner.worker import Launcher
    from rlbench.tuning.request import TuneRequest
    from rlbench.tuning.tuner import Standing

PROG = "python -m rlbench.tune"
LINE_PERIOD_SECONDS = 10.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _run(sys.argv[1:] if argv is None else list(argv)))


def _run(argv: Sequence[str]) -> int:
    from rlbench.config import HelpRequested
    from rlbench.tuning.request import resolve

    try:
        request = resolve(argv)
    except HelpRequested as help_text:
        print(help_text)
        return EXIT_OK
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError("tuning needs Optuna: pip install 'rlbench[tune]'")
    from rlbench.runner.launchers import launched

    _check(request)
    with launched(request) as launcher:
        if request.dry_run:
            _print_plan(request, launcher)
            return EXIT_OK
        return _tune(request, launcher)


def _check(request: "TuneRequest") -> None:
    """All that can be refused before anything is written, by a command and its dry run alike.

    A dry run leaves alone what opening alone would make: a database on a server, or a file that is not there yet.
    """
    from rlbench.places import beside
    from rlbench.store import Store
    from rlbench.tracking import require_login
    from rlbench.tuning.existing import check_experiments
    from rlbench.tuning.ledger import check_existing
    from rlbench.tuning.storage import answering, default_url, file_of, open_storage

    require_login(*request.tracking)
    for place in dict.fromkeys(
        (request.store, beside(request.store))
    ):  # where trials and winners lie may be another place
        Store.check_writable(place)
    url = request.storage or default_url(request.store)
    path = file_of(url)
    if (request.storage and not request.dry_run) or (path is not None and path.exists()):
        storage = open_storage(url)
        with answering():
            for study in request.studies:
                check_existing(storage, study)
    check_experiments(request)


def _tune(request: "TuneRequest", launcher: "Launcher") -> int:
    from rlbench.runner.pool import Interrupted
    from rlbench.tracking import Follower
    from rlbench.training import await_mirror, open_store
    from rlbench.tuning.conclusion import conclude
    from rlbench.tuning.storage import default_url, open_storage

    store = open_store(request.store)
    if not request.storage:
        (store.root / "studies").mkdir(parents=True, exist_ok=True)
    url = request.storage or default_url(request.store)
    storage = open_storage(url)
    with Follower(request.store, *request.tracking) as follower:
        try:
            outcomes = _work(request, launcher, storage, url, store)
            conclusion = conclude(request, launcher, outcomes, store)
        except (Interrupted, KeyboardInterrupt):
            command = shlex.join([*PROG.split(), *request.argv])
            print(f"interrupted; the same command goes on from here:\n  {command}")
            return EXIT_INTERRUPTED
    await_mirror(follower, request.store)
    print(conclusion.text)
    return EXIT_RUNS_FAILED if conclusion.lost else EXIT_OK


def _work(request: "TuneRequest", launcher: "Launcher", storage: Any, url: str, store: Any) -> list[Any]:
    """Tune every variant, one after the other, with one set of worker processes; returns the trials of each."""
    from rlbench.runner.launch import pool_of
    from rlbench.tuning.request import composer_of
    from rlbench.tuning.storage import answering, locks_of
    from rlbench.tuning.tuner import Tuner

    definition = {
        "name": request.tuning_experiment,
        "question": request.question,
        "tuning_of": request.name,
        "studies": {study.name: study.definition() for study in request.studies},
        "seeds": [],
        "cells": [],
        "comparisons": [],
        "final_window": request.studies[0].objective.window,
        "command": [*PROG.split(), *request.argv],
    }
    # Before the first trial: a tuner of which others take every trial has this experiment too.
    store.record_experiment(request.tuning_experiment, definition, [], {})
    watch = _Watch()
    outcomes = []
    with pool_of(request, launcher) as pool, composer_of(request) as composer:
        for study in request.studies:
            with answering():
                locks = locks_of(storage, url, study.name, request.store)
            tuner = Tuner(
                study,
                storage,
                locks,
                store,
                pool,
                composer,
                experiment=request.tuning_experiment,
                definition=definition,
                trials_at_once=request.trials_at_once(study),
                watch=watch,
            )
            outcomes.append(tuner.run())
    return outcomes


class _Watch:
    """A line on stderr every few seconds, and when a study ends."""

    def __init__(self) -> None:
        self._begin = self._told = time.monotonic()
        self._steps = 0

    def __call__(self, now: "Standing") -> None:
        self._steps += now.lane_steps
        seconds = time.monotonic() - self._told
        if seconds < LINE_PERIOD_SECONDS and now.finished < now.asked:
            return
        best = "" if now.best is None else f", best {now.best:.1f} (trial {now.best_trial})"
        speed = f", {self._steps / max(seconds, 1e-9):,.0f} steps/s".replace(",", " ") if self._steps else ""
        print(
            f"{now.study}: {now.finished}/{now.asked} trials, {now.pruned} of them pruned{best}; {now.running} running{speed}",
            file=sys.stderr,
            flush=True,
        )
        self._told, self._steps = time.monotonic(), 0


def _print_plan(request: "TuneRequest", launcher: "Launcher") -> None:
    """What would be trained, and what it costs at most; writes nothing."""
    from rlbench.lanes.fast.chunks import bytes_per_lane
    from rlbench.runner.plan import STARTUP_SECONDS, expected_seconds
    from rlbench.training import workers_of
    from rlbench.tuning.study import first_run
    from rlbench.tuning.study_file import effort_notes

    num_workers = request.workers or launcher.room()
    seconds = num_bytes = 0.0
    for study in request.studies:
        run = first_run(study)
        at_once = request.trials_at_once(study)
        budget = f"{run.budget.steps} steps" if run.budget.steps else f"{run.budget.episodes} episodes"
        print(
            f"study {study.name}: {study.trials} trials x {len(study.seeds)} seeds of {study.variant} on {run.env.id},"
            f" {budget} each, {at_once} trials at once"
        )
        print(f"  maximised: {study.objective}")
        print(f"  sampler {study.sampler.kind}, pruner {study.pruner.kind}, seed {study.seed}")
        for remark in effort_notes(study.trials, study.sampler, study.pruner):
            print(f"  note: {remark}")
        for parameter in study.space:
            print(f"  {parameter.key}: {parameter}")
        fresh = (request.confirm.top + 1) * request.confirm.seeds
        seconds += expected_seconds(run) * (study.trials * len(study.seeds) + fresh) / num_workers + STARTUP_SECONDS
        num_bytes = max(num_bytes, at_once * len(study.seeds) * bytes_per_lane(run))
    if request.confirm.seeds:
        print(f"  then the best {request.confirm.top} and the untuned variant on {request.confirm.seeds} fresh seeds")
    print(f"  memory: {num_bytes / 2**20:.0f} MiB of lanes at once, on {workers_of(request, launcher)}")
    print(f"  expected time: at most about {seconds / 60:.0f} min, less what pruning saves")
    print("nothing was written")


if __name__ == "__main__":
    sys.exit(main())
