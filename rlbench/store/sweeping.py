"""What dead writers have left: fenced first, then swept.

In: a store. Out: the same without the files of those who are dead that count for nobody, without checkpoints from which no run goes
on, and without those writers. Each step may be done twice, or by two at once. Must never remove a file that the index names, or one
that no dead writer has left: it may be all that somebody has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Protocol

from rlbench.errors import StoreError, WriteError
from rlbench.store import files
from rlbench.store.checkpoints import CheckpointHeader, set_aside, unneeded
from rlbench.store.index import PART_NAME, Index
from rlbench.store.index_log import IndexLog
from rlbench.store.layout import Layout
from rlbench.store.leases import Watch
from rlbench.store.processes import file_name, is_left_behind
from rlbench.store.schema import SCHEMAS
from rlbench.store.sessions import Session


class Swept(Protocol):
    """What is swept: a `Store`."""

    layout: Layout
    index: IndexLog
    watch: Watch

    def headers(self) -> list[CheckpointHeader]: ...
    def attempts(self, headers: Iterable[CheckpointHeader], /) -> dict[str, str]: ...
    def final_runs(self) -> set[str]: ...


def settle(store: Swept) -> None:
    """Fence the dead and sweep what they left; and drop the checkpoints of nobody from which no run goes on."""
    layout, log = store.layout, store.index
    index = log.read()
    dead = store.watch.dead([name for name, writer in index.writers.items() if not writer.is_fenced])
    if dead:
        index = log.transact(lambda index: index.fenced(dead))
    gone = {name for name, writer in index.writers.items() if writer.is_fenced}
    for name in list(gone):
        try:
            _sweep(layout, log, name)
        except StoreError:
            if has_staged(layout, name):
                raise
            gone.remove(name)  # of another user, say: it stays fenced, and is swept by whoever can
        else:
            store.watch.remove(name)
    dropped = _droppable(store, index)
    for name, is_damaged in dropped.items():
        if is_damaged:
            set_aside(layout, name)
        else:
            layout.objects.delete(layout.checkpoint(name))
    for name in index.doomed:
        _remove_doomed(layout, log, name)
    log.transact(lambda now: _settled(now, gone, index.doomed, dropped))
    for name in layout.objects.names(layout.staging):
        if is_left_behind(name):
            layout.objects.delete(layout.staged(name))
    store.watch.sweep(log.read().writers)


def _settled(index: Index, gone: Collection[str], removed: Collection[str], dropped: Collection[str]) -> Index:
    """Without these writers, files to be removed, and checkpoints; the same where they have gone already."""
    following = index.with_doomed(gone=removed)
    if index.writers.keys() & gone:
        following = following.without_writers(gone)
    if set(index.checkpoints) & set(dropped):
        following = following.with_checkpoints((), dropped)
    return following


def _droppable(store: Swept, index: Index) -> dict[str, bool]:
    """The checkpoints of no live program from which no run goes on, and whether each is damaged."""
    if not index.checkpoints:
        return {}
    headers = store.headers()
    if store.index.read().version != index.version:
        return {}  # it has moved on, and so have its checkpoints: whoever settles next drops them
    known = {header.name for header in headers}
    spare = unneeded(headers, store.final_runs(), store.attempts(headers))
    live = {name for name, writer in index.writers.items() if not writer.is_fenced}
    return {
        name: name not in known
        for name in index.checkpoints
        if (name in spare or name not in known) and name[:12] not in live
    }


def forget(layout: Layout, log: IndexLog, session: Session) -> None:
    """Remove what a session wrote that counts for nobody; what cannot be removed now is swept with the session.

    Where a write that was given up may still be on its way, only once nothing of the session can count any more: an index that came late
    would name what we have removed.
    """
    if layout.objects.ends_writes or session.fence():
        with suppress(StoreError):
            _sweep(layout, log, session.name)


def _sweep(layout: Layout, log: IndexLog, writer: str) -> None:
    own = [*_all_of(layout, writer)]
    named = _named(layout, log.latest())  # after the files: what one of them is to others is known by then
    problem: StoreError | None = None
    for name in own:
        try:
            if name not in named:
                layout.objects.delete(name)
        except StoreError as error:
            problem = error
    if problem is not None:
        raise problem


def has_staged(layout: Layout, writer: str) -> bool:
    """Whether this writer has weights on their way: they must not come over those of whoever trains its runs after it."""
    return any(name.startswith(f"{writer}-") for name in layout.objects.names(layout.staging))


def _remove_doomed(layout: Layout, log: IndexLog, name: str) -> None:
    """Remove a file that counts no more. Weights are those of a run that may be trained again as soon as somebody has removed them.

    So weights are moved away first, and are put back where their run is not doomed any more: they are its new ones, and we have slept.
    Only who sleeps between the two lines and is killed between the two after them takes them along; `verify` says so.
    It takes a rename, which is why runs are erased in folders only (`rlbench.store.erasing`).
    """
    objects = layout.objects
    if not name.startswith(f"{layout.all_weights}/"):
        objects.delete(name)
    elif objects.stat(name) is not None and name in log.latest().doomed:
        aside = layout.staged(file_name())
        try:
            objects.move(name, aside)
        except WriteError as error:
            if isinstance(error.__cause__, FileNotFoundError):  # somebody else was faster
                return
            raise
        if name not in log.latest().doomed:
            files.link(objects.local(aside), objects.local(name))
        objects.delete(aside)


def _named(layout: Layout, index: Index) -> set[str]:
    """Every file that the index names, be it to be removed."""
    return {
        *index.doomed,
        *(layout.part(part.table, part.name) for part in index.parts),
        *(layout.checkpoint(name) for name in index.checkpoints),
        *(layout.claim(one.claim) for one in index.writers.values() if one.claim),
    }


def _all_of(layout: Layout, writer: str) -> Iterator[str]:
    """All files of a writer, whether they count or not."""
    for folder in (layout.claims, layout.checkpoints, layout.staging):
        yield from (f"{folder}/{name}" for name in layout.objects.names(folder) if name.startswith(f"{writer}-"))
    for table in SCHEMAS:
        for name in layout.objects.names(layout.table(table)):
            matched = PART_NAME.fullmatch(name)
            if matched is not None and matched[1].startswith(f"{writer}-"):
                yield layout.part(table, name)


def strays(layout: Layout, log: IndexLog) -> list[str]:
    """What lies among the parts and checkpoints and does not count: named by no index, and of nobody who is still writing."""
    there = _that_may_count(layout)
    index = log.latest()  # after the files, so that whoever has written one of them is known
    there -= _named(layout, index)
    there = {name for name in there if not _is_of(name, index.writers)}
    return sorted(there & _that_may_count(layout)) if there else []


def _that_may_count(layout: Layout) -> set[str]:
    folders = [layout.checkpoints, *map(layout.table, SCHEMAS)]
    return {f"{folder}/{name}" for folder in folders for name in layout.objects.names(folder, with_hidden=True)}


def _is_of(name: str, writers: Iterable[str]) -> bool:
    last = name.rpartition("/")[2]
    matched = PART_NAME.fullmatch(last)
    return (last if matched is None else matched[1])[:12] in writers
