"""Ray clusters of several nodes in this machine for the tests; and their loss."""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NODE = {"num_cpus": 2, "object_store_memory": 80_000_000, "include_dashboard": False}


@contextmanager
def cluster_of(num_nodes: int, **system: Any) -> Iterator[Any]:
    """A cluster whose head takes no workers, and so many nodes of two CPUs. system: settings of Ray's own."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}  # as nice as the tests, and not nicer
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "_system_config": system})
    try:
        for _ in range(num_nodes):
            cluster.add_node(**NODE)
        yield cluster
    finally:
        cluster.shutdown()


def lose(cluster: Any, node: Any) -> None:
    """A node and all that runs on it is gone at once, as when its power is cut."""
    tell(processes_of(node), signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def processes_of(node: Any) -> list[int]:
    """The numbers of all that runs on a node."""
    (raylet,) = node.all_processes["raylet"]
    return [raylet.process.pid, *_descendants(raylet.process.pid)]


def tell(processes: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those of these that are still there."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _descendants(process: int) -> list[int]:
    found = []
    for path in Path("/proc", str(process), "task").glob("*/children"):
        for child in path.read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found
