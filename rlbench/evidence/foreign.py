"""Somebody else's runs with the interface of `rlbench.store.Results`, so that the report takes them for its own.

In: a `Reading`. Out: the same tables with the same columns. Returns of training are there twice: as episodes, and, since
a curve needs a grid that all runs share, as evaluations with the last return at or before each grid step: previous values
only, never an interpolation. The definition says so (`returns`). Never writes; knows nothing of how the files look.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlbench.errors import ConfigError, StoreError
from rlbench.evidence.read_cells import read_cells
from rlbench.evidence.source import TRAINING, Reading, SourceRun, untestable
from rlbench.evidence.text_files import PACKED
from rlbench.evidence.twins import curves_of, twins
from rlbench.metrics import FINAL_WINDOW, of_runs
from rlbench.plain_text import escaped
from rlbench.stats import align_previous
from rlbench.store.run_table import typed_runs, untyped_runs
from rlbench.store.schema import ROW_TABLES

GRID_POINTS = 20  # of the grid on which training returns are looked at
UNKNOWN = "unknown"


class ForeignResults:
    """What somebody else's files hold: one experiment, named after the file or folder."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path = path
        self.reading = reading
        self.kind = reading.kind
        name = path.resolve().name
        self.name = Path(name.removesuffix(PACKED)).stem if path.is_file() else name
        self.sources = tuple(reading.runs)
        self.run_ids = [_run_id(source, number) for number, source in enumerate(self.sources)]

    @property
    def store(self) -> "ForeignResults":
        """Where specifications are: here."""
        return self

    @cached_property
    def experiments(self) -> dict[str, dict[str, Any]]:
        cells: dict[tuple[str, str], list[int]] = {}
        for source in self.sources:
            cells.setdefault((source.variant, source.env), []).append(source.seed)
        return {
            self.name: {
                "name": self.name,
                "question": self.note,  # what every page of the report shows first
                "cells": [
                    {"variant": variant, "env": env, "overrides": {}, "seeds": sorted(seeds)}
                    for (variant, env), seeds in cells.items()
                ],
                "seeds": sorted({source.seed for source in self.sources}),
                "final_window": FINAL_WINDOW,
                "comparisons": [],
                "command": [],
                "source": self.reading.source,
                "returns": self.kind,
                "reading": {
                    "cells": [asdict(cell) for cell in read_cells(self.sources)],
                    "findings": [asdict(finding) for finding in self.reading.findings],
                    "untestable": self.untestable,
                    "identical": self.identical,
                },
            }
        }

    @property
    def note(self) -> str:
        """What a reader has to know of these returns; empty where there is nothing."""
        says = [f"Read from {self.reading.source}"]
        if not self.reading.has_curves:
            says.append("one number a run, so there is no curve and no AUC")
        elif self.kind == TRAINING:
            says.append(
                "the returns are those of training episodes, with their exploration, not of greedy evaluation; each curve is the"
                f" last one at or before each of {GRID_POINTS} steps"
            )
        says += [self.reading.meaning] if self.reading.meaning else []
        return f"{says[0]}: {'; '.join(says[1:])}." if says[1:] else ""

    @property
    def remarks(self) -> list[str]:
        """What the terminal says beside the table: what the returns are, what was left aside, and what cannot be tested."""
        wrong = [finding.text for finding in self.reading.findings if not finding.is_note]
        notes = [f"note: {self.note}"] if self.note else []
        return [
            escaped(said)
            for said in (*notes, *(f"warning: {one}" for one in (*wrong, *self.identical, *self.untestable)))
        ]

    @property
    def listing(self) -> list[str]:
        """What was read, a line for each variant on each environment."""
        return [f"  {cell.told}" for cell in read_cells(self.sources)]

    @cached_property
    def identical(self) -> list[str]:
        """A sentence for each group of runs that have one curve: they are one run, whatever their seeds say."""
        return list(twins(self.runs[self.runs["status"] == "done"], curves_of(self.evaluations)))

    @property
    def untestable(self) -> list[str]:
        """A sentence for each environment on which no two variants can be compared."""
        counts: dict[str, dict[str, int]] = {}
        for cell in read_cells(self.sources):
            counts.setdefault(cell.env, {})[cell.variant] = cell.num_runs
        return [said for env, own in counts.items() if (said := untestable(env, own))]

    def plan(self, experiment: str) -> None:
        """No sequential plan is known of other people's results."""

    def experiment(self, name: str) -> "ForeignResults":
        """Itself. Raises StoreError for another name."""
        if name != self.name:
            raise StoreError(f"no experiment {name!r} in {self.path.name}; it has {self.name}")
        return self

    def specs(self, run_ids: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """What is known of these runs, or of all: variant, environment and seed. Raises KeyError for an unknown one."""
        known = {
            run_id: {"variant": {"name": source.variant}, "env": {"id": source.env}, "seed": source.seed}
            for run_id, source in zip(self.run_ids, self.sources, strict=True)
        }
        return {run_id: known[run_id] for run_id in (known if run_ids is None else run_ids)}

    @property
    def problems(self) -> list[str]:
        """What makes a report impossible: runs and rows that are there twice."""
        found = [
            f"{source.variant} on {source.env}, seed {source.seed}: {row}"
            for source in self.sources
            for row in source.repeated
        ]
        first: dict[tuple[str, str, int], SourceRun] = {}
        for source in self.sources:
            other = first.setdefault((source.variant, source.env, source.seed), source)
            if other is not source:
                found.append(
                    f"{source.variant} on {source.env}, seed {source.seed} is there twice: {other.origin} and {source.origin}"
                )
        return found

    def check(self) -> None:
        """Raise ConfigError where no run could be read, or where runs or rows are there twice: nobody can tell which one counts."""
        if not self.sources:
            wrong = [finding.text for finding in self.reading.findings if not finding.is_note]
            more = f" (and {len(wrong) - 1} more; lint=true lists them)" if len(wrong) > 1 else ""
            raise ConfigError(f"{wrong[0] if wrong else f'{self.path.name} has no run'}{more}; nothing was written")
        problems = self.problems
        if problems:
            more = f" (and {len(problems) - 1} more; lint=true lists them)" if len(problems) > 1 else ""
            is_of_rows = (
                any(source.repeated for source in self.sources) and self.path.is_file() and self.reading.has_curves
            )
            hint = "; several episodes of one evaluation need the column `episode`" if is_of_rows else ""
            raise ConfigError(f"{problems[0]}{more}{hint}; nothing was written")

    @cached_property
    def episodes(self) -> pd.DataFrame:
        """Training episodes; whether one ended by itself or by a time limit is not recorded, and False here."""
        frames = []
        for run_id, source in self._numbered() if self._has_episodes else ():
            is_finite = np.isfinite(source.returns)
            count = int(is_finite.sum())
            columns = {
                "run_id": [run_id] * count,
                "episode": np.arange(count),
                "env_steps": source.steps[is_finite],
                "length": source.lengths[is_finite],
                "episode_return": source.returns[is_finite],
                "terminated": np.zeros(count, bool),
            }
            frames.append(pd.DataFrame(columns))
        return _table("episodes", frames)

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        frames = []
        for run_id, source in self._numbered() if self.reading.has_curves else ():
            steps, episodes, returns, lengths = self._points(source)
            columns = {"run_id": [run_id] * len(steps), "env_steps": steps, "episode": episodes}
            frames.append(pd.DataFrame({**columns, "episode_return": returns, "length": lengths}))
        return _table("evaluations", frames)

    @cached_property
    def diagnostics(self) -> pd.DataFrame:
        return _table("diagnostics", [])

    @property
    def _has_episodes(self) -> bool:
        return self.kind == TRAINING and self.reading.has_episodes

    def _numbered(self) -> list[tuple[str, SourceRun]]:
        """The runs by run_id, as a store sorts them."""
        return sorted(zip(self.run_ids, self.sources, strict=True), key=lambda pair: pair[0])

    @cached_property
    def _budgets(self) -> dict[str, int]:
        """The last step of any run, by environment."""
        budgets: dict[str, int] = {}
        for source in self.sources:
            budgets[source.env] = max(budgets.get(source.env, 1), int(source.steps.max(initial=1)))
        return budgets

    def _points(
        self, source: SourceRun
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Step, episode, return and length of every row of the table `evaluations`."""
        is_finite = np.isfinite(source.returns)
        steps, returns = source.steps[is_finite], source.returns[is_finite]
        if self.kind != TRAINING:
            return steps, source.episodes[is_finite], returns, source.lengths[is_finite]
        budget = self._budgets[source.env]
        # An episode that was under way at the end was never recorded: a run is there up to one interval after its last.
        last = int(source.steps.max(initial=0)) + max(1, budget // GRID_POINTS)
        grid = np.unique(np.linspace(0, budget, GRID_POINTS + 1)[1:].astype(np.int64))
        grid = grid[grid < last] if last <= budget else grid
        values = align_previous(steps, returns, grid)
        is_known = ~np.isnan(values)
        nothing = np.zeros(int(is_known.sum()), np.int64)
        return grid[is_known], nothing, values[is_known], nothing

    @cached_property
    def runs(self) -> pd.DataFrame:
        facts = [self._facts(run_id, source) for run_id, source in zip(self.run_ids, self.sources, strict=True)]
        runs = untyped_runs(facts, of_runs(self.evaluations, self.episodes, dict.fromkeys(self.run_ids, FINAL_WINDOW)))
        if not self.reading.has_curves:
            runs["final_return"] = [float(source.returns[-1]) for source in self.sources]
            runs.loc[runs["status"] != "done", "final_return"] = float("nan")
        return typed_runs(runs)

    def _facts(self, run_id: str, source: SourceRun) -> dict[str, Any]:
        wrong = np.flatnonzero(~np.isfinite(source.returns))
        error = f"the return at step {source.steps[wrong[0]]} is {source.returns[wrong[0]]}" if len(wrong) else ""
        return {
            "run_id": run_id,
            "experiment": self.name,
            "variant": source.variant,
            "env": source.env,
            "seed": source.seed,
            "status": "diverged" if len(wrong) else "done",
            "env_steps": int(source.steps.max(initial=0)),
            "updates": 0,
            "episodes": len(source.steps) if self._has_episodes else 0,
            "wall_s": float("nan"),
            "digest": _digest(source),
            **dict.fromkeys(["version", "platform", "launcher", "namespace"], UNKNOWN),
            "study": None,
            "trial": None,
            "error": error,
        }


def _table(name: str, frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Frames as one table with exactly the columns and types of a store's."""
    empty = ROW_TABLES[name].empty_table().to_pandas()
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True).astype(empty.dtypes)[list(empty.columns)] if filled else empty


def _run_id(source: SourceRun, number: int) -> str:
    """An id from what the run is called; the number keeps two of one name apart."""
    text = "\n".join([source.variant, source.env, str(source.seed), str(number)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest(source: SourceRun) -> str:
    """SHA-256 of the numbers that were read."""
    whole = hashlib.sha256()
    for array in (source.steps, source.episodes, source.returns, source.lengths):
        whole.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return whole.hexdigest()
