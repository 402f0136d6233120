"""Adding to the records of a store: what is planned, and the states of plans.

In: what is to be added, from the records as they are. Out: a part for each table, all of them or none, in a version of the index that
follows the very records from which it was worked out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlbench.store import parts
from rlbench.store.index import Index, TablePart
from rlbench.store.index_log import IndexLog
from rlbench.store.layout import Layout
from rlbench.store.names import problem_of
from rlbench.store.schema import record_table
from rlbench.store.sessions import Session
from rlbench.store.sweeping import forget

PLANNED = ("specs", "members", "experiments", "plans")  # the records that follow from one another
Additions = Mapping[str, Sequence[Mapping[str, Any]]]


def standing(index: Index) -> tuple[int, ...]:
    """As long as this is the same, the planned records are."""
    return (index.erasures, *(index.num_rows(table) for table in PLANNED))


def publish_records(layout: Layout, log: IndexLog, additions: Callable[[], Additions]) -> None:
    """Write rows by table. They are asked for again wherever somebody else has added to the records meanwhile.

    Raises ValueError, with nothing written, for a row that no store may hold.
    """
    if not any(_checked(additions()).values()):
        return
    with Session(log) as session:
        written: list[TablePart] = []
        seen: tuple[int, ...] = ()

        def change(index: Index) -> Index:
            nonlocal written, seen
            if standing(index) != seen:
                parts.remove_parts(layout, written)
                seen, rows, writer = standing(index), _checked(additions()), f"{session.name}-record"
                tables = {table: record_table(table, own) for table, own in rows.items() if own}
                written = [parts.write_part(layout, writer, table, own) for table, own in tables.items()]
            return index.with_parts(written) if written else index

        try:
            session.publish(change)
        finally:
            forget(layout, log, session)


def _checked(additions: Additions) -> Additions:
    """The same rows, if a store may hold them."""
    for problem in filter(None, (problem_of(table, row) for table, rows in additions.items() for row in rows)):
        raise ValueError(f"{problem}; nothing was written")
    return additions
