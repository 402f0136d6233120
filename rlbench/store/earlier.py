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
from rlbench.store.checkpoints import read_header, set_aside
from rlbench.store.damage import Damage
from rlbench.store.files import Layout
from rlbench.store.index import CHECKPOINT_NAME, PART_NAME, Index, Part, name_of, parse_index, parts_of_record
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
        self._first, self._second = (layout.root / name for name in _INDEXES)
        self._counts: dict[Path, int] = {}  # rows of parts that no index names
        self._parsed: tuple[Any, Index] | None = None

    def read(self) -> Index:
        """The index as it is now; where the first copy is damaged, from the second. Raises DamagedError."""
        checkpoints = tuple(name for name in files.names(self._layout.checkpoints) if CHECKPOINT_NAME.fullmatch(name))
        version = files.read_format(self._layout)
        stamps = [_stamp(self._first), _stamp(self._second)]
        if version != 2 and stamps == [None, None]:
            if version == 1 or (self._layout.root / "lock").exists():  # or a takeover of one was killed before its end
                return replace(_listed(self._layout, self._damage, self._counts), checkpoints=checkpoints)
            raise DamagedError(f"{self._layout.index} has no version of the index")
        if self._parsed is None or self._parsed[0] != stamps:
            self._parsed = stamps, self._parse()
        return replace(self._parsed[1], checkpoints=checkpoints)

    def _parse(self) -> Index:
        try:
            found = _read(self._first)
            if found is not None:
                return found
            problem = DamagedError(f"{self._first} is missing")
        except DamagedError as error:
            problem = error
        copy = _read(self._second)
        if copy is None:
            raise problem
        self._damage.note(f"{problem}; its copy is used")
        return copy


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes whenever a file is replaced by another one; None where there is none."""
    with files.reading(path):
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> Index | None:
    with files.reading(path):
        try:
            return parse_index(path.read_bytes())
        except FileNotFoundError:
            return None


def _listed(layout: Layout, damage: Damage, counts: dict[Path, int]) -> Index:
    """The parts of a store without an index: what is called as we call parts, in the order of the names."""
    found = []
    for table in SCHEMAS:
        seen: set[str] = set()
        if table != "starts" and layout.tables.is_dir() and not layout.table(table).is_dir():
            damage.note(f"{layout.table(table)} is missing; its rows are left out")
        for name in files.names(layout.table(table)):
            matched = PART_NAME.fullmatch(name)
            if matched is None or matched[1] in seen:  # a stray file, or a copy of a part
                continue
            seen.add(matched[1])
            path = layout.part(table, name)
            if path not in counts:
                counts[path] = _count(path, damage)
            found.append(Part(table, name, counts[path], is_old=True))
    return Index(tuple(found), has_checksums=False)


def _count(path: Path, damage: Damage) -> int:
    try:
        with files.reading(path):
            return int(pq.read_metadata(path).num_rows)
    except StoreError as error:
        damage.note_part(path, error)
        return 0


def is_earlier(layout: Layout) -> bool:
    """Whether something of an earlier format lies in this folder, be it what a takeover that was killed has left."""
    return (
        any(os.path.lexists(layout.root / name) for name in (*_INDEXES, "lock"))
        or any(map(_CLAIM.fullmatch, files.names(layout.claims)))
        or (files.read_format(layout) != files.FORMAT and any(files.names(layout.table(table)) for table in SCHEMAS))
    )


class Takeover:
    """The change of a store to this format; a context manager in which nobody of an earlier one can write.

    Raises StoreError where somebody does, and WriteError where the folder has no such locks as the earlier formats used.
    """

    def __init__(self, layout: Layout, damage: Damage) -> None:
        self._layout, self._damage = layout, damage
        self._held = ExitStack()

    def __enter__(self) -> Takeover:
        lock = self._layout.root / "lock"
        with files.writing(lock):
            held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._held.callback(os.close, held)
            fcntl.flock(held, fcntl.LOCK_EX)  # at once, or after the moment that a commit takes
        claims = filter(_CLAIM.fullmatch, files.names(self._layout.claims))
        if any(_is_locked(self._layout.claims / name) for name in claims):
            self._held.close()
            raise StoreError(f"an earlier rlbench is writing to {self._layout.root}; let it end first")
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def index(self, listed: Index) -> Index:
        """The index from which the log begins: with what killed programs had committed, and checksums of all parts."""
        index, aside = listed, set[str]()
        for name in files.names(self._layout.staging):
            folder = self._layout.staging / name
            if not _STAGED.fullmatch(name) or folder.is_symlink() or not folder.is_dir():
                continue
            try:
                index = self._with_staged(index, folder)
            except DamagedError as error:
                # What it had committed is lost, and its runs begin again: no state may be left that would go on without it.
                self._damage.note_error(error)
                aside.add(f"{name.partition('-')[0]}.safetensors")
        for name in aside:
            set_aside(self._layout, self._layout.checkpoints / name)
        parts = tuple(part if part.sha256 else replace(part, sha256=self._digest(part)) for part in index.parts)
        return replace(index, parts=parts, has_checksums=True).with_checkpoints((), aside)

    def _digest(self, part: Part) -> str:
        """Of what a part holds now, so that what happens to it from now on is seen."""
        path = self._layout.part(part.table, part.name)
        with files.reading(path):
            return hashlib.sha256(path.read_bytes()).hexdigest()

    def _with_staged(self, index: Index, folder: Path) -> Index:
        """With what a killed program had committed in this folder, moved into its place."""
        program, _, what = folder.name.partition("-")
        if _COMMIT.fullmatch(what):
            header = read_header(self._layout.checkpoints / f"{program}.safetensors")
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
                files.rename(source, self._layout.part(part.table, part.name))
                files.sync_folder(self._layout.table(part.table))
        counting = {part.name for part in following.parts}
        replaced = [part for part in index.parts if part.name in staged.replaces and part.name not in counting]
        weights = [f"weights/{self._layout.weights(run_id).name}" for run_id in staged.erases or ()]
        return following.with_doomed([*map(name_of, replaced), *weights])

    def tidy_up(self) -> None:
        """Remove what only earlier formats have, once the log has begun; what keeps others from doing the same last."""
        for folder, pattern in ((self._layout.staging, _STAGED), (self._layout.claims, _CLAIM)):
            for path in (folder / name for name in files.names(folder) if pattern.fullmatch(name)):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    files.remove(path)
        for name in (*_INDEXES, "lock"):
            files.remove(self._layout.root / name)


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

    parts: tuple[Part, ...]
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


def _unrecorded(folder: Path) -> Iterator[Part]:
    for table in SCHEMAS:
        path = folder / f"{table}.parquet"
        if path.exists():
            with files.reading(path):
                data = path.read_bytes()
                rows = pq.read_metadata(pa.BufferReader(data)).num_rows
            name = f"{time.time_ns():020d}-{folder.name}.parquet"
            yield Part(table, name, rows, hashlib.sha256(data).hexdigest(), is_old=True)


def _staged_file(folder: Path, part: Part) -> Path:
    """Where a part lies until it is published; format 1 named the file by its table."""
    earlier = folder / f"{part.table}.parquet"
    return earlier if earlier.exists() else folder / f"{part.table}-{part.name}"
