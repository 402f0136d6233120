"""Where a study is kept: storages that cannot be reached, and locks that end with their process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rlbench.errors import ConfigError
from rlbench.tuning.storage import FileLocks, default_url, file_of, locks_of, open_storage

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
