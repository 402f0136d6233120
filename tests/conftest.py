"""The default suite runs the engine eagerly and on one thread, as a worker does; compiling is tested in programs of its own."""

import fcntl
import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["RLBENCH_COMPILE"] = "0"
os.environ["RLBENCH_CHECK_EXACT"] = "0"  # tracing costs more than a short run; the exactness tests do it

import torch

from rlbench.config.launchers import LAUNCHERS
from rlbench.lanes.fast.compiling import prepare_process
from tests import object_server
from tests.runner.commands import SMALL, SMALL_UNIFORM, run

# Tests are rewritten by pytest and compiled, and so is the package in every program that they start: once, and not each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A store waits for the disk at each commit, and the tests make thousands: they take place in memory where there is enough of it.
MEMORY = Path("/dev/shm")
if (
    os.access(MEMORY, os.W_OK)
    and shutil.disk_usage(MEMORY).free > 4 << 30
    and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC  # tests write programs and run them
):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

prepare_process()
PROCESSES, THREADS = LAUNCHERS["local"], ("tests.runner.thread_workers:ThreadLauncher", None)


# Files that take half a minute and more. They begin first, so that no worker is left alone with one of them at the end.
LONG_FILES = (
    "test_tune_command.py", "test_crash_and_resume.py", "test_same_digests.py", "test_play.py", "test_commands.py",
    "test_mirror_online.py", "test_mirror_offline.py", "test_recipe_updates.py", "test_validation.py", "test_learning.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG_FILES)


def pytest_collection_finish() -> None:
    """What has been imported stays: it need not be looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """Denormal numbers as the standard has them, whatever the test before did: Hypothesis refuses to draw floats without them."""
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def coarse_pictures() -> None:
    """Nobody looks at the PNG files of a test's report, and their points take as long as all the rest of it."""
    canvas: Any = sys.modules.get("rlbench.reports.canvas")  # imported by the first report: it takes half a second
    if canvas is not None:
        canvas.DPI = 30


@pytest.fixture(scope="session", autouse=True)
def worker_threads() -> Iterator[None]:
    """Commands that a test calls in its own process train in threads of it: a process costs seconds before its first step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LAUNCHERS, "local", THREADS)
        yield


@pytest.fixture
def worker_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test of what is only so in processes."""
    monkeypatch.setitem(LAUNCHERS, "local", PROCESSES)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 on loopback."""
    object_server.require()
    with object_server.models_read_once(), object_server.serving() as address:
        yield address


@pytest.fixture
def bucket(s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new bucket there, with credentials in the environment, and a cache and a working folder of one's own."""
    for name, value in (object_server.KEYS | {"AWS_ENDPOINT_URL": s3_server}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return object_server.new_bucket(s3_server)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the experiments `small` (soft_huber) and `floor` (random), of three seeds each. Who changes it takes a copy."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of all workers, of which the first trains
    with (shared / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        store = shared / "trained"
        if not store.exists():
            for words in (
                ("variant=soft_huber", *SMALL, "name=small"),
                ("variant=random", *SMALL_UNIFORM, "name=floor"),
            ):
                code, _, err = run(shared / "in-training", "seeds=3", *words)
                assert code == 0, err
            (shared / "in-training").rename(store)
    return store
