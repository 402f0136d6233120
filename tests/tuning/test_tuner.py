"""What a tuner asks for, without training: trials that train nothing do not use up the budget before the sampler is told something."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from rlbench.store import Store
from rlbench.tuning import ledger as log
from rlbench.tuning import tuner as tuning
from rlbench.tuning.asking import Proposal, distribution_of
from rlbench.tuning.settling import settle
from rlbench.tuning.space import Parameter
from rlbench.tuning.trial_lanes import TrialLanes
from rlbench.tuning.tuner import Tuner
from tests.tuning.studies import study_of

SAME = Proposal({"loss": "mse"}, {"loss": distribution_of(Parameter("loss", "choices", choices=("mse", "huber")))}, {})
IMPOSSIBLE = Proposal({"loss": "mse", "loss.delta": 1.0}, SAME.distributions, {})


class NoLocks:
    """One tuner alone."""

    @contextlib.contextmanager
    def turn(self, should_stop: object) -> Iterator[None]:
        yield

    live = turn

    def is_alive(self, tuner: str) -> bool:
        return False


@pytest.fixture
def tuner(tmp_path: Path) -> Iterator[Any]:
    with study_of(tmp_path) as (study, composer):
        store = Store.open(tmp_path / "store")
        made = Tuner(
            study,
            InMemoryStorage(),
            NoLocks(),  # type: ignore[arg-type]
            store,
            None,  # type: ignore[arg-type]
            composer,
            experiment="tiny.tuning",
            definition={},
            trials_at_once=4,
            watch=lambda _: None,
        )
        yield made


@pytest.mark.parametrize(("proposal", "first"), [(SAME, 2), (IMPOSSIBLE, 1)])
def test_one_trial_that_trains_nothing_is_asked_for_between_two_rounds(
    tuner: Any, monkeypatch: pytest.MonkeyPatch, proposal: Proposal, first: int
) -> None:
    def told_the_same(*_: object, **__: object) -> Proposal:
        kept = {key: SAME.distributions["loss"] for key in proposal.params}
        return Proposal(dict(proposal.params), {"loss": kept["loss"]}, {})

    monkeypatch.setattr(tuning, "propose", told_the_same)
    monkeypatch.setattr(log.StudyLedger, "create", _create)
    ledger = log.StudyLedger(tuner._storage, tuner.study)
    tuner._take_up(ledger)
    assert len(ledger.trials()) == first  # not all eight
    tuner._take_up(ledger)  # as after a kill in between
    assert len(ledger.trials()) == first
    for lanes in tuner._mine.values():
        lanes.points = {run_id: {250: 1.0} for run_id in lanes.ids}
    tuner._settle(ledger)
    tuner._take_up(ledger)
    assert len(ledger.trials()) == first + 1


def _create(self: log.StudyLedger, number: int, proposal: Proposal, notes: dict[str, Any]) -> Any:
    """Without the parameters, of which an impossible set has no distributions."""
    return _real_create(self, number, Proposal({}, {}, {}), notes)


_real_create = log.StudyLedger.create


def test_the_twin_of_a_failed_trial_says_why(tuner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "propose", lambda *_, **__: SAME)
    ledger = log.StudyLedger(tuner._storage, tuner.study)
    tuner._take_up(ledger)
    (lanes,) = tuner._mine.values()
    assert isinstance(lanes, TrialLanes)
    lanes.ended, lanes.errors = dict.fromkeys(lanes.ids, "failed"), dict.fromkeys(lanes.ids, "no luck")
    ledger.change(settle(tuner.study, ledger.trials(), tuner._mine, tuner.name).operations)
    first, twin = ledger.trials()
    assert (first.state, twin.state) == (TrialState.FAIL, TrialState.FAIL)
    assert "no luck" in first.user_attrs[log.REASON]
    assert twin.user_attrs[log.REASON] == f"as trial 0: {first.user_attrs[log.REASON]}"
