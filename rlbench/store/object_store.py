"""A store in an object store: at any fsspec URL whose server gives a name once only when it is asked to, as S3 does.

In: `s3://bucket/prefix`. Out: the port of `rlbench.store.conditional`. An object is there whole or not at all, and is seen by all as
soon as its writer hears so (S3 promises both). What never changes is fetched once into a local cache; the index, leases and claims are
read where they are. Credentials are the business of fsspec's package: nothing of them is known here.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import random
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rlbench.errors import StoreError, UnreachableError, WriteError, first_line
from rlbench.places import Url
from rlbench.store.conditional import ConditionalStore, Stat
from rlbench.store.files import writing

_TAKEN, _CONFLICT = 412, 409  # of HTTP
CONFLICT_SECONDS = 0.5
PACKAGES = {"s3": "rlbench[s3]", "s3a": "rlbench[s3]", "gs": "gcsfs", "gcs": "gcsfs"}


def _file_system(url: Url) -> Any:
    """fsspec's file system for this URL. Raises StoreError where there is none that gives a name once only."""
    import fsspec
    from fsspec.asyn import AsyncFileSystem

    try:
        kind = fsspec.get_filesystem_class(url.protocol)
    except ImportError as error:
        package = PACKAGES.get(url.protocol)
        told = f"pip install '{package}'" if package else first_line(error)
        raise StoreError(f"store={url}: what reads {url.protocol}:// is not installed: {told}") from None
    except ValueError:
        raise StoreError(f"store={url}: nothing is known that reads {url.protocol}://") from None
    own = getattr(kind, "_pipe_file", AsyncFileSystem._pipe_file)
    # Others look first and write then, in two requests: two writers would both be given the name.
    if own is AsyncFileSystem._pipe_file or "mode" not in inspect.signature(own).parameters:
        raise StoreError(
            f"store={url}: {url.protocol}:// does not give a name once only, by which writers keep apart; s3:// does"
        )
    try:
        # A listing that is remembered would hide what others have written; an instance that is shared, its settings.
        return kind(use_listings_cache=False, skip_instance_cache=True)
    except Exception as error:  # whatever the package makes of its configuration
        raise StoreError(f"cannot open {url}: {first_line(error)}") from None


