"""Stores of formats 1 and 2: read as they are, and taken over when they are opened for writing.

In: a store of which a lock of one kernel guarded every change. Out: its index; and, once no earlier rlbench writes to it, the first
version of the log of indexes. In format 2 the index is a file `index.json`, replaced by rename; in format 1 there is none: the parts
count as they are listed, without checksums. What a killed program had committed waits in `staging` for somebody to publish it: a
folder whose number stands in its program's checkpoint is committed, and one without a number once it is whole.
Never makes anything of these formats.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rlbench.errors import DamagedError, StoreError
from rlbench.store import files
from rlbench.store import layout as formats
from rlbench.store.checkpoints import read_header, set_aside
from rlbench.store.conditional import FolderStore, Stat
from rlbench.store.damage import Damage
from rlbench.store.index import CHECKPOINT_NAME, PART_NAME, Index, TablePart, name_of, parse_index, parts_of_record
from rlbench.store.layout import Layout
from rlbench.store.names import is_run_id
from rlbench.store.schema import SCHEMAS
from rlbench.store.sealed import unseal

_INDEXES = ("index.json", "index.copy.json")
_RECORD = "record.json"
_CLAIM = re.compile(r"[0-9a-f]{12}")
_COMMIT = re.compile(r"\d{6,}")
_STAGED = re.compile(r"[0-9a-f]{12}-(\d{6,}|record|claim|erased|merged-[a-z]+)|index(\.copy)?\.json\.new")


class EarlierIndexes:
    """The index of a store of an earlier format, as one process sees it: each state of its files parsed once."""

    def __init__(self, layout: Layout, damage: Damage) -> None:
        self._layout, self._damage = layout, damage
        self._counts: dict[str, int] = {}  # rows of parts that no index names
        self._parsed: tuple[Any, Index] | None = None

    def read(self) -> Index:
        """The index as it is now; where the first copy is damaged, from the second. Raises DamagedError."""
        objects = self._layout.objects
        checkpoints = tuple(filter(CHECKPOINT_NAME.fullmatch, objects.names(self._layout.checkpoints)))
        version = formats.read_format(self._layout)
        stamps: list[Stat | None] = [objects.stat(name) for name in _INDEXES]
        if version != 2 and stamps == [None, None]:
            if version == 1 or objects.stat("lock") is not None:  # or a takeover of one was killed before its end
                return replace(_listed(self._layout, self._damage, self._counts), checkpoints=checkpoints)
            raise DamagedError(f"{objects.where(self._layout.index)} has no version of the index")
        if self._parsed is None or self._parsed[0] != stamps:
            self._parsed = stamps, self._parse()
        return replace(self._parsed[1], checkpoints=checkpoints)

    def _parse(self) -> Index:
        first, second = _INDEXES
        try:
            found = self._read(first)
            if found is not None:
                return found
            problem = DamagedError(f"{self._layout.objects.where(first)} is missing")
        except DamagedError as error:
            problem = error
        copy = self._read(second)
        if copy is None:
            raise problem
        self._damage.note(f"{problem}; its copy is used")
        return copy

    def _read(self, name: str) -> Index | None:
        data = self._layout.objects.read(name)
        with files.reading(self._layout.objects.where(name)):
            return None if data is None else parse_index(data)


def _listed(layout: Layout, damage: Damage, counts: dict[str, int]) -> Index:
    """The parts of a store without an index: what is called as we call parts, in the order of the names."""
    found, objects = list[TablePart](), layout.objects
    missing, has_folders = list[str](), isinstance(objects, FolderStore)
    unreadable: dict[str, StoreError] = {}
    for table in SCHEMAS:
        seen: set[str] = set()
        if table != "starts" and has_folders and not objects.local(layout.table(table)).is_dir():
            missing.append(table)
        for name in objects.names(layout.table(table)):
            matched = PART_NAME.fullmatch(name)
            if matched is None or matched[1] in seen:  # a stray file, or a copy of a part
                continue
            seen.add(matched[1])
            part = layout.part(table, name)
            if part not in counts:
                try:
                    counts[part] = _count(layout, part)
                except StoreError as error:
                    counts[part], unreadable[part] = 0, error
            found.append(TablePart(table, name, counts[part], is_old=True))
    # A store that is just being made has no parts before its index, and one that was taken over meanwhile has an index.
    if found and not objects.names(layout.index):
        for table in missing:
            damage.note(f"{objects.where(layout.table(table))} is missing; its rows are left out")
        for part, problem in unreadable.items():
            damage.note_part(objects.where(part), problem)
    return Index(tuple(found), has_checksums=False)


def _count(layout: Layout, part: str) -> int:
    with files.reading(layout.objects.where(part)):
        return int(pq.read_metadata(layout.objects.local(part)).num_rows)


def is_earlier(layout: Layout) -> bool:
    """Whether something of an earlier format lies in this folder, be it what a takeover that was killed has left."""
    return (
        any(layout.objects.stat(name) is not None for name in (*_INDEXES, "lock"))
        or any(map(_CLAIM.fullmatch, layout.objects.names(layout.claims)))
        or (
            formats.read_format(layout) != formats.FORMAT
            and any(layout.objects.names(layout.table(table)) for table in SCHEMAS)
        )
    )


class Takeover:
    """The change of a store to this format; a context manager in which nobody of an earlier one can write.

    Raises StoreError where somebody does, or in no folder, and WriteError where the folder has no such locks as the earlier formats used.
    """

    def __init__(self, layout: Layout, damage: Damage) -> None:
        if not isinstance(layout.objects, FolderStore):
            raise StoreError(
                f"{layout.objects.where()} is of an earlier format: copy it to a folder, and train into that once"
            )
        self._layout, self._damage, self._root = layout, damage, layout.objects.root
        self._held = ExitStack()

    def __enter__(self) -> Takeover:
        lock = self._root / "lock"
        with files.writing(lock):
            held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._held.callback(os.close, held)
            fcntl.flock(held, fcntl.LOCK_EX)  # at once, or after the moment that a commit takes
        claims = filter(_CLAIM.fullmatch, self._layout.objects.names(self._layout.claims))
        if any(_is_locked(self._root / self._layout.claim(name)) for name in claims):
            self._held.close()
            raise StoreError(f"an earlier rlbench is writing to {self._root}; let it end first")
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def index(self, listed: Index) -> Index:
        """The index from which the log begins: with what killed programs had committed, and checksums of all parts."""
        index, aside = listed, set[str]()
        for name in self._layout.objects.names(self._layout.staging):
            folder = self._root / self._layout.staged(name)
            if not _STAGED.fullmatch(name) or folder.is_symlink() or not folder.is_dir():
                continue
            try:
                index = self._with_staged(index, folder)
            except DamagedError as error:
                # What it had committed is lost, and its runs begin again: no state may be left that would go on without it.
                self._damage.note_error(error)
                aside.add(f"{name.partition('-')[0]}.safetensors")
        for name in aside:
            set_aside(self._layout, name)
        parts = tuple(part if part.sha256 else replace(part, sha256=self._digest(part)) for part in index.parts)
        return replace(index, parts=parts, has_checksums=True).with_checkpoints((), aside)

    def _digest(self, part: TablePart) -> str:
        """Of what a part holds now, so that what happens to it from now on is seen."""
        path = self._root / self._layout.part(part.table, part.name)
        with files.reading(path):
            return hashlib.sha256(path.read_bytes()).hexdigest()

    def _with_staged(self, index: Index, folder: Path) -> Index:
        """With what a killed program had committed in this folder, moved into its place."""
        program, _, what = folder.name.partition("-")
        if _COMMIT.fullmatch(what):
            header = read_header(self._layout.objects, self._layout.checkpoint(f"{program}.safetensors"))
            is_committed = header is not None and f"{header.commit:06d}" == what
        else:
            is_committed = (folder / _RECORD).exists()
        if not is_committed:
            return index
        staged = _record(folder)
        following = staged.applied(index)
        if following is None:
            return index
        for part in staged.parts:
            source = _staged_file(folder, part)
            if source.exists():
                files.rename(source, self._root / self._layout.part(part.table, part.name))
                files.sync_folder(self._root / self._layout.table(part.table))
        counting = {part.name for part in following.parts}
        replaced = [part for part in index.parts if part.name in staged.replaces and part.name not in counting]
        weights = [self._layout.weights(run_id) for run_id in staged.erases or ()]
        return following.with_doomed([*map(name_of, replaced), *weights])

    def tidy_up(self) -> None:
        """Remove what only earlier formats have, once the log has begun; what keeps others from doing the same last."""
        for folder, pattern in ((self._layout.staging, _STAGED), (self._layout.claims, _CLAIM)):
            names = self._layout.objects.names(folder)
            for path in (self._root / folder / name for name in names if pattern.fullmatch(name)):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    files.remove(path)
        for name in (*_INDEXES, "lock"):
            files.remove(self._root / name)


def _is_locked(path: Path) -> bool:
    """Whether a live process of an earlier rlbench holds this claim."""
    with files.reading(path):
        claim = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(claim, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(claim)
    return False


@dataclass(frozen=True)
class _Staged:
    """What a staging folder holds: parts that are added, of merged neighbours or, where rows of runs were erased, of single parts."""

    parts: tuple[TablePart, ...]
    replaces: tuple[str, ...] = ()
    erases: Sequence[str] | None = None

    def applied(self, index: Index) -> Index | None:
        """The index with this; None where somebody else has merged the neighbours that this merges."""
        if self.erases is not None:
            rewritten = dict(zip(self.replaces, self.parts, strict=False))  # behind these stand parts that are new
            following = index.rewritten(rewritten) if set(rewritten) & {part.name for part in index.parts} else index
            return following.with_parts(self.parts[len(rewritten) :])
        if self.replaces:
            (merged,) = self.parts
            return index if merged in index.parts else index.merged(self.replaces, merged)
        return index.with_parts(self.parts)


def _record(folder: Path) -> _Staged:
    path = folder / _RECORD
    if not path.exists():  # staged by a program of format 1
        return _Staged(tuple(_unrecorded(folder)))
    with files.reading(path):
        record = unseal(path.read_bytes())
        replaces, erases = record.get("replaces", []), record.get("erases")
        are_parts = all(isinstance(name, str) and PART_NAME.fullmatch(name) for name in replaces)
        if not are_parts or not all(map(is_run_id, erases or ())):
            raise ValueError("it is no record of a commit")
        return _Staged(parts_of_record(record), tuple(replaces), erases)


def _unrecorded(folder: Path) -> Iterator[TablePart]:
    for table in SCHEMAS:
        path = folder / f"{table}.parquet"
        if path.exists():
            with files.reading(path):
                data = path.read_bytes()
                rows = pq.read_metadata(pa.BufferReader(data)).num_rows
            name = f"{time.time_ns():020d}-{folder.name}.parquet"
            yield TablePart(table, name, rows, hashlib.sha256(data).hexdigest(), is_old=True)


def _staged_file(folder: Path, part: TablePart) -> Path:
    """Where a part lies until it is published; format 1 named the file by its table."""
    earlier = folder / f"{part.table}.parquet"
    return earlier if earlier.exists() else folder / f"{part.table}-{part.name}"
