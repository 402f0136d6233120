"""Workers on a Ray cluster of two nodes: the contract of workers, equal digests, and nodes that are lost."""

import random
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlbench.config.launchers import LauncherSettings
from rlbench.errors import ConfigError
from rlbench.runner.launchers import launched
from rlbench.runner.worker import Worker
from rlbench.store import Store, load
from rlbench.store.leases import Watch
from tests.runner.commands import SMALL, digests, finish, progress, run, start, wait_until
from tests.runner.ray_clusters import NODE, cluster_of, lose, processes_of, tell
from tests.runner.worker_contract import RUNS, WorkerContract

ray = pytest.importorskip("rlbench.runner.ray", exc_type=ImportError).ray
EXPERIMENT = (
    "variant=hard_mse,soft_huber",
    "seeds=4",
    "steps=1200",
    *SMALL[1:],
    "checkpoint_seconds=0.2",
    "name=small",
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with cluster_of(2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def alone() -> dict[str, str]:
    """The digests of the runs, each trained as the only lane."""
    from rlbench.verify import digest_alone

    return {run.run_id: digest_alone(run.run) for run in RUNS}


@pytest.fixture(scope="module")
def by_processes(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], str]:
    store = tmp_path_factory.mktemp("local") / "store"
    code, _, err = run(store, *EXPERIMENT)
    assert code == 0, err
    return digests(store)


@pytest.mark.slow
class TestRay(WorkerContract):
    @pytest.fixture(autouse=True)
    def connected(self, cluster: Any) -> Iterator[None]:
        self.address = cluster.address
        yield
        ray.shutdown()

    def new_launcher(self) -> Any:
        from rlbench.runner.ray import RayLauncher

        return RayLauncher(LauncherSettings(kind="ray", address=self.address))

    def crash(self, worker: Worker) -> None:
        ray.kill(worker.actor)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_two_nodes_give_the_digests_of_one_machine(
    cluster: Any, by_processes: dict[tuple[str, int], str], tmp_path: Path
) -> None:
    words = (*EXPERIMENT, "launcher=ray", f"launcher.address={cluster.address}", "launcher.cpus=0.5")
    code, out, _ = run(tmp_path / "store", *words, "workers=auto", "--dry-run")
    assert code == 0
    assert "8 workers of ray" in out  # two nodes of two CPUs
    assert not (tmp_path / "store").exists()
    code, _, err = run(tmp_path / "store", *words, "workers=4")
    assert code == 0, err
    assert digests(tmp_path / "store") == by_processes
    assert set(load(tmp_path / "store").runs["launcher"]) == {"ray"}
    assert not ray.is_initialized()


def lose_at(share: float, store: Path, cluster: Any, node: Any, ended: threading.Event) -> None:
    """Lose a node as soon as this share of all steps is stored."""
    if is_reached(share, store, ended):
        lose(cluster, node)


def is_reached(share: float, store: Path, ended: threading.Event) -> bool:
    """Wait until this share of all steps is stored; False where the command ends before."""
    while not ended.wait(0.02):
        if (store / "format.json").exists():
            known = Store.open(store, create=False)
            if sum(known.progress().values()) + 1200 * len(known.final_runs()) >= share * 8 * 1200:
                return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_node_that_is_lost_loses_no_run_and_doubles_no_row(
    cluster: Any, by_processes: dict[tuple[str, int], str], tmp_path: Path, seed: int
) -> None:
    store, ended, draw = tmp_path / "store", threading.Event(), random.Random(seed)
    node = draw.choice(sorted(cluster.worker_nodes, key=lambda node: node.node_id))
    watcher = threading.Thread(target=lose_at, args=(draw.uniform(0.02, 0.6), store, cluster, node, ended))
    watcher.start()
    try:
        code, out, err = run(store, *EXPERIMENT, "launcher=ray", f"launcher.address={cluster.address}", "workers=4")
    finally:
        ended.set()
        watcher.join()
        cluster.add_node(**NODE)
    assert code == 0, err
    assert "died" in err
    assert "raylet" not in out  # which is for results
    assert digests(store) == by_processes
    no_row_is_double(store)


def no_row_is_double(store: Path) -> None:
    results = load(store)
    assert not results.episodes.duplicated(["run_id", "episode"]).any()
    assert not results.evaluations.duplicated(["run_id", "env_steps", "episode"]).any()
    assert not results.diagnostics.duplicated(["run_id", "env_steps"]).any()
    outcomes = Store.open(store).read_rows("outcomes")["run_id"].to_pylist()
    assert sorted(outcomes) == sorted(results.runs["run_id"])


def stop_until_fenced(share: float, store: Path, node: Any, ended: threading.Event, fenced: list[str]) -> None:
    """Stop all of a node, and let it go on once others may write what its trainers held: first these, then their node."""
    if not is_reached(share, store, ended):
        return
    processes = processes_of(node)
    tell(processes, signal.SIGSTOP)
    try:
        known = Store.open(store, create=False)
        watch = Watch(known.layout.objects)
        owners = {
            name: owner.process.number
            for name in known.index.read().writers
            if (owner := watch.owner(name)) and owner.process
        }
        own = {name: number for name, number in owners.items() if number in processes}
        while own and not ended.wait(0.02):
            writers = known.index.read().writers
            if all(name not in writers or writers[name].is_fenced for name in own):
                fenced += own
                tell(own.values(), signal.SIGCONT)
                while any(is_there(number) for number in own.values()) and not ended.wait(0.02):
                    pass  # until what they publish next is refused, which ends them
                return
    finally:
        tell(processes, signal.SIGCONT)


def is_there(process: int) -> bool:
    try:
        return Path("/proc", str(process), "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_node_that_stood_still_for_longer_than_its_lease_publishes_nothing(
    by_processes: dict[tuple[str, int], str], tmp_path: Path, seed: int
) -> None:
    soon = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300, "health_check_timeout_ms": 1000}
    store, ended, draw, fenced = tmp_path / "store", threading.Event(), random.Random(seed), list[str]()
    with cluster_of(2, **soon, health_check_failure_threshold=3) as cluster:
        node = draw.choice(sorted(cluster.worker_nodes, key=lambda node: node.node_id))
        watcher = threading.Thread(target=stop_until_fenced, args=(draw.uniform(0.02, 0.5), store, node, ended, fenced))
        watcher.start()
        try:
            words = ("launcher=ray", f"launcher.address={cluster.address}", "workers=4", "lease_seconds=3")
            code, _, err = run(store, *EXPERIMENT, *words)
        finally:
            ended.set()
            watcher.join()
    assert code == 0, err
    assert fenced
    assert digests(store) == by_processes
    no_row_is_double(store)


