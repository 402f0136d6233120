"""Who is working on which runs: one file for each claim, which counts for as long as the index names it.

In: run ids. Out: which runs each writer holds. A claim is the whole of what a writer holds, under a name of its own; taking more,
or letting some go, is another one, and of two writers that want one run only one can be the next version of the index.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable

from rlbench.errors import DamagedError
from rlbench.store.damage import Damage
from rlbench.store.files import reading
from rlbench.store.index import Index
from rlbench.store.index_log import IndexLog
from rlbench.store.layout import Layout
from rlbench.store.names import is_run_id
from rlbench.store.sealed import sealed_line, unseal


def write_claim(layout: Layout, name: str, run_ids: Iterable[str]) -> None:
    """Write a new claim, which counts for nobody yet."""
    layout.objects.write(layout.claim(name), [sealed_line({"runs": list(run_ids)})])
    layout.objects.flush(layout.claims)


class ClaimReader:
    """The claims of a store, each read once."""

    def __init__(self, layout: Layout, log: IndexLog, damage: Damage) -> None:
        self._layout, self._log, self._damage = layout, log, damage
        self._claims: dict[str, frozenset[str]] = {}

    def held(self, index: Index) -> dict[str, frozenset[str]] | None:
        """Writer -> the runs that it holds, by this index, of all that are not fenced; None where there is a newer index.

        Raises DamagedError.
        """
        names = {one.name: one.claim for one in index.writers.values() if one.claim and not one.is_fenced}
        try:
            self._claims = {claim: self._read(claim) for claim in names.values()}
        except DamagedError:
            if self._log.latest().version != index.version:
                return None
            raise
        return {name: self._claims[claim] for name, claim in names.items()}

    def held_now(self, dead: Collection[str]) -> dict[str, frozenset[str]]:
        """The same by the index as it is, but for these writers; a damaged claim is noted and left out."""
        leaving_out = set(dead)
        while True:
            index = self._log.read().without_writers(leaving_out)
            try:
                found = self.held(index)
                if found is not None:
                    return found
            except DamagedError as error:
                self._damage.note_error(error)
                leaving_out |= {one.name for one in index.writers.values() if f"claims/{one.claim} " in f"{error} "}

    def _read(self, claim: str) -> frozenset[str]:
        if claim in self._claims:
            return self._claims[claim]
        objects, name = self._layout.objects, self._layout.claim(claim)
        with reading(objects.where(name)):
            try:
                data = objects.read(name)
                if data is None:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), objects.where(name))
                runs = unseal(data)["runs"]
                if not all(map(is_run_id, runs)):
                    raise ValueError("it does not hold runs")
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{error}; end the process that holds it") from error
        return frozenset(runs)
