"""Merging parts, so that the number of files grows with the logarithm of the number of commits.

In: an index. Out: in the place of several neighbouring parts of one level, one of the next level with the same rows in the same
order. Must never change a row or its position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from rlbench.errors import LeaseLostError, StoreError
from rlbench.store import parts
from rlbench.store.index import Index, TablePart, name_of
from rlbench.store.layout import Layout
from rlbench.store.schema import SCHEMAS
from rlbench.store.sessions import Session

FAN = 16  # so many parts of a level become one of the next: each row is written once more for each level
MOST_ROWS = 2_000_000  # of a merged part: it is held in memory twice


def compact(layout: Layout, index: Index, session: Session) -> None:
    """Merge one group of parts in each table that has one; what cannot be read or written is left as it is. Raises LeaseLostError.

    The index may be an old one: parts that somebody else has merged or rewritten since are left to them.
    """
    for table in SCHEMAS:
        any(_merge(layout, session, group) for group in _groups(index, table))


def _groups(index: Index, table: str) -> Iterator[Sequence[TablePart]]:
    """Neighbours of one level, `FAN` each."""
    group: list[TablePart] = []
    for part in index.of(table):
        group = [*group, part] if group and group[-1].level == part.level else [part]
        if len(group) == FAN:
            if sum(one.rows for one in group) <= MOST_ROWS:
                yield group
            group = []


def _merge(layout: Layout, session: Session, group: Sequence[TablePart]) -> bool:
    """Whether these parts are one now."""
    table = group[0].table
    try:
        rows = pa.concat_tables(parts.read_part(layout, part) for part in group)
        is_old = any(part.is_old for part in group)
        part = parts.write_part(layout, f"{session.name}-merged-{table}", table, rows, group[0].level + 1, is_old)
        following = session.publish(lambda index: _merged(index, group, part))
        session.remove(map(name_of, group) if part in following.parts else [name_of(part)])
    except LeaseLostError:
        raise
    except (StoreError, FileNotFoundError):  # damaged, or merged by somebody else, or the disk is full
        return False
    return part in following.parts


def _merged(index: Index, group: Sequence[TablePart], part: TablePart) -> Index:
    """With one part in the place of these; the same where somebody else has merged them."""
    following = index.merged([one.name for one in group], part)
    return index if following is None else following.with_doomed(map(name_of, group))
