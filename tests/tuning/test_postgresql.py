"""Two tuners on one study in PostgreSQL, one of them killed: the other ends the study. A real server, started on loopback."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from optuna.trial import FrozenTrial, TrialState

from rlbench.tuning.storage import PostgresLocks, open_storage
from tests.tuning.studies import PATIENCE_SECONDS, command, start, trials_in, write_study


def program(name: str) -> str | None:
    """Where a program of the server is: on the path, or where Debian's packages put it."""
    packaged = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(packaged[-1]) if packaged else None)


pytestmark = pytest.mark.skipif(
    program("postgres") is None or program("initdb") is None,
    reason="no PostgreSQL server (postgres, initdb) is installed here",
)


def unprivileged() -> str | None:
    """Whom the server runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of an empty server, which ends with the tests."""
    import tempfile

    user = unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="rlbench-postgres-"))
    if user is not None:
        shutil.chown(folder, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    initdb = [program("initdb"), "-D", str(folder / "data"), "-U", "tuner", "--auth=trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(initdb, check=True, capture_output=True, user=user, cwd="/")
    options = [
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        f"port={port}",
        "-c",
        "unix_socket_directories=",
        "-c",
        "fsync=off",
    ]
    with open(folder / "log", "w") as log:
        running = subprocess.Popen(
            [program("postgres"), "-D", str(folder / "data"), *options], stdout=log, stderr=log, user=user, cwd="/"
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(host="127.0.0.1", port=port, user="tuner", dbname="postgres", connect_timeout=1).close()
                break
            except psycopg.OperationalError:  # not listening yet, or "the database system is starting up"
                assert running.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)  # a poll of the server, not a guess of how long it takes
        yield f"postgresql://tuner@127.0.0.1:{port}/postgres"
    finally:
        running.send_signal(signal.SIGINT)  # a fast shutdown
        running.wait(60)
        shutil.rmtree(folder)


def with_driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def test_advisory_locks_end_with_their_connection(server: str) -> None:
    storages = [open_storage(server) for _ in range(2)]
    one, other = (PostgresLocks(storage, "tiny") for storage in storages)  # type: ignore[arg-type]
    with other.live("tuner-0"):
        look_at(one, other)
    for storage in storages:
        storage.remove_session()
        storage.engine.dispose()  # type: ignore[attr-defined]


def look_at(one: PostgresLocks, other: PostgresLocks) -> None:
    with one.live("tuner-1"):
        assert one.is_alive("tuner-1")
        assert other.is_alive("tuner-1")
        assert not other.is_alive("tuner-2")
        with one.turn(lambda: False), pytest.raises(KeyboardInterrupt), other.turn(lambda: True):
            pass
        with other.turn(lambda: True):
            pass
    assert not other.is_alive("tuner-1")


@pytest.mark.slow
def test_two_tuners_on_one_study_one_killed(server: str, tmp_path: Path) -> None:
    write_study(tmp_path)

    def trials() -> list[FrozenTrial]:
        try:
            return trials_in(with_driver(server))
        except Exception:  # the tables are being made
            return []

    # Each with a store of its own, as on two machines: all that they share is the server.
    tuners = [
        start(command(tmp_path, tmp_path / store, f"storage={server}", "trials=10")) for store in ("one", "other")
    ]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len({trial.user_attrs.get("owner") for trial in trials()}) < 2:
        assert tuners[0].poll() is None, tuners[0].communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)  # a poll of the study
    os.killpg(tuners[0].pid, signal.SIGKILL)
    tuners[0].communicate()
    out, err = tuners[1].communicate(timeout=PATIENCE_SECONDS)
    assert tuners[1].returncode == 0, err
    ended = trials()
    assert [trial.number for trial in ended] == list(range(10))
    assert {trial.state for trial in ended} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert "optimism gap" in out
