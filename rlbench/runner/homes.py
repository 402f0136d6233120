"""Which worker has which run of a study: a run stays where its lane is; a new one goes to the worker with the least to do."""

from collections.abc import Mapping, Sequence

from rlbench.config.plan import PlannedRun
from rlbench.runner.plan import expected_seconds
from rlbench.runner.worker import Round


class Homes:
    """The homes of runs between rounds."""

    def __init__(self) -> None:
        self._homes: dict[str, int] = {}

    def rounds(
        self,
        num_workers: int,
        groups: Sequence[Sequence[PlannedRun]],
        advance: Mapping[str, int],
        prune: Mapping[str, int],
    ) -> dict[int, Round]:
        """The round of each worker that has something to do. `groups`: every run under way, those that should share a worker together."""
        runs = {run.run_id: run for group in groups for run in group}
        self._homes = {run_id: home for run_id, home in self._homes.items() if run_id in runs}
        loads = [0.0] * num_workers
        for run_id, home in self._homes.items():
            loads[home] += expected_seconds(runs[run_id].run)
        for group in groups:
            new = [run for run in group if run.run_id not in self._homes]
            # One trial alone is spread over all workers; of several, each stays in one piece.
            for share in [[run] for run in new] if len(groups) < num_workers else [new]:
                home = min(range(num_workers), key=loads.__getitem__)
                for run in share:
                    self._homes[run.run_id] = home
                    loads[home] += expected_seconds(run.run)
        named: dict[int, list[PlannedRun]] = {}
        for run_id in {**advance, **prune}:
            named.setdefault(self._homes[run_id], []).append(runs[run_id])
        return {
            home: Round(
                {run.run_id: advance[run.run_id] for run in own if run.run_id in advance},
                {run.run_id: prune[run.run_id] for run in own if run.run_id in prune},
                own,
            )
            for home, own in sorted(named.items())
        }
