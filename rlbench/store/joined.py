"""Several stores read as one: runs of one experiment that were trained on several machines, say.

In: stores. Out: what `Results` asks of a store. Only reads. A run that several stores hold is one run, taken from where it has come
furthest; must never let two of them pass for one that differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rlbench.errors import StoreError
from rlbench.store.contents import Contents
from rlbench.store.damage import Damage
from rlbench.store.experiments import going_on
from rlbench.store.records import FINAL_STATUSES
from rlbench.store.schema import ENDS, canonical_json

if TYPE_CHECKING:
    import torch

_OF_A_RUN = ("digest", *ENDS)


class _Damage(Damage):
    """What was found damaged in any of several stores."""

    def __init__(self, stores: Sequence[Contents]) -> None:
        super().__init__()
        self._stores = stores

    @property
    def lines(self) -> list[str]:
        return [*super().lines, *(line for store in self._stores for line in store.damage.lines)]

    def untold(self) -> list[str]:
        return [*super().untold(), *(line for store in self._stores for line in store.damage.untold())]

    @property
    def lost_rows(self) -> list[str]:
        return [path for store in self._stores for path in store.damage.lost_rows]


class JoinedStore:
    """The reading half of a store over several. Raises StoreError where they hold different things under one name or id."""

    def __init__(self, stores: Sequence[Contents]) -> None:
        self._stores = stores
        self.root = Path(",".join(str(store.root) for store in stores))
        self.address = ",".join(store.address for store in stores)
        self.damage = _Damage(stores)
        self._check_ends()
        self._owners = self._owning()

    def _check_ends(self) -> None:
        """Raise StoreError where one run has ended in two ways."""
        seen: dict[str, tuple[Contents, Mapping[str, Any]]] = {}
        for store in self._stores:
            for run_id, end in store.outcomes().items():
                if end["status"] not in FINAL_STATUSES:
                    continue
                other, before = seen.setdefault(run_id, (store, end))
                different = [name for name in _OF_A_RUN if end[name] != before[name]]
                if different:
                    told = f"{different[0]} {str(before[different[0]])[:16]} and {str(end[different[0]])[:16]}"
                    raise StoreError(f"run {run_id} differs between {other.address} and {store.address}: {told}")

    def _owning(self) -> dict[str, int]:
        """run_id -> the place of the store that it is taken from: the first in which it is final, or else has come furthest."""
        best: dict[str, tuple[tuple[bool, int], int]] = {}
        for place, store in enumerate(self._stores):
            final, progress = store.final_runs(), store.progress()
            for run_id in store.specs():
                far = (run_id in final, progress.get(run_id, 0))
                if run_id not in best or far > best[run_id][0]:
                    best[run_id] = (far, place)
        return {run_id: place for run_id, (_, place) in best.items()}

    def _of_owners(self, read: Callable[[Contents], Mapping[str, Any]]) -> dict[str, Any]:
        """What the store of each run says of it."""
        found: dict[str, Any] = {}
        for place, store in enumerate(self._stores):
            found |= {run_id: value for run_id, value in read(store).items() if self._owners.get(run_id) == place}
        return found

    def weights(self, run_id: str) -> dict[str, torch.Tensor]:
        return self._stores[self._owners[run_id]].weights(run_id)

    def weights_path(self, run_id: str) -> Path:
        return self._stores[self._owners[run_id]].weights_path(run_id)

    def weights_at(self, run_id: str) -> str:
        return self._stores[self._owners[run_id]].weights_at(run_id)

    def note_strays(self) -> None:
        for store in self._stores:
            store.note_strays()

    def experiments(self) -> dict[str, dict[str, Any]]:
        """Name -> definition; of an experiment that several stores have, with the cells, seeds and comparisons of all."""
        found: dict[str, dict[str, Any]] = {}
        for store in self._stores:
            for name, definition in store.experiments().items():
                found[name] = _together(name, found[name], definition) if name in found else definition
        return found

    def memberships(self) -> list[dict[str, Any]]:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for store in self._stores:
            for row in store.memberships():
                before = found.setdefault((row["experiment"], row["run_id"]), row)
                if before["variant"] != row["variant"]:
                    raise StoreError(
                        f"run {row['run_id']} is {before['variant']!r} and, in {store.address}, {row['variant']!r}"
                        f" of experiment {row['experiment']!r}"
                    )
        order = {experiment: place for place, experiment in enumerate(dict.fromkeys(name for name, _ in found))}
        return sorted(found.values(), key=lambda row: (order[row["experiment"]], row["position"]))

    def specs(self, run_ids: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        known = self._of_owners(Contents.specs)
        return known if run_ids is None else {run_id: known[run_id] for run_id in run_ids}

    def outcomes(self) -> dict[str, dict[str, Any]]:
        return self._of_owners(Contents.outcomes)

    def progress(self) -> dict[str, int]:
        return self._of_owners(Contents.progress)

    def claimed(self) -> set[str]:
        return set().union(*(store.claimed() for store in self._stores))

    def plan(self, experiment: str) -> dict[str, Any] | None:
        """The state of its sequential plan. Raises StoreError where two stores are at different ones."""
        plans = [plan for store in self._stores if (plan := store.plan(experiment)) is not None]
        if len({canonical_json(plan) for plan in plans}) > 1:
            raise StoreError(f"the sequential plan of experiment {experiment!r} differs between {self.address}")
        return plans[0] if plans else None

    def num_rows(self, table: str) -> tuple[int, ...]:
        """How far each store's table is."""
        return tuple(store.num_rows(table) for store in self._stores)

    def read_rows(self, table: str, until: Sequence[int], run_ids: Iterable[str]) -> pa.Table:
        """The rows of these runs up to `num_rows`, each run's from the store that it is taken from."""
        wanted = list(run_ids)
        own = [[one for one in wanted if self._owners.get(one) == place] for place in range(len(self._stores))]
        found = [store.read_rows(table, end, ids) for store, end, ids in zip(self._stores, until, own, strict=True)]
        return pa.concat_tables(found)


def _together(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The definition of an experiment of which two stores have parts. Raises ConfigError where their final windows differ."""
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for definition in (one, other):
        for cell in definition.get("cells", []):
            known = cells.setdefault((cell["variant"], cell["env"]), {**cell, "seeds": []})
            known["seeds"] = sorted({*known["seeds"], *cell.get("seeds", definition.get("seeds", []))})
    seeds = sorted({*one.get("seeds", []), *other.get("seeds", [])})
    return going_on(name, one, other, grows=False, adds=True) | {"cells": list(cells.values()), "seeds": seeds}
