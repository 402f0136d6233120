"""One stretch of mirroring: from what the ledger says is complete to what the store holds now.

In: a store, the ledger, a tracker. Out: the runs as the tracker shows them. It starts from the ledger and the store alone,
so going on after a crash, after an outage and for the first time are the same thing. Only reads the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from rlbench.metrics import final_window
from rlbench.store import Store
from rlbench.store.labels import flattened
from rlbench.store.records import FINAL_STATUSES
from rlbench.store.results import Results
from rlbench.tracking.ledger import Mirrored, MirrorLedger, destination_folder, recall, tracker_folder
from rlbench.tracking.reading import PartReader
from rlbench.tracking.rows import RunRows
from rlbench.tracking.tracker import OpenRun, RunHeader, Tracker, TrackerSettings, TrackingError
from rlbench.tracking.trackers import name_of

_CLOSERS = 8  # runs that end at the server at once: each takes a few round trips


class Mirror:
    """Mirrors one store to one destination; the caller holds the lock of the destination."""

    def __init__(
        self,
        store: Store,
        ledger: MirrorLedger,
        tracker: Tracker,
        told: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        """told: called with how many of how many runs have been handed over, again and again."""
        self._told = told
        self._store = store
        self._ledger = ledger
        self._tracker = tracker
        self._parts = PartReader(store)
        self._rows: dict[str, RunRows] = {}
        self._members: dict[str, dict[str, Any]] = {}  # of a run, its place in the first experiment that recorded it
        self._windows: dict[str, int] = {}
        self._has_looked = False
        self._open: dict[str, OpenRun] = {}
        self._closing: dict[str, tuple[Mirrored, Future[None]]] = {}
        self._closers = ThreadPoolExecutor(_CLOSERS)
        outcomes = store.outcomes()
        for run in [run for run in ledger.runs.values() if run.is_final]:
            outcome = outcomes.get(run.run_id)
            if outcome is None or run.outcome != stamp_of(outcome):  # it was deleted, and perhaps trained again
                ledger.runs[run.run_id] = replace(run, is_final=False)
        complete = {run.run_id: run.folder for run in ledger.runs.values()}
        for run_id in tracker.settle(complete, store.specs()):
            del ledger.runs[run_id]

    def advance(self) -> None:
        """Hand over everything that has been published and is not there yet."""
        outcomes = self._store.outcomes()  # before the rows: whose end is known here has all its rows published
        self._has_looked = False
        changed = dict.fromkeys(self._read_rows())
        changed.update(dict.fromkeys(outcomes))
        lost = {run_id for run_id in changed if not self._is_described(run_id)}
        if self._store.damage.lost_rows:  # to show a part of a run's rows would be another result
            lost.update(Results(self._store).runs_with_lost_rows())
        for place, run_id in enumerate(changed):
            self._told(place, len(changed))
            outcome = outcomes.get(run_id)
            if run_id not in lost and not self._is_mirrored(run_id, outcome) and run_id not in self._closing:
                self._advance_run(run_id, outcome)
        self._collect(wait=False)

    def finish(self) -> int:
        """End all that is open; returns how many of these runs are not complete."""
        self._collect(wait=True)
        unfinished = list(self._open.values())
        if unfinished:
            interrupt = self._tracker.interrupt
            list(self._closers.map(interrupt, unfinished) if self._tracker.is_remote else map(interrupt, unfinished))
        self._open.clear()
        self._closers.shutdown()
        self._tracker.close()
        return len(unfinished)

    def abandon(self) -> None:
        """Drop everything that is under way; the next mirror starts from the ledger."""
        self._tracker.close()
        self._closers.shutdown()

    def _is_mirrored(self, run_id: str, outcome: Mapping[str, Any] | None) -> bool:
        done = self._ledger.runs.get(run_id)
        return done is not None and (outcome is None or done.outcome == stamp_of(outcome))

    def _read_rows(self) -> list[str]:
        """Take in what has been published; returns the runs that have new rows."""
        again = self._parts.begun_again() & self._rows.keys()
        if again:  # the next mirror reads their rows from the first one that counts
            raise TrackingError(f"run {min(again)} has begun again, and is mirrored anew")
        runs = []
        complete = {run.run_id for run in self._ledger.runs.values() if run.is_final}
        for run_id, table, columns in self._parts.new_rows(but=complete):
            if self._is_described(run_id):
                self._rows_of(run_id).add(table, columns)
                runs.append(run_id)
        return runs

    def _is_described(self, run_id: str) -> bool:
        """Whether it can be read what a run is of: a damaged record hides it. The first that is new since the last time is looked up:

        what is mirrored now was published before that look, and its records before it.
        """
        if run_id not in self._members and not self._has_looked:
            self._has_looked = True
            for row in self._store.memberships():
                self._members.setdefault(row["run_id"], row)
        return run_id in self._members

    def _rows_of(self, run_id: str) -> RunRows:
        if run_id not in self._rows:
            self._rows[run_id] = RunRows(self._window_of(self._members[run_id]["experiment"]))
        return self._rows[run_id]

    def _window_of(self, experiment: str) -> int:
        """The final window of an experiment, which never changes; its definition names every seed."""
        if experiment not in self._windows:
            self._windows[experiment] = final_window(self._store.experiments().get(experiment, {}))
        return self._windows[experiment]

    def _advance_run(self, run_id: str, outcome: Mapping[str, Any] | None) -> None:
        rows = self._rows_of(run_id)
        first_step = rows.num_rows
        ready = rows.ready(is_final=outcome is not None)
        if not ready and outcome is None:
            return
        if run_id not in self._open:
            done = self._ledger.runs.pop(run_id, None)
            if done is not None and done.folder:  # it failed, was tried again, and has another outcome now
                self._tracker.remove(done.folder)
            self._open[run_id] = self._tracker.open(self._header(run_id))
        self._open[run_id].log(ready, first_step)
        if outcome is not None:
            self._close(run_id, outcome)

    def _close(self, run_id: str, outcome: Mapping[str, Any]) -> None:
        opened, rows = self._open.pop(run_id), self._rows.pop(run_id)
        record = Mirrored(run_id, stamp_of(outcome), outcome["status"] in FINAL_STATUSES, rows.num_rows, opened.place)
        summary = {"status": outcome["status"], "digest": outcome["digest"], **rows.measures()}
        weights = self._store.weights_path(run_id)
        work = (opened, rows.num_rows, summary, weights if weights.exists() else None)
        if self._tracker.is_remote:
            self._closing[run_id] = (record, self._closers.submit(self._tracker.finish, *work))
        else:
            self._tracker.finish(*work)
            self._ledger.add(record)
        if not record.is_final:  # if it is tried again, it is mirrored from its first row
            for table, columns in self._parts.rows_again(run_id):
                self._rows_of(run_id).add(table, columns)

    def _collect(self, *, wait: bool) -> None:
        """Write down the runs that have ended at a server."""
        for run_id, (record, work) in list(self._closing.items()):
            if wait or work.done():
                work.result()
                self._ledger.add(record)
                del self._closing[run_id]

    def _header(self, run_id: str) -> RunHeader:
        spec = self._store.spec(run_id)
        member = self._members[run_id]
        variant, seed = member["variant"], spec["seed"]
        config = {
            "variant": variant,
            "experiment": member["experiment"],
            "env": spec["env"]["id"],
            "seed": seed,
            "study": member["study"],
            "trial": member["trial"],
            **_settings(spec),
        }
        tags = (member["experiment"], spec["env"]["id"])
        return RunHeader(run_id, f"{variant}-s{seed}", member["study"] or variant, config, tags)


def is_mirrored(store: Store, settings: TrackerSettings) -> bool:
    """Whether every run that has ended is complete where these settings lead; False where only a server knows."""
    destination, name = settings.local_destination, name_of(settings)
    if destination is None or recall(store.root, name) != settings:
        return False
    runs = MirrorLedger(destination_folder(store.root, name, destination)).runs
    folder = tracker_folder(store.root, name)
    return all(
        run_id in runs and runs[run_id].outcome == stamp_of(outcome) and (folder / runs[run_id].folder).is_dir()
        for run_id, outcome in store.outcomes().items()
    )


def _settings(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a run by the key under which people give it: `optimizer.lr`."""
    return {key.removeprefix("variant."): value for key, value in flattened(spec).items()}


def stamp_of(outcome: Mapping[str, Any]) -> str:
    """Which of a run's outcomes this is."""
    return f"{outcome['status']} {outcome['finished_at'].isoformat()}"
