"""What everything is called in a store, and the file that says of which format it is.

In: the place of a store. Out: names in it. Nothing here is a path: a store lies in a folder or in an object store.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import ClassVar

from rlbench.errors import StoreError
from rlbench.places import Url, place_of
from rlbench.store.conditional import STAGED, ConditionalStore, FolderStore
from rlbench.store.files import reading
from rlbench.store.processes import file_name

FORMAT = 3
READABLE = (
    1,
    2,
    3,
)  # in formats 1 and 2 a lock of one kernel guards the index; in format 1 there is none, and no checksums


@dataclass(frozen=True)
class Layout:
    """The place of one store, and the names in it.

    index: the versions of the index, of which the highest counts. leases: the heartbeats of those who write. claims: which runs each of
    them holds. staging: files on their way to a name under which they must appear whole. damaged: checkpoints that could not be read.
    """

    objects: ConditionalStore

    format: ClassVar[str] = "format.json"
    index: ClassVar[str] = "index"
    leases: ClassVar[str] = "leases"
    claims: ClassVar[str] = "claims"
    checkpoints: ClassVar[str] = "checkpoints"
    staging: ClassVar[str] = STAGED
    damaged: ClassVar[str] = "damaged"
    tables: ClassVar[str] = "tables"
    all_weights: ClassVar[str] = "weights"

    def table(self, table: str) -> str:
        return f"{self.tables}/{table}"

    def part(self, table: str, name: str) -> str:
        return f"{self.tables}/{table}/{name}"

    def checkpoint(self, name: str) -> str:
        return f"{self.checkpoints}/{name}"

    def claim(self, name: str) -> str:
        return f"{self.claims}/{name}"

    def weights(self, run_id: str) -> str:
        return f"{self.all_weights}/{run_id}.safetensors"

    def staged(self, name: str) -> str:
        return f"{self.staging}/{name}"


def layout_of(place: str | os.PathLike[str]) -> Layout:
    """The layout of the store in a folder or at a URL."""
    found = place_of(place)
    if isinstance(found, Url):
        from rlbench.store.object_store import ObjectStore  # here: most stores are folders

        return Layout(ObjectStore(found))
    return Layout(FolderStore(found, file_name))


def read_format(layout: Layout) -> int | None:
    """The format of the store in this place; None where there is an empty folder or none at all.

    Raises StoreError for anything that is not a store of this format.
    """
    objects = layout.objects
    objects.check()
    data = objects.read(layout.format)
    if data is None:
        there = objects.names("")
        if layout.format in there:  # somebody has made it meanwhile
            return read_format(layout)
        if there:
            raise StoreError(
                f"{objects.where()} is not empty and not a results folder of rlbench; name a new one (store=PATH)"
            )
        return None
    with reading(objects.where(layout.format)):
        found = json.loads(data)
    version = found.get("format") if isinstance(found, dict) else None
    if type(version) is not int:
        raise StoreError(f"{objects.where(layout.format)} is not the format file of a results folder of rlbench")
    if version not in READABLE:
        raise StoreError(f"{objects.where()} has format {version}; this rlbench reads and writes format {FORMAT}")
    return version


def begin_format(layout: Layout, version: int) -> None:
    """Make the place a store of this format, unless somebody has made it one of any."""
    layout.objects.make_folder("")
    layout.objects.put(layout.format, _content(version))


def write_format(layout: Layout, version: int) -> None:
    """Make a store one of this format, whatever it was. Two programs may do so at once: they write the same bytes."""
    layout.objects.replace(layout.format, _content(version))


def _content(version: int) -> bytes:
    return json.dumps({"format": version}).encode()
