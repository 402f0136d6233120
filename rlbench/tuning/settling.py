"""What a round comes to: which trials report what, which go on and which end.

In: the trials of a study and this tuner's lanes. Out: the operations that write it down, and the trials that end. Nothing is changed but
the values that were handed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlbench.tuning import ledger as log
from rlbench.tuning.asking import decide
from rlbench.tuning.ledger import CURVES, OWNER, REASON, STOPPED, TWIN, Operation
from rlbench.tuning.optuna_names import FrozenTrial, TrialState
from rlbench.tuning.study import Study
from rlbench.tuning.trial_lanes import End, TrialLanes


@dataclass(frozen=True)
class Settled:
    """Operations in the order of the trials, and the ends among them by number."""

    operations: list[Operation]
    ends: dict[int, End]


def settle(study: Study, trials: Sequence[FrozenTrial], mine: Mapping[int, TrialLanes], tuner: str) -> Settled:
    """Report every trial of `mine`, in order, then ask the pruner about those that go on, in order, then end what ends."""
    operations: list[Operation] = []
    ends: dict[int, End] = {}
    for number, lanes in sorted(mine.items()):
        value, end = lanes.advance(study.objective)
        if end is not None:
            ends[number] = end
        if value is not None:
            trials[number].intermediate_values[lanes.reported] = value
            trials[number].user_attrs[CURVES] = [list(curve) for curve in lanes.curves]
            operations.append(log.report(number, lanes.reported, value))
            operations.append(log.note(number, CURVES, [list(curve) for curve in lanes.curves]))
    decisions = decide(
        trials,
        [number for number in sorted(mine) if number not in ends],
        study.pruner,
        name=study.name,
        period=study.period,
        steps=study.steps,
        seed_values=seed_values(study, trials) if study.pruner.kind == "wilcoxon" else {},
    )
    for number, decision in decisions.items():
        operations += [log.remember(number, key, value) for key, value in decision.system_attrs.items()]
        if decision.prune:
            ends[number] = End(TrialState.PRUNED)
    for number, end in sorted(ends.items()):
        operations += _ending(trials[number], mine[number], end)
    for trial in trials:
        is_ours = trial.state == TrialState.RUNNING and trial.user_attrs.get(OWNER) == tuner
        if is_ours and trial.number not in mine:
            operations += _ending_without_lanes(trial, trials, ends)
    return Settled(operations, ends)


def seed_values(study: Study, trials: Sequence[FrozenTrial]) -> dict[int, dict[int, list[float]]]:
    """Trial number -> rung -> the objective of each seed up to there."""
    found: dict[int, dict[int, list[float]]] = {}
    for trial in trials:
        curves = trial.user_attrs.get(CURVES, [])
        found[trial.number] = {
            rung * study.period: [study.objective.of_seed(curve[:rung]) for curve in curves]
            for rung in range(1, min(map(len, curves), default=0) + 1)
        }
    return found


def _ending(trial: FrozenTrial, lanes: TrialLanes, end: End) -> list[Operation]:
    operations = [log.note(trial.number, REASON, end.reason)] if end.reason else []
    if any(run_id not in lanes.ended for run_id in lanes.ids):
        operations.append(log.note(trial.number, STOPPED, lanes.stands_at))
    return [*operations, log.tell(trial.number, end.state, _last_value(trial, end.state))]


def _ending_without_lanes(
    trial: FrozenTrial, trials: Sequence[FrozenTrial], ends: Mapping[int, End]
) -> list[Operation]:
    """The end of an impossible trial, or of the twin of one that has ended; nothing while that one goes on."""
    if TWIN not in trial.user_attrs:
        return [log.tell(trial.number, TrialState.FAIL, None)]
    first = trials[trial.user_attrs[TWIN]]
    state = ends[first.number].state if first.number in ends else first.state
    reason = ends[first.number].reason if first.number in ends else first.user_attrs.get(REASON, "")
    if not state.is_finished():
        return []
    return [
        *([log.note(trial.number, REASON, f"as trial {first.number}: {reason}")] if reason else []),
        *(log.report(trial.number, step, value) for step, value in sorted(first.intermediate_values.items())),
        log.note(trial.number, CURVES, first.user_attrs.get(CURVES, [])),
        log.tell(trial.number, state, _last_value(first, state)),
    ]


def _last_value(trial: FrozenTrial, state: TrialState) -> float | None:
    """The value of a trial that ends: that of its last rung, which for a pruned one is where it was stopped."""
    last = max(trial.intermediate_values, default=None)
    return None if last is None or state == TrialState.FAIL else float(trial.intermediate_values[last])
