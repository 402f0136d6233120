"""The store: a folder of results that survives whatever happens to the programs that write to it.

In: experiments, and through `Program` what training produces. Out: its `Contents`. Opening for writing settles what killed
programs left behind; opening for reading (`create=False`) never writes. Knows nothing of what a specification means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rlbench.errors import StoreError
from rlbench.store import layout as formats
from rlbench.store.contents import Contents
from rlbench.store.earlier import Takeover, is_earlier
from rlbench.store.experiments import StoredExperiment, additions, planned_members
from rlbench.store.index import Index
from rlbench.store.layout import layout_of
from rlbench.store.leases import LEASE_SECONDS
from rlbench.store.program import Program
from rlbench.store.recording import publish_records
from rlbench.store.records import Member
from rlbench.store.schema import SCHEMAS, canonical_json


class Store(Contents):
    """One results folder. Made by `Store.open`."""

    @classmethod
    def open(cls, path: str | os.PathLike[str], create: bool = True, say: Callable[[str], None] | None = None) -> Store:
        """Open a results folder: for writing, making it where it does not exist, or (`create=False`) for reading.

        say: called with a line for everything that is found damaged; `damage` has them all as well.
        Raises StoreError for a folder of something else or of another format, a missing one that is not to be
        created, and one that cannot be written.
        """
        layout = layout_of(path)
        found = formats.read_format(layout)
        if not create:
            if found is None:
                raise StoreError(f"there is no results folder {layout.objects.where()}")
            return cls(layout, say)
        if found is None:
            formats.begin_format(layout, 1)  # and of the next one once it has an index
        else:
            layout.objects.check_writable()
        for folder in (
            layout.index,
            layout.leases,
            layout.claims,
            layout.checkpoints,
            layout.staging,
            layout.all_weights,
        ):
            layout.objects.make_folder(folder)
        for table in SCHEMAS:
            layout.objects.make_folder(layout.table(table))
        store = cls(layout, say)
        if is_earlier(layout):
            store._take_over()
        elif formats.read_format(layout) != formats.FORMAT:
            store.index.begin(Index())
            formats.write_format(layout, formats.FORMAT)
        store.index.prune()
        store.settle()
        return store

    def _take_over(self) -> None:
        """Make a store of an earlier format one of this format. Raises StoreError where an earlier rlbench is writing to it."""
        with Takeover(self.layout, self.damage) as takeover:
            begin = self.index.read()
            if begin.version == 0:
                begin = takeover.index(begin)
            formats.write_format(
                self.layout, formats.FORMAT
            )  # from here on no earlier rlbench adds to what we have read
            self.index.begin(begin)
            takeover.tidy_up()

    @classmethod
    def peek(cls, path: str | os.PathLike[str], say: Callable[[str], None] | None = None) -> Store | None:
        """The store in a folder, for reading; None where there is no folder yet, or an empty one.

        Raises StoreError for a folder of something else or of another format.
        """
        layout = layout_of(path)
        return None if formats.read_format(layout) is None else cls(layout, say)

    @classmethod
    def check_writable(cls, path: str | os.PathLike[str]) -> None:
        """Raise WriteError where the folder, or the nearest one above it that exists, cannot be written; StoreError of a URL."""
        layout_of(path).objects.check_writable()

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
        publish_records(self.layout, self.index, lambda: self._additions(name, definition, members, specs))

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
        planned = planned_members(name, members)
        placed = self.members(name)
        known = self.specs()  # after the members: whoever adds some meanwhile adds their specifications with them
        row = self._records["experiments"].latest().get(name)
        stored = StoredExperiment(placed, known, self.final_runs(), row["definition"] if row else None)
        return additions(name, definition, planned, specs, stored)

    def record_plan(self, experiment: str, state: Mapping[str, Any], after: Mapping[str, Any] | None) -> bool:
        """Write the next state of a sequential plan, if the latest is still `after`; whether it was written.

        Every state stays: a plan's parts are the record of what was seen at which look.
        """
        is_next = False

        def following() -> dict[str, list[dict[str, Any]]]:
            nonlocal is_next
            is_next = self.plan(experiment) == after
            return {"plans": [{"experiment": experiment, "state": canonical_json(state)}]} if is_next else {}

        publish_records(self.layout, self.index, following)
        return is_next

    def program(self, run_ids: Iterable[str], lease_seconds: float = LEASE_SECONDS) -> Program:
        """Claim those of the runs that are not final and that no live program holds."""
        return Program(self, run_ids, lease_seconds)
