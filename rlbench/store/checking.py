"""Everything that `verify` reads only to see whether it is what was written.

In: a store. Out: findings in its `damage`, and what no checksum covers. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from rlbench.errors import StoreError
from rlbench.store.schema import SCHEMAS
from rlbench.store.weights import has_checksum, read_weights

if TYPE_CHECKING:
    from rlbench.store.contents import Contents


def check_files(store: Contents, read_later: Collection[str] = ()) -> None:
    """Read every part, checkpoint and weights file, but the weights of runs that are read later, and note what is damaged or of nobody."""
    for problem in store.index.damaged():
        store.damage.note(problem)
    for table in SCHEMAS:
        for _ in store.read_on(table, 0, store.num_rows(table)):
            pass
    store.memberships()
    store.check_states()
    owners = {f"{run_id}.safetensors": run_id for run_id in store.specs()}
    objects = store.layout.objects
    for name in objects.names(store.layout.all_weights):
        weights = f"{store.layout.all_weights}/{name}"
        if name not in owners:
            if objects.stat(weights) is None or weights in store.index.latest().doomed:
                continue  # of a run that is being deleted, or whose `delete` was killed: whoever opens the store removes it
            store.damage.note(f"{objects.where(weights)} is of no run, and left aside")
        elif owners[name] not in read_later:
            try:
                read_weights(objects, weights)
            except StoreError as error:
                store.damage.note_error(error)


def without_checksums(store: Contents, run_ids: Iterable[str]) -> str:
    """How much of a store was written before there were checksums, in words; empty where nothing was."""
    num_parts, num_weights = store.index.read().old_parts, 0
    for run_id in run_ids:
        try:
            num_weights += not has_checksum(store.layout.objects, store.layout.weights(run_id))
        except StoreError:
            continue
    counts = [f"{count} {what}" for count, what in ((num_parts, "parts"), (num_weights, "weights files")) if count]
    return " and ".join(counts) + " were written before there were checksums" if counts else ""
