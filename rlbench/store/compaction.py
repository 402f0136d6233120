"""Merging parts, so that the number of files grows with the logarithm of the number of commits.

In: an index. Out: in the place of several neighbouring parts of one level, one of the next level with the same rows in the
same order. Reads and writes without the store's lock; the replacement is that of the index, under the lock, and whoever
finds a killed merger's work whole finishes it. Must never change a row or its position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import pyarrow as pa

from rlbench.errors import StoreError
from rlbench.store import files, parts
from rlbench.store.files import Layout
from rlbench.store.index import Index, IndexReader, Part
from rlbench.store.schema import SCHEMAS

FAN = 16  # so many parts of a level become one of the next: each row is written once more for each level
MOST_ROWS = 2_000_000  # of a merged part: it is held in memory twice


def compact(layout: Layout, index: IndexReader, program: str) -> None:
    """Merge one group of parts in each table that has one; what cannot be read or written is left as it is.

    program: a live one's name, so that nobody takes its staging folder for a dead one's.
    """
    for table in SCHEMAS:
        any(_merge(layout, program, group) for group in _groups(index.read(), table))


def _groups(index: Index, table: str) -> Iterator[Sequence[Part]]:
    """Neighbours of one level, `FAN` each."""
    group: list[Part] = []
    for part in index.of(table):
        group = [*group, part] if group and group[-1].level == part.level else [part]
        if len(group) == FAN:
            if sum(one.rows for one in group) <= MOST_ROWS:
                yield group
            group = []


def _merge(layout: Layout, program: str, group: Sequence[Part]) -> bool:
    """Whether these parts are one now."""
    table = group[0].table
    staging = layout.staging / f"{program}-merged-{table}"
    try:
        rows = pa.concat_tables(parts.read_part(layout.part(table, part.name), part) for part in group)
        files.make_folder(staging)
        names, is_old = [part.name for part in group], any(part.is_old for part in group)
        parts.stage_parts(staging, {table: rows}, replaces=names, level=group[0].level + 1, is_old=is_old)
    except (StoreError, FileNotFoundError):  # damaged, or merged by somebody else, or the disk is full
        files.remove_folder(staging)
        return False
    with suppress(StoreError), files.locked(layout):  # what is left half done is finished when this program has ended
        parts.publish(layout, staging)
        files.remove_folder(staging)
        return True
    return False
