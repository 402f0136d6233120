"""The log of a store's indexes: version after version, each under a name that can be given once only.

In: what is to follow from the index as it is. Out: the next version, or the same again from what somebody else has made of it
meanwhile. So two writers never both follow one index, wherever they are, and nobody holds a lock. The highest version counts; the
last few stay for those who are reading, and of each there is a copy, read where the first is damaged.
A writer that slept may find a number free again because its version was removed. It then sees a higher one beside its own, which
therefore nobody reads, and begins again from that.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import replace

from rlbench.errors import DamagedError, StoreError
from rlbench.store.damage import Damage
from rlbench.store.earlier import EarlierIndexes
from rlbench.store.files import reading
from rlbench.store.index import Index, parse_index, sealed_index
from rlbench.store.layout import Layout

_FOLDER = "index"
_NAME = re.compile(r"(\d{20})(\.copy)?\.json")
KEPT = 16  # versions: who reads one of them has so many commits' time
BACKOFF_SECONDS = 0.01


def _object(version: int, kind: str = "") -> str:
    return f"{_FOLDER}/{version:020d}{kind}.json"


class IndexLog:
    """The log of one store, as one process sees it: each version parsed once."""

    def __init__(self, layout: Layout, damage: Damage) -> None:
        self.objects, self._damage = layout.objects, damage
        self._index = Index()
        self._earlier = EarlierIndexes(layout, damage)

    def read(self) -> Index:
        """The index as it is now. Raises DamagedError where it cannot be read."""
        while True:
            version = max(self._versions(), default=0)
            if version == 0:
                try:
                    return self._earlier.read()
                except DamagedError:
                    if self._versions():  # the store was taken over meanwhile
                        continue
                    raise
            index = self._index if version == self._index.version else self._read(version)
            if index is not None:
                self._index = index
                return index

    def latest(self) -> Index:
        """The same, with versions that a listing may not show yet, as on NFS: before something counts as damaged. Raises DamagedError."""
        index = self.read()
        while index.version and (following := self._parse(index.version + 1)) is not None:
            self._index = index = following
        return index

    def _versions(self) -> set[int]:
        return {int(matched[1]) for name in self.objects.names(_FOLDER) if (matched := _NAME.fullmatch(name))}

    def _read(self, version: int) -> Index | None:
        """One version, where its first file is damaged from its copy; None where it has been removed meanwhile."""
        first = self.objects.where(_object(version))
        try:
            found = self._parse(version)
            if found is not None:
                return found
            problem = DamagedError(f"{first} is missing")
        except DamagedError as error:
            problem = error
        try:
            copy = self._parse(version, ".copy")
        except DamagedError as error:
            raise DamagedError(f"{problem}, and so is its copy") from error
        if copy is not None:
            self._damage.note(f"{problem}; its copy is used")
        elif max(self._versions(), default=0) <= version and self.objects.read(_object(version + 1)) is None:
            raise problem
        return copy

    def _parse(self, version: int, kind: str = "") -> Index | None:
        data = self.objects.read(_object(version, kind))
        if data is None:
            return None
        with reading(self.objects.where(_object(version, kind))):
            index = parse_index(data)
            if index.version != version:
                raise ValueError("it is another version")
        return index

    def transact(self, change: Callable[[Index], Index | None]) -> Index:
        """Make the index what `change` makes of it; nothing is written where that is the very same.

        `change` is called again wherever somebody else was faster, or may have been, or where it returns None: it must return an
        index as it is in which what it does has been done.
        """
        while True:
            index = self.read()
            following = change(index)
            if following is None:
                continue
            if following is index:
                return index
            following = replace(following, version=index.version + 1)
            data = sealed_index(following)
            if self.objects.put(_object(following.version), data) and max(self._versions()) == following.version:
                self.objects.put(_object(following.version, ".copy"), data)
                self._index = following
                self.prune()
                return following
            time.sleep(random.uniform(0, BACKOFF_SECONDS))

    def begin(self, index: Index) -> None:
        """Write the first version, unless somebody has."""
        if not self._versions():
            data = sealed_index(replace(index, version=1))
            self.objects.put(_object(1), data)
            self.objects.put(_object(1, ".copy"), data)

    def prune(self) -> None:
        """Remove the versions that nobody reads any more. All of them: whoever should have removed one may have been killed.

        The copies first: a version without its copy is no damage, the reverse would be.
        """
        versions = self._versions()
        for version in sorted(versions):
            if version <= max(versions) - KEPT:
                for kind in (".copy", ""):
                    self.objects.delete(_object(version, kind))

    def damaged(self) -> list[str]:
        """What is wrong with either copy of the latest version; nothing where there is none."""
        found = []
        version = max(self._versions(), default=0)
        for kind in ("", ".copy"):
            try:
                if version:
                    self._parse(version, kind)
            except StoreError as error:
                found.append(str(error))
        return found
