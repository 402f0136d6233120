"""The index of a store: which parts and checkpoints count, and who writes.

In: the parts of a commit. Out: the next index. Readers see a commit all at once, or nothing of it: a part that the index does not
name does not count. Of each table the rows have positions 0, 1, 2 ... that never change: parts are only added at the end,
neighbours merged into one, or rows erased, which leaves blank ones in their places. How one index follows another is
`rlbench.store.index_log`; what earlier formats had for one is `rlbench.store.earlier`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rlbench.store.schema import SCHEMAS
from rlbench.store.sealed import sealed_line, unseal

CHECKPOINT_NAME = re.compile(r"[0-9a-f]{12}(-\d{6,})?\.safetensors")
PART_NAME = re.compile(r"\d{20}-([0-9a-f]{12}-[0-9a-z-]{1,40})\.parquet")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DOOMED = re.compile(rf"tables/[a-z]+/{PART_NAME.pattern}|weights/[0-9a-f]{{16}}\.safetensors")
_WRITER = re.compile(r"[0-9a-f]{12}")
_CLAIM = re.compile(r"[0-9a-f]{12}-\d{6,}")


@dataclass(frozen=True)
class TablePart:
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
class Writer:
    """Somebody who may change the index, for as long as it names them.

    claim: the file that says which runs they hold; empty for none. changes: how many they have made, so that none is made twice.
    is_fenced: taken for dead, and never let in again; what they have left is still to be swept.
    """

    name: str
    claim: str = ""
    changes: int = 0
    is_fenced: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for what no writer is: names are never paths."""
        if not _WRITER.fullmatch(self.name) or (self.claim and not _CLAIM.fullmatch(self.claim)):
            raise ValueError(f"no writer is {self.name[:40]!r} with the claim {self.claim[:40]!r}")


@dataclass(frozen=True)
class Index:
    """The parts that count, each table's in order. has_checksums: False where they are as they are listed.

    erasures: how often rows were erased: who has read records before the latest reads them again.
    version: which in the log of indexes; 0 for that of an earlier format.
    checkpoints: the files whose states count. writers: who may write. doomed: files in the store that count no more, and are to be
    removed by whoever comes: parts that were merged or rewritten, weights of runs that were erased.
    """

    parts: tuple[TablePart, ...] = ()
    has_checksums: bool = True
    erasures: int = 0
    version: int = 0
    checkpoints: tuple[str, ...] = ()
    writers: Mapping[str, Writer] = field(default_factory=dict)
    doomed: tuple[str, ...] = ()

    def of(self, table: str) -> tuple[TablePart, ...]:
        return tuple(part for part in self.parts if part.table == table)

    def num_rows(self, table: str) -> int:
        return sum(part.rows for part in self.parts if part.table == table)

    @property
    def old_parts(self) -> int:
        """How many parts were written before there were checksums."""
        return sum(part.is_old or not part.sha256 for part in self.parts)

    def with_parts(self, new: Sequence[TablePart]) -> Index:
        """With these behind the others; what is there already is not added again."""
        known = set(self.parts)
        return replace(self, parts=(*self.parts, *(part for part in new if part not in known)))

    def merged(self, replaced: Sequence[str], part: TablePart) -> Index | None:
        """With `part` in the place of these neighbours; None where they do not stand there side by side."""
        own = self.of(part.table)
        names = [one.name for one in own]
        start = names.index(replaced[0]) if replaced and replaced[0] in names else -1
        if start < 0 or names[start : start + len(replaced)] != list(replaced):
            return None
        table = (*own[:start], part, *own[start + len(replaced) :])
        return replace(self, parts=(*(one for one in self.parts if one.table != part.table), *table))

    def rewritten(self, old: Mapping[str, TablePart]) -> Index:
        """With each of these parts in the place of the one of that name, less rows that were erased."""
        return replace(self, parts=tuple(old.get(part.name, part) for part in self.parts), erasures=self.erasures + 1)

    def with_writer(self, writer: Writer) -> Index:
        """With this standing of a writer, new or known."""
        return replace(self, writers={**self.writers, writer.name: writer})

    def fenced(self, names: Collection[str]) -> Index:
        """With these writers let in no more."""
        fenced = {
            name: replace(one, claim="", is_fenced=True)
            for name, one in self.writers.items()
            if name in names and not one.is_fenced
        }
        return replace(self, writers={**self.writers, **fenced}) if fenced else self

    def without_writers(self, names: Collection[str]) -> Index:
        return replace(self, writers={name: writer for name, writer in self.writers.items() if name not in names})

    def with_doomed(self, new: Iterable[str] = (), gone: Collection[str] = ()) -> Index:
        """With these files to be removed, and those removed."""
        doomed = tuple(name for name in dict.fromkeys((*self.doomed, *new)) if name not in gone)
        return self if doomed == self.doomed else replace(self, doomed=doomed)

    def with_checkpoints(self, new: Sequence[str], old: Collection[str]) -> Index:
        """With these checkpoints counting, and those no more."""
        return replace(self, checkpoints=(*(name for name in self.checkpoints if name not in old), *new))


def name_of(part: TablePart) -> str:
    """Where a part lies in its store."""
    return f"tables/{part.table}/{part.name}"


def parse_index(data: bytes) -> Index:
    """The index that these bytes are. Raises ValueError for anything else."""
    content = unseal(data)
    try:
        writers = [Writer(**writer) for writer in content.get("writers", [])]
        checkpoints, doomed = content.get("checkpoints", []), content.get("doomed", [])
        if not all(map(CHECKPOINT_NAME.fullmatch, checkpoints)) or not all(map(_DOOMED.fullmatch, doomed)):
            raise ValueError("no file of a store has such a name")
        return Index(
            parts_of_record(content),
            erasures=int(content.get("erasures", 0)),
            version=int(content.get("version", 0)),
            checkpoints=tuple(checkpoints),
            writers={writer.name: writer for writer in writers},
            doomed=tuple(doomed),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no index: {error}") from error


def sealed_index(index: Index) -> bytes:
    """The bytes from which `parse_index` makes this index."""
    return sealed_line(
        {
            "version": index.version,
            "parts": [asdict(part) for part in index.parts],
            "erasures": index.erasures,
            "checkpoints": list(index.checkpoints),
            "writers": [asdict(writer) for writer in index.writers.values()],
            "doomed": list(index.doomed),
        }
    )


def parts_of_record(record: Mapping[str, Any]) -> tuple[TablePart, ...]:
    """The parts that a record names. Raises ValueError for anything else."""
    try:
        return tuple(TablePart(**part) for part in record["parts"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no record of parts: {error}") from error
