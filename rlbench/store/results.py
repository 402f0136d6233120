"""Reading results back as pandas DataFrames.

In: a store, and perhaps the name of one of its experiments. Out: `Results`, a snapshot of what was published when it
was made, each table read when it is first asked for. Never writes, takes no lock, needs only permission to read.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlbench.errors import ConfigError, StoreError, check_choice, did_you_mean
from rlbench.metrics import MEASURES, final_window, of_runs
from rlbench.store.joined import JoinedStore
from rlbench.store.labels import differing
from rlbench.store.records import FINAL_STATUSES
from rlbench.store.run_table import typed_runs, untyped_runs
from rlbench.store.schema import ROW_ORDER, RowDigest, digest_rows, run_digest
from rlbench.store.slices import rows_by_run
from rlbench.store.snapshot import Snapshot
from rlbench.store.store import Store

if TYPE_CHECKING:
    import pandas as pd
    import torch

FRAMES = ("runs", "curves", "episodes", "evaluations", "diagnostics")
IDENTITY = ["experiment", "variant", "env", "seed"]


def load(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], experiment: str | None = None) -> Results:
    """The results in a folder, or in several as if they were one; of all experiments or of one.

    Raises StoreError where there is no results folder, no experiment of that name in it, or where folders disagree about a run.
    """
    if isinstance(path, (str, os.PathLike)):
        results = Results(Store.open(path, create=False))
    else:
        results = Results(JoinedStore([Store.open(one, create=False) for one in path]))
    return results if experiment is None else results.experiment(experiment)


class Results:
    """What a store held at one moment.

    Attributes:
        runs: one row a run, by the order of experiments and the position within. A run of several experiments stands under
            the first that recorded it, unless the results are those of one experiment. Where a variant's name was used for
            several configurations within an experiment, `variant` says in what they differ: "soft_huber
            (budget.steps=50000)". Of an unfinished run `env_steps` is the state from which it would go on, `updates` and
            `episodes` what its published rows show.
        episodes, evaluations, diagnostics: rows sorted by run_id and then in the order in which the run made them; those
            of failed and diverged runs stay.
    """

    def __init__(
        self, store: Store | JoinedStore, experiment: str | None = None, snapshot: Snapshot | None = None
    ) -> None:
        self.store = store
        self.name = experiment
        if snapshot is None:
            store.note_strays()
        self._snapshot = snapshot or Snapshot.of(store)

    @property
    def path(self) -> Path:
        """The local folder for what lies beside the results: the store's own, where it is a folder."""
        return self.store.root

    @property
    def address(self) -> str:
        """What the store is called in texts: its folder or its URL."""
        return self.store.address

    @property
    def experiments(self) -> dict[str, dict[str, Any]]:
        """Name -> definition of every experiment in the store, also where the results are those of one."""
        return dict(self._snapshot.experiments)

    def plan(self, experiment: str) -> dict[str, Any] | None:
        """The state of an experiment's sequential plan as it is now; None where it follows none."""
        return self.store.plan(experiment)

    def experiment(self, name: str) -> Results:
        """The same snapshot, restricted to one experiment. Raises StoreError for an unknown name."""
        if name == self.name:
            return self
        known = self._snapshot.experiments
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(known)) or 'none'}"
            raise StoreError(f"no experiment {name!r} in {self.address}; {hint}")
        return Results(self.store, name, self._snapshot)

    def kind_of(self, name: str) -> str:
        """Whether this is the name of an "experiment" or the id of a "run". Raises ConfigError, with the nearest of either, for neither."""
        runs = [row["run_id"] for row in self._members]
        if name in self._snapshot.experiments or name in runs:
            return "experiment" if name in self._snapshot.experiments else "run"
        known = [*self._snapshot.experiments, *runs]
        experiments = ", ".join(self._snapshot.experiments) or "none"
        raise ConfigError(
            f"no run or experiment '{name}' in {self.address}{did_you_mean(name, known)} (experiments: {experiments})"
        )

    def only(self, run_ids: Iterable[str]) -> Results:
        """The same snapshot, restricted to these runs."""
        return Results(self.store, self.name, self._snapshot.only(run_ids))

    @cached_property
    def _members(self) -> list[Mapping[str, Any]]:
        """One membership a run, in the order of `runs`."""
        return self._snapshot.members(self.name)

    @cached_property
    def episodes(self) -> pd.DataFrame:
        return self._rows("episodes")

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        return self._rows("evaluations")

    @cached_property
    def diagnostics(self) -> pd.DataFrame:
        return self._rows("diagnostics")

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row a run and evaluation point, the mean of its episodes: run_id, experiment, variant, env, seed, env_steps, episode_return.

        `sns.relplot(data=results.curves, x="env_steps", y="episode_return", hue="variant", col="env", kind="line")` draws them.
        """
        points = self.evaluations.groupby(["run_id", "env_steps"], as_index=False)["episode_return"].mean()
        return self._identified(points)

    def frame(self, table: str, *, config: bool = False) -> pd.DataFrame:
        """A table in which every row says what it is of: experiment, variant, env and seed of its run.

        table: runs, curves, episodes, evaluations or diagnostics. With `config`, a column more for each setting in which these runs
        differ, by its dotted name. Raises ConfigError for an unknown table.
        """
        rows: pd.DataFrame = getattr(self, check_choice("table", table, FRAMES))
        rows = rows if table in ("runs", "curves") else self._identified(rows)
        if not config:
            return rows
        settings = differing({row["run_id"]: self._snapshot.specs[row["run_id"]] for row in self._members})
        return rows.assign(**{key: rows["run_id"].map(values) for key, values in settings.items() if key not in rows})

    def _identified(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with the columns that say what their runs are, behind run_id."""
        runs = self.runs.set_index("run_id")[IDENTITY]
        told = {column: rows["run_id"].map(runs[column]) for column in IDENTITY}
        return rows.assign(**told)[["run_id", *IDENTITY, *(name for name in rows if name != "run_id")]]

    def network(self, run_id: str) -> torch.nn.Module:
        """The run's network as a plain PyTorch module with its final weights, in evaluation mode.

        Raises StoreError for an unknown run, and for one that is not done or has no network.
        """
        from rlbench.config import run_of
        from rlbench.playing.choosing import plain_module

        self._check_known(run_id)
        weights = self.weights(run_id)
        if not weights:
            raise StoreError(f"run {run_id} has no weights: it is not done, or it acts at random")
        module = plain_module(run_of(self.specs([run_id])[run_id]))
        module.load_state_dict(weights)
        return module.eval()

    def _check_known(self, run_id: str) -> None:
        known = [row["run_id"] for row in self._members]
        if run_id not in known:
            hint = did_you_mean(run_id, known) or f"; `.runs` lists its {len(known)} runs"
            raise StoreError(f"no run '{run_id}' in these results{hint}")

    def __repr__(self) -> str:
        of = f" of experiment {self.name!r}" if self.name else f" of all experiments ({len(self.experiments)})"
        return f"<Results{of} in {self.address!r}: {self._counted()}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: how the runs stand, and each variant's mean and spread over seeds."""
        from html import escape

        told = self.runs.groupby(["env", "variant"], sort=False)["final_return"].agg(["count", "mean", "std"])
        return f"<p>{escape(repr(self))}</p>{told.round(1).to_html()}"

    def _counted(self) -> str:
        """How many runs there are, by status."""
        return f"{len(self._members)} runs ({self.standing()})"

    def standing(self) -> str:
        """How many runs have which status, the most frequent first: "30 done, 2 failed"."""
        return ", ".join(f"{count} {status}" for status, count in self.runs["status"].value_counts().items())

    def recorded(self) -> list[Any]:
        """All that the records say of these runs and their experiment: tables follow from it, since a digest stands for a run's rows."""
        ids = [row["run_id"] for row in self._members]
        ends = [[one.get(run_id) for run_id in ids] for one in (self._snapshot.outcomes, self._snapshot.progress)]
        running = [run_id for run_id in ids if run_id in self._snapshot.claimed]
        return [self._snapshot.experiments.get(self.name or ""), self._members, *ends, running]

    @cached_property
    def recorded_names(self) -> dict[str, str]:
        """run_id -> the variant's name as it was recorded, which several configurations may share."""
        return {row["run_id"]: row["variant"] for row in self._members}

    def _rows(self, table: str) -> pd.DataFrame:
        run_ids = [row["run_id"] for row in self._members]
        rows = self.store.read_rows(table, self._snapshot.rows[table], run_ids).to_pandas()
        return rows.sort_values(["run_id", *ROW_ORDER[table]], kind="stable", ignore_index=True)

    @cached_property
    def runs(self) -> pd.DataFrame:
        run_ids = [row["run_id"] for row in self._members]
        windows = {row["run_id"]: self._final_window(row["experiment"]) for row in self._members}
        measured = of_runs(self.evaluations, self.episodes, windows)
        labels = self._snapshot.labels(self._members)
        facts = [self._snapshot.facts(row) | {"variant": labels[row["run_id"]]} for row in self._members]
        runs = untyped_runs(facts, measured)
        unfinished = [run_id for run_id in run_ids if run_id not in self._snapshot.outcomes]
        if unfinished:  # of the others it is known
            seen = self.episodes.groupby("run_id").size()
            updates = self.diagnostics.groupby("run_id")["updates"].max()
            for column, shown in (("episodes", seen), ("updates", updates)):
                runs.loc[unfinished, column] = shown.reindex(unfinished, fill_value=0)
        lost = self.runs_with_lost_rows()
        runs.loc[lost, [*MEASURES, "wall_s"]] = float("nan")
        runs.loc[lost, "status"] = "failed"
        runs.loc[lost, "error"] = "its stored rows are damaged"
        return typed_runs(runs)

    def runs_with_lost_rows(self) -> list[str]:
        """The finished runs whose rows are not all there; nobody looks for them where every part was read."""
        if not self.store.damage.lost_rows:
            return []
        ends = self._snapshot.outcomes
        final = [row["run_id"] for row in self._members if ends.get(row["run_id"], {}).get("status") in FINAL_STATUSES]
        return [run_id for run_id, digest in self.stored_digests(final).items() if digest != ends[run_id]["digest"]]

    def _final_window(self, experiment: str) -> int:
        return final_window(self._snapshot.experiments.get(experiment, {}))

    def specs(self, run_ids: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """The specifications of these runs, or of all in the store. Raises KeyError for an unknown one."""
        return self.store.specs(run_ids)

    def weights_path(self, run_id: str) -> Path:
        """A file with a run's final weights, of a remote store a copy; for a run without weights no file is there."""
        return self.store.weights_path(run_id)

    def weights(self, run_id: str) -> dict[str, torch.Tensor]:
        """A run's final weights under the names of a plain `nn.Sequential`; empty for a run without."""
        return self.store.weights(run_id)

    def stored_digest(self, run_id: str) -> str:
        """A run's digest recomputed from its stored rows, weights and outcome; differs from `runs.digest` where they changed."""
        frames = {table: getattr(self, table) for table in ROW_ORDER}
        own = {table: frame[frame["run_id"] == run_id] for table, frame in frames.items()}
        return run_digest(digest_rows(own), self.weights(run_id), self._snapshot.outcomes[run_id])

    def stored_digests(self, run_ids: Iterable[str]) -> dict[str, str | None]:
        """The same of many finished runs, in time linear in their rows; None where a run's weights are damaged, which is noted."""
        digests = {run_id: RowDigest() for run_id in run_ids}
        for table in ROW_ORDER:
            self._advance(digests, table)
        found: dict[str, str | None] = {}
        for run_id, digest in digests.items():
            try:
                found[run_id] = run_digest(digest, self.weights(run_id), self._snapshot.outcomes[run_id])
            except StoreError as error:
                self.store.damage.note_error(error)
                found[run_id] = None
        return found

    def _advance(self, digests: Mapping[str, RowDigest], table: str) -> None:
        """Add the rows of one table, which alone is in memory meanwhile, to the digests of these runs."""
        rows = rows_by_run(self.store, table, self._snapshot.rows[table], digests)
        for run_id, digest in digests.items():
            digest.advance_sorted(table, rows[run_id])
