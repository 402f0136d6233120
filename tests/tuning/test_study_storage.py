"""Where a study is kept: storages that cannot be reached, and locks that end with their process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from rlbench.errors import ConfigError, RlbenchError
from rlbench.tuning.masking import without_secrets
from rlbench.tuning.storage import FileLocks, _with_driver, answering, default_url, file_of, locks_of, open_storage
from tests.tuning.studies import request_of

HOLDER = """
import sys, pathlib
from rlbench.tuning.storage import FileLocks
locks = FileLocks(pathlib.Path(sys.argv[1]))
with locks.live(sys.argv[2]), locks.turn(lambda: False):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("sqlite:////nowhere/at/all/optuna.db", "no folder /nowhere/at/all"),
        ("journal:/nowhere/at/all/optuna.log", "no folder /nowhere/at/all"),
        ("postgresql://tuner:secret@127.0.0.1:1/studies", "cannot be reached"),
        ("oracel://x", "cannot be reached"),
        ("not a url", "cannot be reached"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_one_line(url: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_storage(url)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_text("no database at all, but long enough to be looked at as one" * 20)
    with pytest.raises(ConfigError, match="cannot be reached"):
        open_storage(f"sqlite:///{tmp_path}/optuna.db")


def test_the_file_behind_a_url() -> None:
    assert file_of("sqlite:////a/b.db") == Path("/a/b.db")
    assert file_of("journal:/a/b.log") == Path("/a/b.log")
    assert file_of("postgresql://host/db") is None
    assert file_of(default_url(Path("/results"))) == Path("/results/studies/optuna.db")


def test_two_tuners_that_write_to_one_file_have_the_same_locks(tmp_path: Path) -> None:
    url = f"journal:{tmp_path}/optuna.log"
    one, other = (locks_of(open_storage(url), url, "tiny", tmp_path / store) for store in ("a", "b"))
    with one.live("tuner-1"):
        assert other.is_alive("tuner-1")
    assert not other.is_alive("tuner-1")


def test_a_lock_ends_with_its_process_however_it_ends(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), "tuner-1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert locks.is_alive("tuner-1")
    assert not locks.is_alive("tuner-2")
    with pytest.raises(KeyboardInterrupt), locks.turn(lambda: True):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    assert not locks.is_alive("tuner-1")
    with locks.turn(lambda: True):
        pass


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_two_paths_to_one_file_have_the_same_locks(tmp_path: Path, kind: str) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    head = "sqlite:///" if kind == "sqlite" else "journal:"
    urls = [f"{head}{tmp_path}/{folder}/optuna.db" for folder in ("real", "link")]
    one, other = (locks_of(open_storage(url), url, "tiny", tmp_path) for url in urls)
    with one.live("tuner-1"):
        assert other.is_alive("tuner-1")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_is_known_by_its_dialect_however_it_is_spelled(scheme: str, tmp_path: Path) -> None:
    import sqlalchemy

    url = f"{scheme}://tuner@127.0.0.1:1/studies"
    storage = object.__new__(RDBStorage)  # no server is needed to know which one it would be
    storage.engine = sqlalchemy.create_engine(_with_driver(url))
    with pytest.raises(sqlalchemy.exc.OperationalError):  # it asks the server for its locks
        locks_of(storage, url, "tiny", tmp_path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://tuner:hidden@host/db", "postgresql://tuner:***@host/db"),
        ("postgres://:hidden@host:5432/db", "postgres://:***@host:5432/db"),
        ("postgresql+psycopg://tuner:hid@den/hidden@host/db", "postgresql+psycopg://tuner:***@host/db"),
        ("postgresql://host/db?user=u&password=hidden&x=1", "postgresql://host/db?user=u&password=***&x=1"),
        ("mysql://u@host/db?sslkey=hidden", "mysql://u@host/db?sslkey=***"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("postgresql://tuner@host/db", "postgresql://tuner@host/db"),
        ("journal:/a/b.log", "journal:/a/b.log"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str, tmp_path: Path) -> None:
    assert without_secrets(url) == shown
    request = request_of(tmp_path, f"storage={url}")
    assert request.storage == url
    assert f"storage={shown}" in request.argv
    assert "hidden" not in " ".join(request.argv)


def test_a_storage_that_is_lost_is_one_line() -> None:
    import sqlalchemy

    for error in (
        StorageInternalError("lost"),
        sqlalchemy.exc.OperationalError("x", {}, OSError("gone")),
        OSError("x"),
    ):
        with pytest.raises(RlbenchError, match="does not answer any more") as caught, answering():
            raise error
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code != 0


def test_sqlite_writes_ahead(tmp_path: Path) -> None:
    import sqlalchemy

    storage = open_storage(f"sqlite:///{tmp_path}/optuna.db")
    assert isinstance(storage, RDBStorage)
    with storage.engine.connect() as connection:
        told = [
            connection.execute(sqlalchemy.text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")
        ]
    assert told == ["wal", 1]
    storage.engine.dispose()
