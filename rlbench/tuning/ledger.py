"""A study in its Optuna storage, changed in steps that a kill at any moment leaves whole.

In: operations on trials. Out: the trials as they stand. A group of operations is written down as one value first, then carried out, then
crossed off; whoever has the turn next finishes a group that a killed tuner left, so that nothing is decided twice. Every operation may be
carried out twice with the same effect. All changes are made by the tuner whose turn it is.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rlbench.errors import ConfigError
from rlbench.tuning.asking import Proposal
from rlbench.tuning.optuna_names import BaseStorage, DuplicatedStudyError, FrozenTrial, StudyDirection, TrialState
from rlbench.tuning.study import Study, check_same

DEFINITION, PENDING = "definition", "pending"
OWNER, TWIN, RUNS, CURVES, REASON, STOPPED = "owner", "twin_of", "runs", "curves", "reason", "stopped_at"
ASKED_AT = "asked_at"  # how much the study had been told when a trial was proposed that trains nothing

Operation = dict[str, Any]


def report(trial: int, step: int, value: float) -> Operation:
    """An intermediate value."""
    return {"do": "report", "trial": trial, "step": step, "value": value}


def note(trial: int, key: str, value: Any) -> Operation:
    """A user attribute."""
    return {"do": "note", "trial": trial, "key": key, "value": value}


def remember(trial: int, key: str, value: Any) -> Operation:
    """An attribute of a pruner."""
    return {"do": "remember", "trial": trial, "key": key, "value": value}


def tell(trial: int, state: TrialState, value: float | None) -> Operation:
    """The end of a trial; the last operation on it."""
    return {"do": "tell", "trial": trial, "state": state.name, "value": value}


def told(trials: Sequence[FrozenTrial]) -> int:
    """How much a study has been told: it grows with every report and every end, and with nothing else."""
    return sum(len(trial.intermediate_values) + trial.state.is_finished() for trial in trials)


def check_existing(storage: BaseStorage, study: Study) -> None:
    """Raise ConfigError where a study of this name exists and is another one. Changes nothing."""
    try:
        study_id = storage.get_study_id_from_name(study.name)
    except KeyError:
        return
    _check(storage, study_id, study)


def _check(storage: BaseStorage, study_id: int, study: Study) -> None:
    stored = storage.get_study_user_attrs(study_id).get(DEFINITION)
    if stored is None:
        if storage.get_n_trials(study_id):
            raise ConfigError(f"the storage has a study '{study.name}' that is not of rlbench; take another name=")
        return
    check_same(study, json.loads(stored))


class StudyLedger:
    """One study. Everything but reading is for the tuner whose turn it is."""

    def __init__(self, storage: BaseStorage, study: Study) -> None:
        """Find the study, or make it; raises ConfigError as `check_existing` does."""
        self.storage = storage
        try:
            self.study_id = storage.create_new_study([StudyDirection.MAXIMIZE], study.name)
        except DuplicatedStudyError:
            self.study_id = storage.get_study_id_from_name(study.name)
        _check(storage, self.study_id, study)
        if DEFINITION not in storage.get_study_user_attrs(self.study_id):
            storage.set_study_system_attr(self.study_id, "study:metric_names", [study.objective.metric])
            storage.set_study_user_attr(self.study_id, DEFINITION, json.dumps(study.definition(), sort_keys=True))

    def trials(self) -> list[FrozenTrial]:
        """Every trial, by number."""
        return sorted(self.storage.get_all_trials(self.study_id, deepcopy=True), key=lambda trial: trial.number)

    def recover(self) -> None:
        """Finish what a killed tuner had written down and not carried out."""
        written = self.storage.get_study_user_attrs(self.study_id).get(PENDING)
        if written:
            self._carry_out(json.loads(written))

    def change(self, operations: Sequence[Operation]) -> None:
        """Carry out these operations: all of them, even if this process is killed meanwhile."""
        if operations:
            self.storage.set_study_user_attr(self.study_id, PENDING, json.dumps(operations))
            self._carry_out(operations)

    def _carry_out(self, operations: Sequence[Operation]) -> None:
        trials = {trial.number: trial for trial in self.storage.get_all_trials(self.study_id, deepcopy=False)}
        for operation in operations:
            trial = trials[operation["trial"]]
            if trial.state.is_finished():  # its end was the last operation on it
                continue
            trial_id = trial._trial_id
            if operation["do"] == "report":
                self.storage.set_trial_intermediate_value(trial_id, operation["step"], operation["value"])
            elif operation["do"] == "note":
                self.storage.set_trial_user_attr(trial_id, operation["key"], operation["value"])
            elif operation["do"] == "remember":
                self.storage.set_trial_system_attr(trial_id, operation["key"], operation["value"])
            else:
                value = operation["value"]
                state = TrialState[operation["state"]]
                self.storage.set_trial_state_values(trial_id, state, None if value is None else [value])
        self.storage.set_study_user_attr(self.study_id, PENDING, "")

    def create(self, number: int, proposal: Proposal, notes: Mapping[str, Any]) -> FrozenTrial:
        """A new running trial, there with all its parameters or not at all."""
        template = FrozenTrial(
            number=number,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params=proposal.params,
            distributions=proposal.distributions,
            user_attrs=dict(notes),
            system_attrs=proposal.system_attrs,
            intermediate_values={},
            trial_id=-1,
        )
        trial_id = self.storage.create_new_trial(self.study_id, template_trial=template)
        made = self.storage.get_trial(trial_id)
        assert made.number == number, "somebody else made a trial out of turn"
        return made

    def take_over(self, trial: FrozenTrial, owner: str) -> None:
        """Another tuner's trial becomes this one's."""
        self.storage.set_trial_user_attr(trial._trial_id, OWNER, owner)
