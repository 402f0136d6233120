"""One running trial: its runs, how far they are, and what it has to report.

In: evaluation points and ends of runs. Out: the value at the next rung, or the end that the trial has come to. A rung is an evaluation
point that all seeds of the trial have passed. Knows nothing of Optuna's storages.
"""

from dataclasses import dataclass, field

from rlbench.config.plan import PlannedRun
from rlbench.tuning.objective import Objective
from rlbench.tuning.optuna_names import TrialState


@dataclass(frozen=True)
class End:
    """How a trial ends, and why where that is not plain."""

    state: TrialState
    reason: str = ""


@dataclass
class TrialLanes:
    """A trial of this tuner. `period` is that of the evaluations, `steps` the budget of a run, or None where it is in episodes."""

    number: int
    runs: list[PlannedRun]
    period: int
    steps: int | None
    curves: list[list[float]]
    """By seed, the mean return at each rung that was reported."""
    points: dict[str, dict[int, float]] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """The runs' ids, in the order of the seeds."""
        return [run.run_id for run in self.runs]

    @property
    def reported(self) -> int:
        """The last rung that was reported, in env_steps."""
        return len(self.curves[0]) * self.period

    @property
    def rung(self) -> int:
        """The next rung, in env_steps."""
        return self.reported + self.period

    @property
    def target(self) -> int:
        """Where the runs go next: the next rung, and for the last one the end of the budget."""
        return self.rung if self.steps is None or self.rung + self.period <= self.steps else self.steps

    @property
    def to_train(self) -> list[str]:
        """The runs that are not there yet."""
        return [
            run_id
            for run_id in self.ids
            if run_id not in self.ended and not (self.target == self.rung and self.rung in self.points.get(run_id, {}))
        ]

    @property
    def unexplained(self) -> list[str]:
        """Runs that are done, or stand at the next rung, but whose point there nobody has told: another program, or a worker that died."""
        return [
            run_id
            for run_id in self.ids
            if self.ended.get(run_id, "done") == "done" and self.rung not in self.points.get(run_id, {})
        ]

    @property
    def stands_at(self) -> int:
        """The step to which the runs that have not ended have come."""
        return self.target if any(self.rung in self.points.get(run_id, {}) for run_id in self.ids) else self.reported

    def advance(self, objective: Objective) -> tuple[float | None, End | None]:
        """Take the next rung into the curves, where all seeds have passed it: its value, and the end where this was the last."""
        end = self._trouble()
        values = [self._value(run_id, curve) for run_id, curve in zip(self.ids, self.curves, strict=True)]
        known = [value for value in values if value is not None]
        if len(known) < len(values) or (end is not None and end.state == TrialState.FAIL):
            if end is None and all(run_id in self.ended for run_id in self.ids):
                end = End(TrialState.FAIL, "a run ended before its first evaluation")
            return None, end
        rung = self.rung
        for curve, value in zip(self.curves, known, strict=True):
            curve.append(value)
        is_last = all(self.ended.get(run_id) == "done" for run_id in self.ids)
        if end is None and is_last and not any(at > rung for run_id in self.ids for at in self.points.get(run_id, {})):
            end = End(TrialState.COMPLETE)
        return objective.of_trial(self.curves), end

    def _value(self, run_id: str, curve: list[float]) -> float | None:
        """A seed's mean return at the next rung. A run that has used up its episodes keeps its last policy, and so its last value."""
        value = self.points.get(run_id, {}).get(self.rung)
        return curve[-1] if value is None and curve and self.ended.get(run_id) == "done" else value

    def _trouble(self) -> End | None:
        """The end of a trial with a run that failed, diverged, or cannot go on."""
        for run in self.runs:
            status = self.ended.get(run.run_id)
            if status == "failed":
                return End(TrialState.FAIL, f"seed {run.run.seed} failed: {self.errors.get(run.run_id, 'see the run')}")
            if status == "done" and not self.points.get(run.run_id):
                return End(TrialState.FAIL, f"seed {run.run.seed} ended before its first evaluation")
        for run in self.runs:
            if self.rung in self.points.get(run.run_id, {}):
                continue  # it ended behind the rung, which the store may know already: the trial tells as much as when it was trained
            status = self.ended.get(run.run_id)
            if status == "diverged":
                return End(TrialState.PRUNED, f"seed {run.run.seed} diverged")
            if status == "pruned":
                return End(TrialState.PRUNED, f"the run of seed {run.run.seed} was pruned before, by another study")
        return None
