"""A worker's work, whoever runs it: rounds in, news and `RoundDone`s out; all its lanes, cohort by cohort.

A stop request ends with a commit. A cohort that raises is tried again in halves, from its last commit, down to the one run that fails
alone; that run is recorded as failed and the others go on.
"""

import socket
import time
import traceback
from collections.abc import Callable, Hashable, Sequence

from rlbench.config.plan import PlannedRun
from rlbench.errors import LeaseLostError, RlbenchError, StoreError, first_line
from rlbench.runner.cohort import Cohort
from rlbench.runner.compile_time import CompileTime, watch_compiler
from rlbench.runner.plan import cohorts
from rlbench.runner.updates import VariantProgress, WorkerUpdate, added
from rlbench.runner.versions import versions
from rlbench.runner.worker import Message, Ready, Round, RoundDone, RunFailed, Said, WorkerFailed, WorkerSettings
from rlbench.store import Finished, Store

IDLE_POLL_SECONDS = 0.3


class Stopped(Exception):  # noqa: N818 (not an error)
    """A stop was asked for, and what was done is committed."""


def serve(
    settings: WorkerSettings,
    receive: Callable[[float], Round | None],
    tell: Callable[[Message], None],
    should_stop: Callable[[], bool],
) -> None:
    """The body of a worker: rounds until a stop. `receive` waits so many seconds for one, and may raise StoreError."""
    from rlbench.lanes.fast.compiling import prepare_process

    prepare_process()
    try:
        store = Store.open(settings.root, say=lambda line: tell(Said(line)))
        own = Cohorts(store, settings, should_stop, tell, watch_compiler(tell))
        tell(Ready(socket.gethostname(), versions()))
        while not should_stop():
            if (order := receive(IDLE_POLL_SECONDS)) is not None:
                tell(own.run(order))
        own.close()
    except Stopped:
        pass
    except LeaseLostError as error:  # the end of this worker, and not of the command: another one takes its place
        tell(Said(str(error)))
    except StoreError as error:
        tell(WorkerFailed(str(error), type(error)))


