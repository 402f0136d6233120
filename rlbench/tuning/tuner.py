"""Tuning one study: batches of trials as lanes, in rounds of one evaluation period.

A round trains every running trial to its next evaluation, reports in the order of the trials, prunes, and gives freed lanes to new trials
at once. What happens in a round depends on the study and on results, never on time: the same study with as many lanes ends with the same
trials however often it was killed. Several tuners may work on one study; the trials of one that died are taken over.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlbench.config.composing import Composer
from rlbench.config.plan import PlannedRun
from rlbench.errors import ConfigError, StoreError
from rlbench.runner.pool import WorkerPool
from rlbench.runner.sharing import study_rounds
from rlbench.store import Member, Store
from rlbench.tuning.asking import propose, pruner_of
from rlbench.tuning.ledger import ASKED_AT, CURVES, OWNER, REASON, RUNS, STOPPED, TWIN, StudyLedger, told
from rlbench.tuning.optuna_names import BaseStorage, FrozenTrial, TrialState
from rlbench.tuning.past_runs import past_runs
from rlbench.tuning.settling import settle
from rlbench.tuning.storage import Locks, answering
from rlbench.tuning.study import Study
from rlbench.tuning.trial_lanes import TrialLanes

OTHERS_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Standing:
    """How far a study is, for whoever watches; `lane_steps` and `seconds` are those of the last round."""

    study: str
    finished: int
    pruned: int
    failed: int
    asked: int
    running: int
    best: float | None
    best_trial: int | None
    lane_steps: int
    seconds: float


class Tuner:
    """One process's work on one study."""

    def __init__(
        self,
        study: Study,
        storage: BaseStorage,
        locks: Locks,
        store: Store,
        pool: WorkerPool,
        composer: Composer,
        *,
        experiment: str,
        definition: Mapping[str, Any],
        trials_at_once: int,
        watch: Callable[[Standing], None],
    ) -> None:
        self.study, self.locks, self.store, self.pool, self.composer = study, locks, store, pool, composer
        self.experiment, self.definition, self.trials_at_once, self.watch = (
            experiment,
            definition,
            trials_at_once,
            watch,
        )
        self.name = f"tuner-{uuid.uuid4().hex[:12]}"
        self._storage = storage
        self._ledger: StudyLedger | None = None
        self._mine: dict[int, TrialLanes] = {}
        self._to_prune: dict[str, tuple[PlannedRun, int]] = {}

    def run(self) -> list[FrozenTrial]:
        """Work until as many trials have ended as the study asks for, by whichever tuner; returns them all.

        Raises Interrupted or KeyboardInterrupt when a stop was asked for; the same command goes on.
        """
        with self.locks.live(self.name):
            with self._turn() as ledger:
                self._take_up(ledger)
            finished = -1
            while True:
                lane_steps, seconds = self._train()
                with self._turn() as ledger:
                    self._settle(ledger)
                    self._take_up(ledger)
                    trials = ledger.trials()
                before, finished = finished, sum(trial.state.is_finished() for trial in trials)
                self.watch(self._standing(trials, lane_steps, seconds))
                if not self._mine:
                    if finished >= self.study.trials:
                        break
                    if finished == before:
                        self._wait()  # other tuners have all that is left
            self._prune_leftovers(trials)
        return trials

    @contextlib.contextmanager
    def _turn(self) -> Iterator[StudyLedger]:
        """Nobody else changes the study meanwhile, and what was left undone is done."""
        with answering(), self.locks.turn(lambda: self.pool.interrupted):
            self._ledger = self._ledger or StudyLedger(self._storage, self.study)
            self._ledger.recover()
            yield self._ledger

    def _wait(self) -> None:
        if self.pool.interrupted:
            raise KeyboardInterrupt
        time.sleep(OTHERS_POLL_SECONDS)

    def _take_up(self, ledger: StudyLedger) -> None:
        """Take over the trials of dead tuners, then ask for new ones, as many as there are lanes for."""
        trials = ledger.trials()
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        owners = {str(trial.user_attrs.get(OWNER)) for trial in running} - {self.name}
        dead = {owner for owner in owners if not self.locks.is_alive(owner)}
        for trial in running:
            needs_lanes = TWIN not in trial.user_attrs and REASON not in trial.user_attrs
            if str(trial.user_attrs.get(OWNER)) in dead and (not needs_lanes or len(self._mine) < self.trials_at_once):
                ledger.take_over(trial, self.name)
                if needs_lanes:
                    self._seat(trial.number, self._runs(trial), trial.user_attrs.get(CURVES))
        # A sampler that proposes what trains nothing would go on doing so until it is told something.
        now = told(trials)
        while (
            len(trials) < self.study.trials
            and len(self._mine) < self.trials_at_once
            and not any(trial.user_attrs.get(ASKED_AT) == now for trial in trials)
        ):
            trials.append(self._ask(ledger, trials, now))
        self._record()

    def _ask(self, ledger: StudyLedger, trials: Sequence[FrozenTrial], now: int) -> FrozenTrial:
        """The next trial. One with the runs of an earlier one is its twin: it ends as that one does, and nothing is trained twice."""
        study, number = self.study, len(trials)
        pruner = pruner_of(study.pruner, study.period, study.steps)
        proposal = propose(trials, study.space, study.sampler, study_seed=study.seed, name=study.name, pruner=pruner)
        notes: dict[str, Any] = {OWNER: self.name}
        try:
            runs = study.runs(proposal.params, self._label(number), self.composer)
        except ConfigError as error:
            return ledger.create(number, proposal, {**notes, ASKED_AT: now, REASON: f"impossible: {error}"})
        notes[RUNS] = [run.run_id for run in runs]
        same = (t.number for t in trials if t.user_attrs.get(RUNS) == notes[RUNS] and TWIN not in t.user_attrs)
        twin = next(same, None)
        if twin is not None:
            return ledger.create(number, proposal, {**notes, ASKED_AT: now, TWIN: twin})
        made = ledger.create(number, proposal, notes)
        self._seat(number, runs, None)
        return made

    def _runs(self, trial: FrozenTrial) -> list[PlannedRun]:
        return self.study.runs(trial.params, self._label(trial.number), self.composer)

    def _label(self, number: int) -> str:
        return f"{self.study.variant} trial {number}"

    def _seat(self, number: int, runs: list[PlannedRun], curves: list[list[float]] | None) -> None:
        lanes = TrialLanes(number, runs, self.study.period, self.study.steps, curves or [[] for _ in runs])
        lanes.points, lanes.ended = past_runs(self.store, lanes.ids)
        self._mine[number] = lanes

    def _record(self) -> None:
        """Write down in the store what is to be trained; what stands there is not written again."""
        members, specs = [], {}
        for lanes in self._mine.values():
            for run in lanes.runs:
                position = lanes.number * len(lanes.runs) + run.position
                members.append(Member(run.run_id, run.variant, position, self.study.name, lanes.number))
                specs[run.run_id] = run.spec
        if members:
            self.store.record_experiment(self.experiment, self.definition, members, specs)

    def _train(self) -> tuple[int, float]:
        """Bring every trial to its next rung; returns the steps made over all lanes, and the seconds."""
        advance = {run_id: lanes.target for lanes in self._mine.values() for run_id in lanes.to_train}
        prune = {run_id: at for run_id, (_, at) in self._to_prune.items()}
        if not advance and not prune:
            return 0, 0.0
        groups = [lanes.runs for lanes in self._mine.values()] + [[run] for run, _ in self._to_prune.values()]
        done = self.pool.run(study_rounds(self.pool.homes, self.pool.num_workers, groups, advance, prune))
        for run_id, why in done.refused.items():
            raise StoreError(f"run {run_id} of the study cannot go on here: {why}")
        self._to_prune = {}
        for lanes in self._mine.values():
            for run_id in lanes.ids:
                lanes.points.setdefault(run_id, {}).update(done.points.get(run_id, {}))
                if run_id in done.ended:
                    lanes.ended[run_id] = done.ended[run_id]
                if run_id in done.errors:
                    lanes.errors[run_id] = done.errors[run_id]
            if lanes.unexplained:  # somebody else has trained these runs since they were looked up
                points, _ = past_runs(self.store, lanes.unexplained)
                for run_id, own in points.items():
                    lanes.points[run_id] = {**own, **lanes.points[run_id]}
        return done.lane_steps, done.seconds

    def _settle(self, ledger: StudyLedger) -> None:
        """Decide what this round comes to, and write it down; runs that are left unfinished are ended in the next round."""
        settled = settle(self.study, ledger.trials(), self._mine, self.name)
        ledger.change(settled.operations)
        for number in settled.ends:
            lanes = self._mine.pop(number)
            self._to_prune |= {
                run.run_id: (run, lanes.stands_at) for run in lanes.runs if run.run_id not in lanes.ended
            }

    def _prune_leftovers(self, trials: Sequence[FrozenTrial]) -> None:
        """End the runs that stopped trials have left: this tuner's own, and those of tuners that died."""
        final, known = self.store.final_runs(), self.store.specs()
        for trial in trials:
            owner = str(trial.user_attrs.get(OWNER))
            if STOPPED not in trial.user_attrs or (owner != self.name and self.locks.is_alive(owner)):
                continue
            for run in self._runs(trial):
                if run.run_id not in final and run.run_id in known:
                    self._to_prune[run.run_id] = run, int(trial.user_attrs[STOPPED])
        self._train()

    def _standing(self, trials: Sequence[FrozenTrial], lane_steps: int, seconds: float) -> Standing:
        states = [trial.state for trial in trials]
        done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        best = max(done, key=lambda trial: float(trial.values[0]), default=None)
        return Standing(
            study=self.study.name,
            finished=sum(state.is_finished() for state in states),
            pruned=states.count(TrialState.PRUNED),
            failed=states.count(TrialState.FAIL),
            asked=self.study.trials,
            running=states.count(TrialState.RUNNING),
            best=None if best is None else float(best.values[0]),
            best_trial=None if best is None else best.number,
            lane_steps=lane_steps,
            seconds=seconds,
        )
