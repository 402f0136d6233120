"""Workers that are actors of a Ray cluster: the one that is named, or one that is started here and ended with the command.

A worker that cannot be reached is taken for dead, which Ray may see differently a little later: the store does not let two write one run.
"""

import math
import os
import pickle
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

# Ray prints its own log of a lost node to stdout, which is for results; who died is told by the pool.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")

import ray
from ray.exceptions import RayError, TaskUnschedulableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rlbench.config.launchers import LauncherSettings
from rlbench.errors import ConfigError, first_line
from rlbench.runner.local import num_cores
from rlbench.runner.remote import NOT_NEEDED, Heard, Relay, import_path, of_elsewhere
from rlbench.runner.versions import difference, versions
from rlbench.runner.worker import Launcher, Message, Round, Worker, WorkerSettings

LISTEN_SECONDS = 1.0  # how long a call waits on the other side for something to be said
CONNECT_SECONDS = 10.0
MOST_LETTERS = 300  # of what Ray says where it cannot be started or joined
VERSIONS_SECONDS = 300.0  # for the slowest node to start a process
STORE_BYTES = 80_000_000  # of Ray's own object store: words are small
QUIET: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}


class RayWorker(Worker):
    """An actor, and a call that waits for what its worker says."""

    def __init__(self, settings: WorkerSettings, options: Mapping[str, Any]) -> None:
        self.actor = _actor(options).remote(of_elsewhere(settings), import_path())
        self.call = self.actor.listen.remote(0.0)
        self._said: deque[Message] = deque()
        self._is_there, self._died = False, ""

    def send(self, order: Round) -> None:
        self.actor.send.remote(pickle.dumps(order))

    def receive(self) -> Message | None:
        if not self._died and ray.wait([self.call], timeout=0)[0]:
            self._hear()
        return self._said.popleft() if self._said else None

    def _hear(self) -> None:
        try:
            heard: Heard = ray.get(self.call)
        except RayError as error:  # its node is lost, it was killed, or it cannot be reached
            self._end(f"{type(error).__name__}: {first_line(error)}")
            return
        self._is_there = True
        self._said.extend(heard.messages())
        if heard.died is not None:
            self._end(heard.died)
        else:
            self.call = self.actor.listen.remote(LISTEN_SECONDS)

    def _end(self, how: str) -> None:
        self._died = how
        ray.kill(self.actor, no_restart=True)

    def stop(self, *, at_once: bool = False) -> None:
        if self._died:
            return
        if at_once or not self._is_there:  # where there was no room for it yet, nobody would hear
            self._end(NOT_NEEDED)
        else:
            self.actor.stop.remote()

    def died(self) -> str | None:
        return self._died if self._died and not self._said else None


class RayLauncher(Launcher):
    """Actors of a cluster."""

    name = "ray"

    def __init__(self, settings: LauncherSettings, workers: int | None = None) -> None:
        self._settings, self._workers, self._is_ours = settings, workers, False
        memory = {} if settings.memory_gb is None else {"memory": int(settings.memory_gb * 1e9)}
        self._options = {"num_cpus": settings.cpus, **memory}

    def check(self) -> None:
        """Connect to the cluster that is named. Raises ConfigError where it does not answer, or a node has other versions."""
        if self._settings.address is not None:
            self._connect()
            _check_nodes(self._settings.cpus)

    def _connect(self) -> None:
        if ray.is_initialized():
            return  # by whoever called this from Python, whose cluster it is
        address = self._settings.address
        with _signals_kept():
            if address is None:
                self._begin()
            else:
                _join(address)
        self._is_ours = True
        self._note_room()

    def _note_room(self) -> None:
        """Say so where no node is large enough: one may still come."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        needed = {"CPU": self._options["num_cpus"], "memory": self._options.get("memory", 0)}
        if not any(all(node.get(name, 0) >= least for name, least in needed.items()) for node in nodes):
            told = ", ".join(f"{least:g} of {name}" for name, least in needed.items() if least)
            print(f"launcher=ray: no node has {told}; waiting for one that has", file=sys.stderr, flush=True)

    def _begin(self) -> None:
        """A cluster of this machine alone, with room for as many workers as were asked for."""
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        cpus = max(num_cores(), (self._workers or 1) * self._settings.cpus)
        try:
            ray.init(address="local", num_cpus=math.ceil(cpus), object_store_memory=STORE_BYTES, **QUIET)
        except Exception as error:
            raise ConfigError(f"launcher=ray: Ray cannot be started here: {_told(error)}") from None

    def room(self) -> int:
        if not ray.is_initialized():
            return max(1, int(num_cores() / self._settings.cpus))
        return max(1, int(ray.cluster_resources().get("CPU", 0) / self._settings.cpus))

    def start(self, settings: WorkerSettings) -> RayWorker:
        self._connect()
        return RayWorker(settings, self._options)

    def wait(self, workers: Sequence[Worker], seconds: float) -> None:
        calls = [one.call for one in workers if isinstance(one, RayWorker) and one.died() is None]
        if calls:
            ray.wait(calls, timeout=seconds)

    def close(self) -> None:
        if self._is_ours:
            ray.shutdown()


def _actor(options: Mapping[str, Any]) -> Any:
    """Its calls wait for words, so that there are several at a time. Where it is lost the pool replaces it, and not Ray."""
    return ray.remote(Relay).options(max_concurrency=4, max_restarts=0, max_task_retries=0, **options)


def _join(address: str) -> None:
    """Raises ConfigError where no cluster answers: Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address != "auto":
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
        except (OSError, ValueError, OverflowError) as error:
            raise ConfigError(f"launcher.address={address}: no Ray cluster answers there ({error})") from None
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")  # tries of 40 s each, of which Ray makes 20
    try:
        ray.init(address=address, **QUIET)
    except Exception as error:
        raise ConfigError(f"launcher.address={address}: cannot join a Ray cluster there: {_told(error)}") from None


def _check_nodes(cpus: float) -> None:
    """Raise ConfigError where a node that has room for a worker has other versions, or tells none."""
    roomy = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= cpus]
    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in roomy}
    asked = {
        ray.remote(versions)
        .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))
        .remote(): host
        for node, host in nodes.items()
    }
    told, late = ray.wait(list(asked), num_returns=len(asked), timeout=VERSIONS_SECONDS)
    for call in told:
        try:
            found = ray.get(call)
        except TaskUnschedulableError:  # a node that is lost is in the list for a while
            continue
        except RayError as error:
            raise ConfigError(f"launcher=ray: {asked[call]} cannot run rlbench: {_last_line(error)}") from None
        if wrong := difference(found, asked[call]):
            raise ConfigError(f"launcher=ray: {wrong}")
    if late:
        raise ConfigError(f"launcher=ray: {asked[late[0]]} has started no process for {VERSIONS_SECONDS:.0f} s")


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:MOST_LETTERS] or type(error).__name__


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1]


@contextmanager
def _signals_kept() -> Iterator[None]:
    """SIGTERM stays what it was: Ray would have it end the process without a commit."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
