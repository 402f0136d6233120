"""When workers die in vain: how often, without anything that they do being stored on the way.

A worker that a cluster takes away, or whose node is lost, has usually stored something; one that a run kills has not.
"""

from rlbench.places import Place
from rlbench.runner.worker import Round
from rlbench.store import Store

MAX_CRASHES = (
    2  # how often a round may lose its worker, or a worker end without any round, with nothing stored in between
)


class Deaths:
    """Counts them, by round, and by worker where one had no round."""

    def __init__(self, root: Place) -> None:
        self._root = root
        self._counted: dict[str, tuple[int, tuple[int, int]]] = {}

    def count(self, worker: int, order: Round | None) -> int:
        """How often this has happened, with this time, since something was stored."""
        key, stored = _key(worker, order), self._stored(order)
        times, before = self._counted.get(key, (0, (0, 0)))
        times = 1 if stored > before else times + 1
        self._counted[key] = times, max(stored, before)
        return times

    def forgive(self, worker: int, order: Round) -> None:
        """A worker has done a round."""
        self._counted.pop(_key(worker, None), None)
        self._counted.pop(_key(worker, order), None)

    def _stored(self, order: Round | None) -> tuple[int, int]:
        """Of the runs of a round, how many have ended, and the steps of the others."""
        store = Store.peek(self._root)
        if store is None or order is None:
            return 0, 0
        ids, steps = {run.run_id for run in order.runs}, store.progress()
        return len(ids & store.final_runs()), sum(steps.get(run_id, 0) for run_id in ids)


def _key(worker: int, order: Round | None) -> str:
    return f"worker {worker}" if order is None else order.runs[0].run_id
