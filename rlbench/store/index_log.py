"""The log of a store's indexes: version after version, each under a name that can be given once only.

In: what is to follow from the index as it is. Out: the next version, or the same again from what somebody else has made of it
meanwhile. So two writers never both follow one index, wherever they are, and nobody holds a lock. The highest version counts; the
last few stay for those who are reading, and of each there is a copy, read where the first is damaged.
A writer that slept may find a number free again because its version was removed. It then sees a higher one beside its own, and
begins again from that; its own is removed with the next.
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


def _back_off() -> None:
    time.sleep(random.uniform(0, BACKOFF_SECONDS))


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
            if version == self._index.version == 0:
                try:
                    index = self._earlier.read()
                except DamagedError:
                    if not self._versions():
                        raise
                else:
                    if not self._versions():
                        return index
                continue  # the store was taken over meanwhile
            if version <= self._index.version:  # less, where the listing is late
                return self._index
            found = self._read(version)
            if found is not None:
                self._index = found
                return found
            _back_off()

    def latest(self) -> Index:
        """The same by names instead of a listing, which may be late, as on NFS: before something counts as damaged. Raises DamagedError."""
        while True:
            index = self.read()
            while index.version and (following := self._parse(index.version + 1)) is not None:
                self._index = index = following
            if index.version == 0 or self.objects.read(_object(index.version)) is not None:
                return index
            if self.objects.read(_object(index.version, ".copy")) is not None:  # it is damaged, and not removed
                return index
            _back_off()  # so many versions have come that it was removed; the listing will show them

    def _versions(self) -> set[int]:
        return {int(matched[1]) for name in self.objects.names(_FOLDER) if (matched := _NAME.fullmatch(name))}

    def _read(self, version: int) -> Index | None:
        """One version, where its first file is damaged from its copy; None where both have been removed meanwhile."""
        problem: DamagedError | None = None
        try:
            found = self._parse(version)
            if found is not None:
                return found
        except DamagedError as error:
            problem = error
        told = problem or f"{self.objects.where(_object(version))} is missing"
        try:
            copy = self._parse(version, ".copy")
        except DamagedError as error:
            raise DamagedError(f"{told}, and so is its copy") from error
        if copy is not None:
            self._damage.note(f"{told}; its copy is used")
        elif problem is not None:
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
                _back_off()
                continue
            if following is index:
                return index
            following = replace(following, version=index.version + 1)
            data = sealed_index(following)
            if self.objects.put(_object(following.version), data):
                versions = self._versions()
                if max(versions) == following.version:
                    self.objects.put(_object(following.version, ".copy"), data)
                    self._index = following
                    self._prune(versions)
                    return following
            _back_off()

    def begin(self, index: Index) -> None:
        """Write the first version, unless somebody has."""
        if not self._versions():
            data = sealed_index(replace(index, version=1))
            self.objects.put(_object(1), data)
            self.objects.put(_object(1, ".copy"), data)

    def prune(self) -> None:
        """Remove the versions that nobody reads any more."""
        self._prune(self._versions())

    def _prune(self, versions: set[int]) -> None:
        """All of them: whoever should have removed one may have been killed.

        The copies first: a version without its copy is no damage, the reverse would be.
        """
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
