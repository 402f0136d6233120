"""Contract: a tuner that is killed in the middle of writing leaves a study that the next one finishes to the same end."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from rlbench.errors import ConfigError
from rlbench.tuning import ledger as log
from rlbench.tuning.asking import propose
from rlbench.tuning.ledger import StudyLedger, check_existing
from rlbench.tuning.study_file import SamplerSettings
from tests.tuning.studies import TINY, request_of
from tests.tuning.toy_study import LINE

CHANGES = (
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "set_trial_state_values",
    "set_study_user_attr",
)


class Killed(Exception):  # noqa: N818 (not an error)
    """The process is gone."""


def kill_after(storage: BaseStorage, num_changes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only so many changes through."""
    left = num_changes

    def limited(change: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return change(*arguments, **named)

        return call

    for name in CHANGES:
        monkeypatch.setattr(storage, name, limited(getattr(storage, name)))


def study(tmp_path: Path, **changes: Any) -> Any:
    return request_of(tmp_path, **changes).studies[0]


def filled(storage: BaseStorage, tmp_path: Path) -> StudyLedger:
    """A study with three running trials."""
    ledger = StudyLedger(storage, study(tmp_path))
    for number in range(3):
        made = propose(ledger.trials(), LINE, SamplerSettings("random"), study_seed=0, name="toy")
        ledger.create(number, made, {log.OWNER: "me"})
    return ledger


OPERATIONS = [
    log.report(0, 250, 1.5),
    log.note(0, log.CURVES, [[1.0], [2.0]]),
    log.report(1, 250, 2.5),
    log.remember(1, "completed_rung_0", 2.5),
    log.note(0, log.REASON, "why"),
    log.tell(0, TrialState.PRUNED, 1.5),
    log.tell(1, TrialState.COMPLETE, 2.5),
]


def state(ledger: StudyLedger) -> list[Any]:
    return [(t.number, t.state, t.values, t.intermediate_values, t.user_attrs, t.system_attrs) for t in ledger.trials()]


@pytest.mark.parametrize("num_changes", range(len(OPERATIONS) + 2))
def test_whatever_was_done_before_the_kill_the_end_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_changes: int
) -> None:
    whole = filled(InMemoryStorage(), tmp_path)
    whole.change(OPERATIONS)
    storage = InMemoryStorage()
    cut = filled(storage, tmp_path)
    before = state(cut)
    with monkeypatch.context() as patched:
        kill_after(storage, num_changes, patched)
        with pytest.raises(Killed):
            cut.change(OPERATIONS)
    next_one = StudyLedger(storage, study(tmp_path))
    next_one.recover()
    # Nothing was written down before the first change went through, so nothing was decided.
    assert state(next_one) == (before if num_changes == 0 else state(whole))
    next_one.recover()
    assert state(next_one) == (before if num_changes == 0 else state(whole))


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_every_storage_keeps_what_it_is_told(tmp_path: Path, kind: str) -> None:
    def opened() -> BaseStorage:
        if kind == "sqlite":
            return RDBStorage(f"sqlite:///{tmp_path}/optuna.db")
        return JournalStorage(JournalFileBackend(str(tmp_path / "optuna.log")))

    expected = filled(InMemoryStorage(), tmp_path)
    expected.change(OPERATIONS)
    filled(opened(), tmp_path).change(OPERATIONS)
    assert state(StudyLedger(opened(), study(tmp_path))) == state(expected)


def test_a_study_with_another_space_or_objective_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    storage = InMemoryStorage()
    before = state(filled(storage, tmp_path))
    narrower = {**TINY["space"], "optimizer.lr": {"log": ["1e-3", "1e-2"]}}
    for changes, text in (
        ({"space": narrower}, "space.optimizer.lr"),
        ({"objective": {"window": 1}}, "objective.window"),
    ):
        with pytest.raises(ConfigError, match=text):
            check_existing(storage, study(tmp_path, **changes))
        with pytest.raises(ConfigError, match=text):
            StudyLedger(storage, study(tmp_path, **changes))
    check_existing(storage, study(tmp_path, trials=99))
    assert state(StudyLedger(storage, study(tmp_path))) == before


def test_somebody_elses_study_of_the_same_name_is_refused(tmp_path: Path) -> None:
    storage = InMemoryStorage()
    optuna.create_study(storage=storage, study_name="tiny").ask()
    with pytest.raises(ConfigError, match="not of rlbench"):
        StudyLedger(storage, study(tmp_path))
