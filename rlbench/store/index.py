"""The index of a store: which parts count, in what order, how many rows they have, and their checksums.

In: the parts of a commit. Out: `index.json`, replaced by one rename under the store's lock, which is the moment at
which readers see a commit: all of it or none. A part that the index does not name does not count. Of each table the
rows have positions 0, 1, 2 ... that never change: parts are only added at the end, neighbours merged into one, or rows
erased, which leaves blank ones in their places. A second copy of the index is read where the first is damaged. A store
of format 1 has no index: its parts count as they are listed, without checksums, until the store is next opened for
writing, which writes the first index.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from rlbench.errors import DamagedError, StoreError
from rlbench.store import files
from rlbench.store.damage import Damage
from rlbench.store.files import Layout
from rlbench.store.schema import SCHEMAS
from rlbench.store.sealed import sealed_line, unseal

PART_NAME = re.compile(r"\d{20}-([0-9a-f]{12}-[0-9a-z-]{1,40})\.parquet")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Part:
    """A part of a table. level: how often its rows have been merged. is_old: its checksum is younger than itself."""

    table: str
    name: str
    rows: int
    sha256: str = ""
    level: int = 0
    is_old: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for what no part is: names are never paths."""
        kinds = {"table": str, "name": str, "rows": int, "sha256": str, "level": int, "is_old": bool}
        if any(type(getattr(self, name)) is not kind for name, kind in kinds.items()):
            raise ValueError("a value of a wrong type")
        if self.table not in SCHEMAS or not PART_NAME.fullmatch(self.name) or min(self.rows, self.level) < 0:
            raise ValueError(f"no part is {self.table[:40]!r}/{self.name[:80]!r}")
        if self.sha256 and not _DIGEST.fullmatch(self.sha256):
            raise ValueError("a checksum is 64 hex digits")


@dataclass(frozen=True)
class Index:
    """The parts that count, each table's in order. has_checksums: False where they are as they are listed.

    erasures: how often rows were erased: who has read records before the latest reads them again.
    """

    parts: tuple[Part, ...] = ()
    has_checksums: bool = True
    erasures: int = 0

    def of(self, table: str) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.table == table)

    def num_rows(self, table: str) -> int:
        return sum(part.rows for part in self.parts if part.table == table)

    @property
    def old_parts(self) -> int:
        """How many parts were written before there were checksums."""
        return sum(part.is_old or not part.sha256 for part in self.parts)

    def with_parts(self, new: Sequence[Part]) -> Index:
        """With these behind the others; what is there already is not added again."""
        known = set(self.parts)
        return replace(self, parts=(*self.parts, *(part for part in new if part not in known)))

    def merged(self, replaced: Sequence[str], part: Part) -> Index | None:
        """With `part` in the place of these neighbours; None where they do not stand there side by side."""
        own = self.of(part.table)
        names = [one.name for one in own]
        start = names.index(replaced[0]) if replaced and replaced[0] in names else -1
        if start < 0 or names[start : start + len(replaced)] != list(replaced):
            return None
        table = (*own[:start], part, *own[start + len(replaced) :])
        return replace(self, parts=(*(one for one in self.parts if one.table != part.table), *table))

    def rewritten(self, old: Mapping[str, Part]) -> Index:
        """With each of these parts in the place of the one of that name, less rows that were erased."""
        parts = tuple(old.get(part.name, part) for part in self.parts)
        return self if parts == self.parts else replace(self, parts=parts, erasures=self.erasures + 1)


def _parse(data: bytes) -> Index:
    content = unseal(data)
    try:
        return Index(tuple(Part(**part) for part in content["parts"]), erasures=int(content.get("erasures", 0)))
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no index: {error}") from error


def _read(path: Path) -> Index | None:
    with files.reading(path):
        try:
            return _parse(path.read_bytes())
        except FileNotFoundError:
            return None


def read_index(layout: Layout, damage: Damage, counts: dict[Path, int] | None = None) -> Index:
    """The index as it is now; where the first copy is damaged, from the second. Raises DamagedError where both are.

    counts: rows of listed parts that are known already, and where to put those that are not.
    """
    try:
        found = _read(layout.index)
        if found is not None:
            return found
        problem = DamagedError(f"{layout.index} is missing")
    except DamagedError as error:
        problem = error
    try:
        copy = _read(layout.index_copy)
    except DamagedError as error:
        raise DamagedError(f"{problem}, and so is {layout.index_copy.name}") from error
    if copy is not None:
        damage.note(f"{problem}; its copy is used")
        return copy
    if layout.index.exists() or files.read_format(layout) != 1:
        raise problem
    return listed(layout, damage, {} if counts is None else counts)


def write_index(layout: Layout, index: Index) -> None:
    """Replace the index, under the store's lock, and then its copy."""
    erasures = {"erasures": index.erasures} if index.erasures else {}
    data = sealed_line({"parts": [asdict(part) for part in index.parts], **erasures})
    for path in (layout.index, layout.index_copy):
        temp = layout.staging / f"{path.name}.new"
        files.remove(temp)  # of somebody who was killed here
        files.write_file(temp, [data])
        files.rename(temp, path)
    files.sync_folder(layout.root)


def damaged_copies(layout: Layout) -> list[str]:
    """What is wrong with either copy of the index; nothing where there is none."""
    found = []
    for path in (layout.index, layout.index_copy):
        try:
            _read(path)
        except StoreError as error:
            found.append(str(error))
    return found


def listed(layout: Layout, damage: Damage, counts: dict[Path, int]) -> Index:
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


def adopted(layout: Layout, index: Index) -> Index:
    """The listed parts with checksums of what they hold now, so that what happens to them from now on is seen."""
    return Index(tuple(replace(part, sha256=_digest(layout.part(part.table, part.name))) for part in index.parts))


def _digest(path: Path) -> str:
    with files.reading(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()


class IndexReader:
    """The index, parsed once for each version of its file."""

    def __init__(self, layout: Layout, damage: Damage) -> None:
        self._layout, self._damage = layout, damage
        self._version: tuple[int, int, int] | None = None
        self._index = Index()
        self._counts: dict[Path, int] = {}

    def read(self) -> Index:
        try:
            stat = os.stat(self._layout.index)
            version = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:  # a store of format 1, or a damaged one
            return read_index(self._layout, self._damage, self._counts)
        if version != self._version:
            self._index = read_index(self._layout, self._damage)
            self._version = version
        return self._index


def strays(layout: Layout, index: IndexReader) -> list[Path]:
    """Files among the parts that do not count: named by no commit, and not on their way."""
    there = {layout.part(table, name) for table in SCHEMAS for name in _all_names(layout.table(table))}
    there -= _named(layout, index)
    on_their_way = set(files.names(layout.staging))
    there = {path for path in there if not _is_of(path, on_their_way)}
    # Once more, for what was published or merged while we looked.
    return sorted(path for path in there - _named(layout, index) if os.path.lexists(path)) if there else []


def _all_names(folder: Path) -> Iterable[str]:
    with files.reading(folder):
        try:
            return os.listdir(folder)
        except FileNotFoundError:
            return []


def _named(layout: Layout, index: IndexReader) -> set[Path]:
    return {layout.part(part.table, part.name) for part in index.read().parts}


def _is_of(path: Path, folders: Iterable[str]) -> bool:
    matched = PART_NAME.fullmatch(path.name)
    return matched is not None and matched[1] in folders


def parts_of_record(record: Mapping[str, Any]) -> tuple[Part, ...]:
    """The parts that a staged record names. Raises ValueError for anything else."""
    try:
        return tuple(Part(**part) for part in record["parts"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no record of a commit: {error}") from error