def cache_folder() -> Path:
    """Where fetched objects lie; may be removed at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlbench" / "stores"


class ObjectStore(ConditionalStore):
    """A bucket of S3, or of what speaks like it, below a prefix."""

    def __init__(self, url: Url) -> None:
        self.root = url.beside
        self._url, self._files = url, _file_system(url)
        self._cache = cache_folder() / url.beside

    def where(self, name: str = "") -> str:
        return f"{self._url}/{name}" if name else str(self._url)

    @contextmanager
    def _asking(self, what: str, kind: type[StoreError] = UnreachableError) -> Iterator[None]:
        """Turn a refusal into an error in one line; that there is nothing of the name is the caller's to judge."""
        try:
            yield
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:  # botocore's, aiohttp's, fsspec's and the system's have no base in common
            after = "; what was published before stays readable" if kind is WriteError else ""
            raise kind(f"cannot {what}: {_reason(error)}{after}") from error

    def check(self) -> None:
        """Any prefix will do; whether the bucket is there is seen by what is done next."""

    def check_writable(self) -> None:
        """Give a name twice: where that works, nothing may be written. A hidden one, so that an empty place stays one."""
        name = f".{uuid.uuid4().hex}"
        try:
            self.put(name, b"")  # not given where an answer was lost and the question asked again
            is_given_again = self.put(name, b"")
            self.delete(name)
        except StoreError as error:
            raise StoreError(f"cannot write {self._url}: {_reason(error.__cause__ or error)}") from error
        if is_given_again:
            raise StoreError(
                f"{self._url} gives a name twice, so that writers could not keep apart: its server ignores If-None-Match"
            )

    def put(self, name: str, data: bytes, tries: int = 10) -> bool:
        try:
            with self._asking(f"write {self.where(name)}", WriteError):
                try:
                    self._files.pipe_file(self.where(name), data, mode="create")
                except FileExistsError:
                    return False
                except OSError as error:
                    if _status(error) == _CONFLICT and tries > 1:  # somebody is being given the name at this moment
                        time.sleep(random.uniform(0, CONFLICT_SECONDS))
                        return self.put(name, data, tries - 1)
                    if _status(error) != _TAKEN:
                        raise
                    return False
        except FileNotFoundError as error:
            raise WriteError(f"cannot write {self.where(name)}: {_reason(error)}") from error
        return True

    def write(self, name: str, chunks: Iterable[Any]) -> None:
        self.replace(name, b"".join(chunks))

    def replace(self, name: str, data: bytes) -> None:
        try:
            with self._asking(f"write {self.where(name)}", WriteError):
                self._files.pipe_file(self.where(name), data)
        except FileNotFoundError as error:
            raise WriteError(f"cannot write {self.where(name)}: {_reason(error)}") from error

    def move(self, name: str, to: str) -> None:
        """A copy that the server makes, and a removal. As a rename does, the copy fails where nothing has the name any more:

        who was fenced after its last look, and swept, has nothing to put over what its successor has written.
        """
        try:
            with self._asking(f"write {self.where(to)}", WriteError):
                self._files.cp_file(self.where(name), self.where(to))
        except FileNotFoundError as error:
            raise WriteError(f"cannot write {self.where(to)}: {self.where(name)} is not there any more") from error
        self.delete(name)

    def flush(self, folder: str) -> None:
        """What is written is durable."""

    def make_folder(self, folder: str) -> None:
        """There are none."""

    def read(self, name: str, size: int | None = None) -> bytes | None:
        try:
            with self._asking(f"read {self.where(name)}"):
                data: bytes = self._files.cat_file(self.where(name), start=None if size is None else 0, end=size)
                return data
        except FileNotFoundError:
            return None

    def stat(self, name: str) -> Stat | None:
        try:
            with self._asking(f"read {self.where(name)}"):
                found = self._files.info(self.where(name))
        except FileNotFoundError:
            return None
        if found["type"] != "file":
            return None
        return Stat(found["size"], hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:16])

    def local(self, name: str) -> Path:
        """Of this very version, so that a new store under an old name is not taken for the old one: asked for each time."""
        found = self.stat(name)
        path = self._cache / name / (found.version if found else "none") / Path(name).name
        if found is None or (path.exists() and path.stat().st_size == found.size):
            return path
        data = self.read(name)
        if data is not None:
            temp = path.with_name(uuid.uuid4().hex)
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # removed meanwhile with what it is a copy of
                    with open(temp, "wb") as file:
                        file.write(data)
                        file.flush()
                        os.fsync(file.fileno())  # before it has its name, which is trusted
                    temp.replace(path)
        return path

    def names(self, folder: str, *, with_hidden: bool = False) -> list[str]:
        try:
            with self._asking(f"read {self.where(folder)}"):
                found = self._files.ls(self.where(folder), detail=False)
        except FileNotFoundError:
            return []
        own = self.where(folder).partition("://")[2].rstrip("/")  # an empty object that consoles make for a folder
        names = {one.rstrip("/").rpartition("/")[2] for one in found if one.rstrip("/") != own}
        return sorted(name for name in names if name and (with_hidden or not name.startswith(".")))

    def delete(self, name: str) -> None:
        try:
            with self._asking(f"remove {self.where(name)}", WriteError):
                self._files.rm_file(self.where(name))
        except FileNotFoundError:
            pass
        shutil.rmtree(self._cache / name, ignore_errors=True)


def _status(error: BaseException) -> int:
    """The HTTP status that the server answered with; 0 where it did not. What s3fs makes of it differs from server to server."""
    response = getattr(error.__cause__ or error, "response", None)
    found = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) if isinstance(response, dict) else 0
    return int(found)


def _reason(error: BaseException) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
    return reason.rstrip(".")
