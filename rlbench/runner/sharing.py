"""Which worker does which round next: its own in their order, and then what another one has not begun.

In: rounds by the number of the worker that they are meant for. Out: the next round for a worker that has nothing to do. Workers that are
not there yet, or slower than expected, or lost, lose what they have not begun to those that are; a round whose lanes are in a living
worker stays with it.
"""

from collections import deque
from collections.abc import Mapping, Sequence

from rlbench.config.plan import PlannedRun
from rlbench.runner.plan import expected_seconds
from rlbench.runner.worker import THE_END, Round, RoundDone


class Homes:
    """In which worker the lane of a run waits for its next round."""

    def __init__(self) -> None:
        self._homes: dict[str, int] = {}

    def __getitem__(self, run_id: str) -> int | None:
        return self._homes.get(run_id)

    def settle(self, worker: int, order: Round, done: RoundDone) -> None:
        """A worker has done a round: it keeps the lanes of those runs that go on."""
        for run in order.runs:
            target = order.advance.get(run.run_id, THE_END)
            if target == THE_END or run.run_id in done.ended or run.run_id in done.refused:
                self._homes.pop(run.run_id, None)
            else:
                self._homes[run.run_id] = worker

    def forget(self, worker: int) -> None:
        """A worker has died, and its lanes with it."""
        self._homes = {run_id: home for run_id, home in self._homes.items() if home != worker}


class Waiting:
    """The rounds that nobody has begun."""

    def __init__(self, rounds: Mapping[int, Sequence[Round]], homes: Homes) -> None:
        self._queues = {worker: deque(own) for worker, own in rounds.items()}
        self._homes = homes

    def __bool__(self) -> bool:
        return any(self._queues.values())

    def put_back(self, worker: int, order: Round) -> None:
        """A round that was begun, and is to be done again."""
        self._queues.setdefault(worker, deque()).appendleft(order)

    def next_of(self, worker: int) -> Round | None:
        """What a worker does next: its own, else the last of whoever has the most left; None where there is nothing for it."""
        if own := self._queues.get(worker):
            return own.popleft()
        others = sorted(self._queues.items(), key=lambda item: -sum(map(_seconds, item[1])))
        for owner, queue in others:
            for place in reversed(range(len(queue))):
                if not any(self._homes[run.run_id] == owner for run in queue[place].runs):
                    order = queue[place]
                    del queue[place]
                    return order
        return None


def _seconds(order: Round) -> float:
    return sum(expected_seconds(run.run) for run in order.runs)


def study_rounds(
    homes: Homes,
    num_workers: int,
    groups: Sequence[Sequence[PlannedRun]],
    advance: Mapping[str, int],
    prune: Mapping[str, int],
) -> dict[int, list[Round]]:
    """The round of each worker that has something to do in a study: a run stays where its lane is, a new one goes where the least is to do.

    `groups`: every run under way, those that should share a worker together.
    """
    runs = {run.run_id: run for group in groups for run in group}
    placed = {run_id: home for run_id in runs if (home := homes[run_id]) is not None}
    loads = [0.0] * num_workers
    for run_id, home in placed.items():
        loads[home] += expected_seconds(runs[run_id].run)
    for group in groups:
        new = [run for run in group if run.run_id not in placed]
        # One trial alone is spread over all workers; of several, each stays in one piece.
        for share in [[run] for run in new] if len(groups) < num_workers else [new]:
            home = min(range(num_workers), key=loads.__getitem__)
            for run in share:
                placed[run.run_id] = home
                loads[home] += expected_seconds(run.run)
    named: dict[int, list[PlannedRun]] = {}
    for run_id in {**advance, **prune}:
        named.setdefault(placed[run_id], []).append(runs[run_id])
    return {
        home: [
            Round(
                {run.run_id: advance[run.run_id] for run in own if run.run_id in advance},
                {run.run_id: prune[run.run_id] for run in own if run.run_id in prune},
                own,
            )
        ]
        for home, own in sorted(named.items())
    }
