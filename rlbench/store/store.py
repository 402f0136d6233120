"""The store: a folder of results that survives whatever happens to the programs that write to it.

In: experiments, and through `Program` what training produces. Out: specifications, memberships, outcomes, claims, and
the parts of each table for those who read along. Opening for writing settles what killed programs left behind; opening
for reading (`create=False`) never writes. Knows nothing of what a specification means.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlbench.errors import ConfigError, StoreError
from rlbench.store import files, parts
from rlbench.store.checkpoints import CheckpointHeader, CheckpointReader, most_advanced, recover, sweep_checkpoints
from rlbench.store.claims import live_claims, sweep_claims
from rlbench.store.files import Layout
from rlbench.store.program import Program
from rlbench.store.records import FINAL_STATUSES, Member
from rlbench.store.schema import RECORD_TABLES, SCHEMAS, canonical_json, record_table


class Store:
    """One results folder. Made by `Store.open`."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._records = {table: parts.RecordReader(layout, table) for table in RECORD_TABLES}
        self._checkpoints = CheckpointReader(layout)

    @classmethod
    def open(cls, path: str | os.PathLike[str], create: bool = True) -> Store:
        """Open a results folder: for writing, making it where it does not exist, or (`create=False`) for reading.

        Raises StoreError for a folder of something else or of another format, a missing one that is not to be
        created, and one that cannot be written.
        """
        layout = Layout(Path(path))
        if not create:
            store = cls.peek(path)
            if store is None:
                raise StoreError(f"there is no results folder {layout.root}")
            return store
        if files.read_format(layout) is None:
            files.write_format(layout)
        else:
            cls.check_writable(path)
        for folder in (layout.claims, layout.checkpoints, layout.staging, layout.all_weights):
            files.make_folder(folder)
        for table in SCHEMAS:
            files.make_folder(layout.table(table))
        store = cls(layout)
        with files.locked(layout):
            store.settle()
        return store

    @classmethod
    def peek(cls, path: str | os.PathLike[str]) -> Store | None:
        """The store in a folder, for reading; None where there is no folder yet, or an empty one.

        Raises StoreError for a folder of something else or of another format.
        """
        layout = Layout(Path(path))
        return None if files.read_format(layout) is None else cls(layout)

    @classmethod
    def check_writable(cls, path: str | os.PathLike[str]) -> None:
        """Raise StoreError where the folder, or the nearest one above it that exists, cannot be written."""
        root = Layout(Path(path)).root.absolute()
        nearest = next(folder for folder in (root, *root.parents) if folder.exists())
        if not nearest.is_dir():
            raise StoreError(f"cannot write {root}: {nearest} is not a folder")
        if not os.access(nearest, os.W_OK):
            raise StoreError(f"cannot write {nearest}: no permission, or a read-only disk")

    @property
    def root(self) -> Path:
        return self.layout.root

    def record_experiment(
        self,
        name: str,
        definition: Mapping[str, Any],
        members: Sequence[Member],
        specs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Write down what is planned; what stands there already is not written again.

        Members and comparisons are added to those that the experiment has, otherwise its latest definition holds. Raises
        ConfigError, with nothing written, where one run stands for two variants, or where `final_window` differs, which would
        change what finished runs say.
        """
        with files.locked(self.layout):
            self._publish_records(self._additions(name, definition, members, specs))

    def check_experiment(
        self,
        name: str,
        definition: Mapping[str, Any],
        members: Sequence[Member],
        specs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Raise what `record_experiment` would; writes nothing."""
        self._additions(name, definition, members, specs)

    def _additions(
        self,
        name: str,
        definition: Mapping[str, Any],
        members: Sequence[Member],
        specs: Mapping[str, Mapping[str, Any]],
    ) -> dict[str, list[dict[str, Any]]]:
        """The rows that an experiment adds to the records, by table."""
        planned: dict[str, Member] = {}
        for member in members:
            other = planned.setdefault(member.run_id, member).variant
            if other != member.variant:
                raise ConfigError(
                    f"experiment {name!r}: {other!r} and {member.variant!r} are the same run ({member.run_id}):"
                    " their settings do not differ; nothing was written"
                )
        known = {row["run_id"]: row["spec"] for row in self._records["specs"].rows()}
        texts = {run_id: canonical_json(spec) for run_id, spec in specs.items()}
        for run_id, text in texts.items():
            if known.get(run_id, text) != text:
                raise StoreError(f"run {run_id} is stored with another specification; nothing was written")
        missing = planned.keys() - known.keys() - texts.keys()
        if missing:
            raise ValueError(f"members without a specification: {sorted(missing)}")
        placed = self.members(name)
        latest = {row["name"]: row["definition"] for row in self._records["experiments"].rows()}
        if name in latest:
            seeds = {run_id: json.loads(text)["seed"] for run_id, text in {**known, **texts}.items()}
            grows = self._grows(placed, planned, seeds) and "sequential" not in definition
            definition = _going_on(name, json.loads(latest[name]), definition, grows=grows)
        text = canonical_json(definition)
        return {
            "specs": [{"run_id": run_id, "spec": texts[run_id]} for run_id in texts if run_id not in known],
            "members": [
                {"experiment": name, **asdict(member)}
                for run_id, member in planned.items()
                if placed.get(run_id) != member
            ],
            "experiments": [{"name": name, "definition": text}] if latest.get(name) != text else [],
        }

    def plan(self, experiment: str) -> dict[str, Any] | None:
        """The latest state of an experiment's sequential plan; None where it has none."""
        states = [row["state"] for row in self._records["plans"].rows() if row["experiment"] == experiment]
        return json.loads(states[-1]) if states else None

    def record_plan(self, experiment: str, state: Mapping[str, Any], after: Mapping[str, Any] | None) -> bool:
        """Write the next state of a sequential plan, if the latest is still `after`; whether it was written.

        Every state stays: a plan's parts are the record of what was seen at which look.
        """
        with files.locked(self.layout):
            if self.plan(experiment) != after:
                return False
            self._publish_records({"plans": [{"experiment": experiment, "state": canonical_json(state)}]})
            return True

    def _publish_records(self, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        if not any(tables.values()):
            return
        staging = self.layout.staging / f"{uuid.uuid4().hex[:12]}-record"
        try:
            files.make_folder(staging)
            for table, rows in tables.items():
                if rows:
                    parts.stage_part(staging, table, record_table(table, rows))
            parts.publish(self.layout, staging)
        finally:
            files.remove_folder(staging)

    def _grows(self, placed: Mapping[str, Member], planned: Mapping[str, Member], seeds: Mapping[str, Any]) -> bool:
        """Whether a variant that has results gets seeds that it had not."""
        final = self.final_runs() & placed.keys()
        with_results = {placed[run_id].variant for run_id in final}
        had = {(member.variant, seeds[run_id]) for run_id, member in placed.items()}
        return any(
            member.variant in with_results and (member.variant, seeds[run_id]) not in had
            for run_id, member in planned.items()
        )

    def program(self, run_ids: Iterable[str]) -> Program:
        """Claim those of the runs that are not final and that no live program holds."""
        return Program(self, run_ids)

    def spec(self, run_id: str) -> dict[str, Any]:
        """One run's specification. Raises KeyError where it is unknown."""
        return self.specs([run_id])[run_id]

    def specs(self, run_ids: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """The specifications of these runs, or of all. Raises KeyError for an unknown one."""
        texts = {row["run_id"]: row["spec"] for row in self._records["specs"].rows()}
        wanted = texts if run_ids is None else run_ids
        return {run_id: json.loads(texts[run_id]) for run_id in wanted}

    def experiments(self) -> dict[str, dict[str, Any]]:
        """Name -> latest definition, in the order in which they were first recorded."""
        return {row["name"]: json.loads(row["definition"]) for row in self._records["experiments"].rows()}

    def members(self, experiment: str) -> dict[str, Member]:
        """The runs of an experiment by run_id, in order of position."""
        return {
            row["run_id"]: Member(**{key: value for key, value in row.items() if key != "experiment"})
            for row in self.memberships()
            if row["experiment"] == experiment
        }

    def memberships(self) -> list[dict[str, Any]]:
        """One row per experiment and run, the latest record of each, by first record of the experiment and position."""
        latest = {(row["experiment"], row["run_id"]): row for row in self._records["members"].rows()}
        order = {experiment: i for i, experiment in enumerate(dict.fromkeys(name for name, _ in latest))}
        return sorted(latest.values(), key=lambda row: (order[row["experiment"]], row["position"]))

    def outcomes(self) -> dict[str, dict[str, Any]]:
        """run_id -> its latest outcome row, for every run that ended."""
        return {row["run_id"]: row for row in self._records["outcomes"].rows()}

    def final_runs(self) -> set[str]:
        """The runs that are never trained again: done, diverged or pruned."""
        return {run_id for run_id, row in self.outcomes().items() if row["status"] in FINAL_STATUSES}

    def claimed(self) -> set[str]:
        """The runs that a live program holds."""
        return set().union(*live_claims(self.layout).values())

    def progress(self) -> dict[str, int]:
        """run_id -> env_steps of the state from which a run that is not final would go on."""
        final = self.final_runs()
        states = most_advanced(self.checkpoint_headers())
        return {run_id: steps for run_id, (steps, _) in states.items() if run_id not in final}

    def parts(self, table: str) -> list[Path]:
        """The parts of a table in order of publication. A part that was listed once never changes or goes away.

        Who reads along remembers the names that it has seen: a listing taken during a publication may lack one part
        that a later one shows before the newest.
        """
        return parts.list_parts(self.layout, table)

    def checkpoint_headers(self) -> list[CheckpointHeader]:
        """What every checkpoint file says of itself."""
        return self._checkpoints.headers()

    def settle(self) -> None:
        """Finish or sweep what dead programs left behind; the caller holds the store's lock."""
        recover(self.layout)
        sweep_claims(self.layout)
        sweep_checkpoints(self.layout, self.checkpoint_headers(), self.final_runs())


def _going_on(name: str, before: Mapping[str, Any], now: Mapping[str, Any], *, grows: bool) -> dict[str, Any]:
    """The definition of an experiment to which a command adds: the latest, with all comparisons that were declared.

    Its `seeds_added` counts the commands that added seeds to a variant that had results.
    """
    window = before.get("final_window")
    if window is not None and window != now.get("final_window", window):
        raise ConfigError(
            f"experiment {name!r} has final_window={window}; with another one its finished runs would say something else:"
            " keep it, or give the experiment another name=NAME; nothing was written"
        )
    pairs: dict[str, list[Any]] = {}
    for comparison in (*before.get("comparisons", []), *now.get("comparisons", [])):
        known = pairs.setdefault(comparison["family"], [])
        known += [pair for pair in comparison["pairs"] if pair not in known]
    together = {**now} if window is None else {**now, "final_window": window}
    times = int(before.get("seeds_added", 0)) + grows
    if times:
        together["seeds_added"] = times
    if pairs:
        together["comparisons"] = [{"family": family, "pairs": own} for family, own in pairs.items()]
    return together
