"""Where Optuna keeps a study, and whose turn it is to change it.

In: the text of `storage=`. Out: an Optuna storage, or one `ConfigError` where it cannot be reached; and locks on the study, which the
kernel or the database server lets go of when their process ends, however it ends.
"""

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from rlbench.config.arguments import user_path
from rlbench.errors import ConfigError, RlbenchError
from rlbench.places import Place, beside
from rlbench.tuning.masking import MASK, secrets_of, without_secrets
from rlbench.tuning.optuna_names import (
    BaseStorage,
    JournalFileBackend,
    JournalStorage,
    RDBStorage,
    StorageInternalError,
)

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


def default_url(store: Place) -> str:
    """The SQLite file in the store, or beside one that is no folder."""
    return f"{SQLITE}{beside(store).absolute()}/studies/optuna.db"


def file_of(url: str) -> Path | None:
    """The file behind a storage, where it is one, whatever links lead to it."""
    if url.startswith(JOURNAL):
        return _real(url.removeprefix(JOURNAL))
    scheme, separator, rest = url.partition("://")
    name, _, query = rest.removeprefix("/").partition("?")
    if scheme.partition("+")[0] != "sqlite" or not separator or name in ("", ":memory:"):
        return None
    return _real(name.removeprefix("file:") if "uri=" in query else name)


def _real(name: str) -> Path:
    return Path(os.path.realpath(user_path("storage", name)))


def open_storage(url: str) -> BaseStorage:
    """The storage of this URL. Raises ConfigError, one line, where the URL is none or nobody answers there."""
    path = file_of(url)
    if path is not None and not path.parent.is_dir():
        raise ConfigError(f"storage={without_secrets(url)} cannot be reached: there is no folder {path.parent}")
    try:
        if url.startswith(JOURNAL):
            assert path is not None
            return JournalStorage(JournalFileBackend(str(path)))
        # Waiting for a lock of SQLite instead of failing; several tuners write to one file.
        options: dict[str, Any] = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
        if not url.startswith("sqlite"):
            options = {"connect_args": {"connect_timeout": 10}, "pool_pre_ping": True}
        made = _made_together(lambda: RDBStorage(_with_driver(url), engine_kwargs=options))
        if path is not None:
            _write_ahead(made)
        return made
    except Exception as error:  # SQLAlchemy, its drivers, the file system and Optuna each have their own
        text = _one_line(error)
        for secret in secrets_of(url):
            text = text.replace(secret, MASK)
        raise ConfigError(f"storage={without_secrets(url)} cannot be reached ({text})") from None


def _write_ahead(storage: RDBStorage) -> None:
    """Readers and a writer at once, and no sync for each of the many small changes; a killed process loses nothing.

    A machine that loses power may lose the last changes, from which the same command goes on: https://www.sqlite.org/wal.html
    """
    import sqlalchemy

    @sqlalchemy.event.listens_for(storage.engine, "connect")
    def connected(connection: Any, record: object) -> None:
        with contextlib.suppress(sqlite3.OperationalError):  # another tuner is changing the mode of the file right now
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    storage.remove_session()
    storage.engine.dispose()  # the connections that were made before
    with storage.engine.connect():  # which fails here where it fails at all
        pass


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Make one RlbenchError, one line, of a storage that does not answer any more."""
    import sqlalchemy

    try:
        yield
    except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        raise RlbenchError(
            f"the storage does not answer any more ({_one_line(error)}); the same command goes on"
        ) from None


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


def _one_line(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__ or error
    cause = getattr(cause, "orig", None) or cause  # the driver's own words, without the statement and where to read on
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."


def locks_of(storage: BaseStorage, url: str, study: str, store: Place) -> Locks:
    """The locks of a study: at the server for PostgreSQL, beside the file for a file, otherwise in the store, or beside it."""
    if isinstance(storage, RDBStorage) and storage.engine.dialect.name == POSTGRESQL:
        return PostgresLocks(storage, study)
    path = file_of(url)
    folder = path.with_name(f"{path.name}.locks") if path is not None else beside(store) / "studies" / "locks"
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
