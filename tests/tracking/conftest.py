"""Stores, followers and a W&B server for the tests of tracking."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from follower_processes import Followers
from openwandb import OpenWandb, find_openwandb
from tracking_toy import ToyStore


@pytest.fixture
def toy(tmp_path: Path, request: pytest.FixtureRequest) -> ToyStore:
    """Three runs that nobody has trained yet; the test's name is part of what they are, and so of their ids."""
    return ToyStore(tmp_path / "store", salt=request.node.name)


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition that another process brings about; fails after a while."""

    def wait(condition: Callable[[], Any], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    return wait


@pytest.fixture
def followers() -> Iterator[Followers]:
    found = Followers()
    yield found
    for process in found.started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def openwandb() -> Path:
    """The server's executable."""
    return find_openwandb()


@pytest.fixture
def new_server(openwandb: Path, tmp_path: Path) -> Iterator[OpenWandb]:
    """A server of the test's own that has not been started yet."""
    server = OpenWandb(openwandb, tmp_path / "server")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def server(openwandb: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenWandb]:
    """The server that most tests share; their runs have different ids."""
    server = OpenWandb(openwandb, tmp_path_factory.mktemp("openwandb"))
    server.start()
    yield server
    server.stop()