class Cohorts:
    """All lanes of one worker. What it tells are news of a round under way; its outcome is what `run` returns."""

    def __init__(
        self,
        store: Store,
        settings: WorkerSettings,
        should_stop: Callable[[], bool],
        tell: Callable[[Message], None] = lambda _: None,
        compile_time: CompileTime | None = None,
    ) -> None:
        self.store, self.settings, self.should_stop = store, settings, should_stop
        self._tell, self._compile_time = tell, compile_time
        self._cohorts: dict[Hashable, list[Cohort]] = {}

    def run(self, order: Round) -> RoundDone:
        """Do one round. Raises Stopped, and StoreError where the store cannot be written."""
        begin, errors = time.monotonic(), dict[str, str]()
        for share in cohorts(order.runs):
            self._advance(share, order, errors)
        named = {run.run_id for run in order.runs}
        done = RoundDone(
            points={run_id: dict(own) for one in self.all for run_id, own in one.points.items() if run_id in named},
            ended={run_id: how for one in self.all for run_id, how in one.statuses.items() if run_id in named}
            | dict.fromkeys(errors, "failed"),
            errors=errors,
            refused={run_id: why for one in self.all for run_id, why in one.refused.items()},
            lane_steps=sum(one.env_steps_done for one in self.all),
            seconds=time.monotonic() - begin,
        )
        self._clear()
        return done

    def close(self) -> None:
        """Commit and let go of everything."""
        for one in self.all:
            one.commit()
            one.close()

    @property
    def all(self) -> list[Cohort]:
        """Every cohort under way."""
        return [one for own in self._cohorts.values() for one in own]

    def _clear(self) -> None:
        """Forget what has ended."""
        for own in self._cohorts.values():
            for one in list(own):
                one.release()
                one.points.clear()
                one.env_steps_done = 0
                if not one.live:
                    one.close()
                    own.remove(one)

    def _advance(self, runs: Sequence[PlannedRun], order: Round, errors: dict[str, str]) -> None:
        """Bring the runs of one cohort to their steps, in the lanes where they are."""
        own = self._cohorts.setdefault(runs[0].run.cohort_key(), [])
        if not own:
            own.append(self._new())
        homes = {run_id: one for one in own for run_id in one.runs}
        shares: dict[int, list[PlannedRun]] = {}
        for run in runs:
            shares.setdefault(own.index(homes.get(run.run_id, own[0])), []).append(run)
        for index, share in shares.items():
            one = own[index]
            try:
                self._advance_one(one, share, order)
            except (StoreError, Stopped):
                raise
            except BaseException as error:  # whatever an environment's code raises, SystemExit too
                others = [run for run_id, run in one.runs.items() if run_id in one.live and run not in share]
                one.close()
                own[index] = self._new()
                own[index].add(others)
                self._halve(own, share, order, errors, error)

    def _halve(
        self,
        own: list[Cohort],
        runs: Sequence[PlannedRun],
        order: Round,
        errors: dict[str, str],
        error: BaseException,
    ) -> None:
        """The same runs in two programs, each again in two where it fails; the one that fails alone is recorded."""
        if len(runs) == 1:
            self._record_failure(runs[0].run_id, error)
            errors[runs[0].run_id] = last_line(error)
            self._tell(RunFailed(runs[0].run_id, last_line(error)))
            return
        for half in (runs[: len(runs) // 2], runs[len(runs) // 2 :]):
            one = self._new()
            own.append(one)
            try:
                self._advance_one(one, half, order)
            except (StoreError, Stopped):
                raise
            except BaseException as again:
                one.close()
                own.remove(one)
                self._halve(own, half, order, errors, again)

    def _advance_one(self, one: Cohort, runs: Sequence[PlannedRun], order: Round) -> None:
        pruned = {run.run_id: order.prune[run.run_id] for run in runs if run.run_id in order.prune}
        going_on = {run.run_id: order.advance[run.run_id] for run in runs if run.run_id in order.advance}
        # The pruned first: their lanes are where they are to end, unless a crash set them back.
        done = one.add(runs, waits=order.waits) and one.advance(pruned)
        if done:
            one.prune(pruned)
            done = one.advance(going_on)
        if one.journal.has_unstored_ends:
            one.commit()
        for run_id, why in one.refused.items():
            self._tell(RunFailed(run_id, why))
        if not done:
            self.close()
            raise Stopped

    def _new(self) -> Cohort:
        if self._compile_time is not None:
            self._compile_time.begin_cohort()
        return Cohort(self.store, self.settings, self.should_stop, self._report)

    def _report(self, lane_steps_per_second: float) -> None:
        shares: dict[str, list[VariantProgress]] = {}
        for one in self.all:
            for variant, share in one.progress().items():
                shares.setdefault(variant, []).append(share)
        per_variant = {variant: added(own) for variant, own in shares.items()}
        lanes = sum(share.lanes_running for share in per_variant.values())
        waited = self._compile_time.seconds if self._compile_time is not None else 0.0
        self._tell(WorkerUpdate(self.settings.worker, lanes, per_variant, lane_steps_per_second, waited))

    def _record_failure(self, run_id: str, error: BaseException) -> None:
        from rlbench.lanes.fast.platform import ENGINE

        with self.store.program([run_id]) as program:
            if run_id in program.run_ids:
                failure = Finished(run_id, "failed", 0, 0, 0, 0.0, error="".join(traceback.format_exception(error)))
                program.commit({}, None, [failure], ENGINE, self.settings.launcher)


def last_line(error: BaseException) -> str:
    """An error as one line for the user."""
    if isinstance(error, RlbenchError):
        return first_line(error)
    return traceback.format_exception_only(error)[-1].strip().splitlines()[0]
