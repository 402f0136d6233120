"""What the records of a store said at one moment.

In: a store. Out: a `Snapshot`, which no later record changes: what is known of each run without reading its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlbench.store.contents import Contents
from rlbench.store.joined import JoinedStore
from rlbench.store.labels import distinct_labels
from rlbench.store.records import FINAL_STATUSES
from rlbench.store.schema import ROW_ORDER

Row = Mapping[str, Any]
_TEXT_OF_THE_END = ["digest", "version", "platform", "launcher", "error"]


@dataclass(frozen=True)
class Snapshot:
    """The records of all runs, or of some: those that have memberships here."""

    experiments: dict[str, dict[str, Any]]  # name -> definition
    memberships: Sequence[Row]  # as a store has them, of these runs
    all_memberships: Sequence[Row]
    specs: Mapping[str, Mapping[str, Any]]
    claimed: set[str]
    outcomes: Mapping[str, Row]
    progress: Mapping[str, int]
    rows: Mapping[str, Any]  # row table -> how far it was

    @classmethod
    def of(cls, store: Contents | JoinedStore) -> Snapshot:
        """The records as they are now."""
        # Outcomes are listed before rows, and published after them: a run that is done here has all its rows.
        return cls(
            experiments=store.experiments(),
            memberships=(members := store.memberships()),
            all_memberships=members,
            specs=store.specs(),
            claimed=store.claimed(),
            outcomes=store.outcomes(),
            progress=store.progress(),
            rows={table: store.num_rows(table) for table in ROW_ORDER},
        )

    def only(self, run_ids: Iterable[str]) -> Snapshot:
        """The same, restricted to these runs."""
        wanted = set(run_ids)
        return replace(self, memberships=[row for row in self.memberships if row["run_id"] in wanted])

    def members(self, experiment: str | None) -> list[Row]:
        """One membership a run, of one experiment or the first that recorded it."""
        first: dict[str, Row] = {}
        for row in self.memberships:
            if experiment in (None, row["experiment"]):
                first.setdefault(row["run_id"], row)
        return list(first.values())

    def labels(self, members: Iterable[Row]) -> dict[str, str]:
        """run_id -> a label that tells its settings from those of its namesakes, whichever of an experiment's runs these are."""
        of_experiments: dict[str, dict[str, str]] = {}
        for row in self.all_memberships:
            of_experiments.setdefault(row["experiment"], {})[row["run_id"]] = row["variant"]
        found = {
            name: distinct_labels(of_experiments[name], self.specs) for name in {row["experiment"] for row in members}
        }
        return {row["run_id"]: found[row["experiment"]][row["run_id"]] for row in members}

    def facts(self, member: Row) -> dict[str, Any]:
        """What is known of a run without reading its rows, by the columns of the table `runs`."""
        run_id = member["run_id"]
        spec, outcome = self.specs[run_id], self.outcomes.get(run_id, {})
        status = outcome.get("status", "pending")
        if status not in FINAL_STATUSES and run_id in self.claimed:
            status = "running"
        return {
            **{key: member[key] for key in ("run_id", "experiment", "study", "trial")},
            "env": spec["env"]["id"],
            "seed": spec["seed"],
            "namespace": spec["namespace"],
            "status": status,
            "env_steps": outcome.get("env_steps", self.progress.get(run_id, 0)),
            "updates": outcome.get("updates", 0),
            "episodes": outcome.get("episodes", 0),
            "wall_s": outcome.get("wall_s", float("nan")),
            **{key: outcome.get(key, "") for key in _TEXT_OF_THE_END},
        }
