"""Where Optuna keeps a study, and whose turn it is to change it.

In: the text of `storage=`. Out: an Optuna storage, or one `ConfigError` where it cannot be reached; and locks on the study, which the
kernel or the database server lets go of when their process ends, however it ends.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from rlbench.errors import ConfigError, RlbenchError
from rlbench.tuning import quiet  # noqa: F401

LOCK_POLL_SECONDS = 0.1
MOST_MEETINGS = 10
JOURNAL = "journal:"
SQLITE = "sqlite:///"
POSTGRESQL = "postgresql"


class Locks(Protocol):
    """Locks on one study."""

    def turn(self, should_stop: Callable[[], bool]) -> contextlib.AbstractContextManager[None]:
        """Be the only tuner that changes the study. Raises KeyboardInterrupt where waiting for that was stopped."""

    def live(self, tuner: str) -> contextlib.AbstractContextManager[None]:
        """Be seen as alive under this name."""

    def is_alive(self, tuner: str) -> bool:
        """Whether another process holds this name."""


def default_url(store: Path) -> str:
    """The SQLite file in the store."""
    return f"{SQLITE}{store.absolute()}/studies/optuna.db"


def file_of(url: str) -> Path | None:
    """The file behind a storage, where it is one."""
    if url.startswith(JOURNAL):
        return Path(url.removeprefix(JOURNAL)).expanduser().absolute()
    if url.startswith(SQLITE) and url != SQLITE:
        return Path(url.removeprefix(SQLITE)).expanduser().absolute()
    return None


def open_storage(url: str) -> BaseStorage:
    """The storage of this URL. Raises ConfigError, one line, where the URL is none or nobody answers there."""
    path = file_of(url)
    if path is not None and not path.parent.is_dir():
        raise ConfigError(f"storage={url} cannot be reached: there is no folder {path.parent}")
    try:
        if url.startswith(JOURNAL):
            assert path is not None
            return JournalStorage(JournalFileBackend(str(path)))
        # Waiting for a lock of SQLite instead of failing; several tuners write to one file.
        options: dict[str, Any] = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
        if not url.startswith("sqlite"):
            options = {"connect_args": {"connect_timeout": 10}, "pool_pre_ping": True}
        return _made_together(lambda: RDBStorage(_with_driver(url), engine_kwargs=options))
    except Exception as error:  # SQLAlchemy, its drivers, the file system and Optuna each have their own
        raise ConfigError(f"storage={_without_password(url)} cannot be reached ({_one_line(error)})") from None


def _made_together(make: Callable[[], RDBStorage]) -> RDBStorage:
    """Open a database, again where another tuner has made the same tables in the same moment."""
    import sqlalchemy

    for _ in range(MOST_MEETINGS):
        try:
            return make()
        except sqlalchemy.exc.DatabaseError as error:
            if not any(word in str(error).lower() for word in ("already exists", "duplicate", "unique")):
                raise
            time.sleep(LOCK_POLL_SECONDS)
    return make()


def _with_driver(url: str) -> str:
    """PostgreSQL through psycopg 3, which rlbench[postgres] brings, unless the URL names a driver."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg{separator}{rest}" if scheme in ("postgresql", "postgres") else url


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    if not at or head.count(":") < 2:
        return url
    return f"{head.rpartition(':')[0]}:***@{tail}"


def _one_line(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__ or error
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."


def locks_of(storage: BaseStorage, url: str, study: str, store: Path) -> Locks:
    """The locks of a study: at the server for PostgreSQL, beside the file for a file, otherwise in the store."""
    if isinstance(storage, RDBStorage) and url.startswith(POSTGRESQL):
        return PostgresLocks(storage, study)
    path = file_of(url)
    folder = path.with_name(f"{path.name}.locks") if path is not None else store / "studies" / "locks"
    return FileLocks(folder / study)


class FileLocks:
    """Files held with flock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def turn(self, should_stop: Callable[[], bool]) -> Iterator[None]:
        file = self._open("turn")
        try:
            while not _try_flock(file, fcntl.LOCK_EX):
                _wait(should_stop)
            yield
        finally:
            os.close(file)

    @contextlib.contextmanager
    def live(self, tuner: str) -> Iterator[None]:
        file = self._open(tuner)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            with contextlib.suppress(OSError):
                (self._folder / tuner).unlink(missing_ok=True)
            os.close(file)

    def is_alive(self, tuner: str) -> bool:
        try:
            file = os.open(self._folder / tuner, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _try_flock(file, fcntl.LOCK_SH)
        finally:
            os.close(file)

    def _open(self, name: str) -> int:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise ConfigError(f"cannot lock the study in {self._folder}: {error.strerror or error}") from None


def _try_flock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class PostgresLocks:
    """Advisory locks of one session of the server: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS."""

    def __init__(self, storage: RDBStorage, study: str) -> None:
        # A connection of its own for as long as the process lives: its end is what lets the locks go.
        self._connection = storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._study = study
        self._own: set[str] = set()

    @contextlib.contextmanager
    def turn(self, should_stop: Callable[[], bool]) -> Iterator[None]:
        while not self._ask("pg_try_advisory_lock", "turn"):
            _wait(should_stop)
        try:
            yield
        finally:
            self._ask("pg_advisory_unlock", "turn")

    @contextlib.contextmanager
    def live(self, tuner: str) -> Iterator[None]:
        self._ask("pg_try_advisory_lock", tuner)
        self._own.add(tuner)
        try:
            yield
        finally:
            self._own.discard(tuner)
            self._ask("pg_advisory_unlock", tuner)
            self._connection.close()

    def is_alive(self, tuner: str) -> bool:
        if tuner in self._own:
            return True
        free = self._ask("pg_try_advisory_lock", tuner)
        if free:
            self._ask("pg_advisory_unlock", tuner)
        return not free

    def _ask(self, function: str, name: str) -> bool:
        import sqlalchemy

        question = sqlalchemy.text(f"select {function}(hashtextextended(:name, 0))")
        try:
            return bool(self._connection.execute(question, {"name": f"rlbench {self._study} {name}"}).scalar())
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise RlbenchError(
                f"the storage does not answer any more ({_one_line(error)}); the same command goes on"
            ) from None


def _wait(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise KeyboardInterrupt
    time.sleep(LOCK_POLL_SECONDS)