@pytest.mark.slow
def test_two_launchers_on_one_store_train_each_run_once(cluster: Any, tmp_path: Path) -> None:
    """Ray finds half of the runs held by a local command, trains the others, and waits for those."""
    store, longer = tmp_path / "store", [word for word in EXPERIMENT if not word.startswith(("variant=", "steps="))]
    longer.append("steps=6000")
    beside = start(store, "variant=hard_mse", *longer)
    wait_until(beside, lambda: len(progress(store)) == 4)
    both = ("variant=hard_mse,soft_huber", *longer)
    code, _, err = run(store, *both, "launcher=ray", f"launcher.address={cluster.address}", "workers=2")
    assert code == 0, err
    code, _, err = finish(beside)
    assert code == 0, err
    runs = load(store).runs
    assert set(zip(runs["variant"], runs["launcher"], strict=True)) == {("hard_mse", "local"), ("soft_huber", "ray")}
    assert sorted(Store.open(store).read_rows("starts")["run_id"].to_pylist()) == sorted(runs["run_id"])
    no_row_is_double(store)
    code, _, err = run(tmp_path / "alone", *both)
    assert code == 0, err
    assert digests(store) == digests(tmp_path / "alone")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "127.0.0.1:x"])
def test_an_address_that_does_not_answer_is_named(tmp_path: Path, address: str) -> None:
    words = ("variant=hard_mse", "seeds=1", *SMALL, "launcher=ray", f"launcher.address={address}")
    for more in ((), ("--dry-run",)):
        code, out, err = run(tmp_path / "store", *words, *more)
        assert (code, out) == (2, "")
        assert f"launcher.address={address}: no Ray cluster answers there" in err
        assert len(err.strip().splitlines()) == 1
        assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_a_node_that_is_lost_but_still_listed_is_passed_over(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ray.init(address=cluster.address, logging_level="ERROR")
    try:
        listed = ray.nodes()
        gone = {**next(one for one in listed if one["Resources"].get("CPU")), "NodeID": "0f" * 28}
        monkeypatch.setattr(ray, "nodes", lambda: [gone, *listed])
        with launched(Asked(LauncherSettings(kind="ray", address=cluster.address))) as launcher:
            launcher.check()
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_a_server_that_is_no_cluster_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        code, out, err = run(tmp_path / "store", *EXPERIMENT, "launcher=ray", f"launcher.address={address}")
    assert (code, out) == (2, "")
    assert f"launcher.address={address}: cannot join a Ray cluster there" in err
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_a_node_with_another_version_is_named(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    from rlbench.runner import versions

    monkeypatch.setattr(versions, "package_version", lambda: "0.0.1")  # of this process; the nodes have their own
    request.addfinalizer(ray.shutdown)
    with (
        pytest.raises(
            ConfigError, match=rf"{socket.gethostname()} has rlbench .* has 0\.0\.1: install the same version"
        ),
        launched(Asked(LauncherSettings(kind="ray", address=cluster.address))),
    ):
        pass


class Asked:
    workers = None

    def __init__(self, launcher: LauncherSettings) -> None:
        self.launcher = launcher
