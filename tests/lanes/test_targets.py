"""When and how far target networks move, by updates, by steps, by episodes; and learning without one."""

import pytest
import torch
from lane_runs import SMALL, fresh, small_run, with_fields

from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import check
from rlbench.lanes.choices.targets import NoTarget, Periodic, is_multiple
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.training.lane_state import initial_state
from rlbench.lanes.training.trainer import Trainer


def moves(variants: list[Variant], steps: int) -> tuple[list[list[int]], Trainer]:
    """The steps at which each lane's target network changed."""
    trainer = Trainer([fresh(small_run(variant, seed=lane, steps=1000)) for lane, variant in enumerate(variants)])
    found: list[list[int]] = [[] for _ in variants]
    for step in range(1, steps + 1):
        before = trainer.state["target.0"].clone()
        trainer.advance(1)
        for lane, own in enumerate(found):
            if not torch.equal(before[lane], trainer.state["target.0"][lane]):
                own.append(step)
    return found, trainer


def hard_every(*periods: int, unit: str) -> list[Variant]:
    return [with_fields(SMALL, target=Periodic(every=every, unit=unit)) for every in periods]


def test_by_updates() -> None:
    """The first update is at step 20, so update n is at step 19 + n."""
    found, _ = moves(hard_every(1, 5, 16, unit="updates"), 50)
    assert found == [list(range(20, 51)), [24, 29, 34, 39, 44, 49], [35]]


def test_by_steps() -> None:
    """Before the first update there is nothing to move to."""
    found, _ = moves(hard_every(1, 7, 25, unit="steps"), 50)
    assert found == [list(range(20, 51)), [21, 28, 35, 42, 49], [25, 50]]


def test_by_episodes() -> None:
    variants = hard_every(1, 2, unit="episodes")
    runs = [fresh(small_run(variant, seed=lane, steps=1000)) for lane, variant in enumerate(variants)]
    ends = [[row[1] for row in events.episodes] for events in Trainer(runs).advance(100).values()]
    found, _ = moves(variants, 100)
    assert found[0] == [at for at in ends[0] if at >= 20]
    assert found[1] == [at for at in ends[1][1::2] if at >= 20]
    assert len(found[0]) > 4
    assert len(found[1]) > 2


def test_several_updates_a_step_are_each_counted() -> None:
    variants = [with_fields(v, updates_per_period=2, update_period=2) for v in hard_every(2, 3, 4, unit="updates")]
    found, _ = moves(variants, 32)
    assert found == [[20, 22, 24, 26, 28, 30, 32], [22, 24, 28, 30], [22, 26, 30]]


def test_hard_is_a_copy_to_the_last_bit() -> None:
    _, trainer = moves(hard_every(5, unit="updates"), 29)
    for index in range(4):
        assert torch.equal(trainer.state[f"target.{index}"], trainer.state[f"online.{index}"])


@pytest.mark.parametrize("unit", ["updates", "steps"])
def test_soft_is_a_weighted_mean(unit: str) -> None:
    variants = [with_fields(SMALL, target=Periodic(every=1, tau=tau, unit=unit)) for tau in (0.25, 0.01)]
    _, trainer = moves(variants, 30)
    before = {name: tensor.clone() for name, tensor in trainer.state.items() if name.startswith("target.")}
    trainer.advance(1)
    for index in range(4):
        for lane, tau in enumerate((0.25, 0.01)):
            old, new = before[f"target.{index}"][lane], trainer.state[f"online.{index}"][lane]
            expected = (1 - tau) * old + tau * new
            torch.testing.assert_close(trainer.state[f"target.{index}"][lane], expected, rtol=1e-6, atol=1e-7)


def test_without_a_target_network_there_is_none() -> None:
    state = initial_state(small_run(with_fields(SMALL, target=NoTarget())))
    assert not [name for name in state if name.startswith("target.")]
    (events,) = Trainer([fresh(small_run(with_fields(SMALL, target=NoTarget()), steps=60))]).advance(60).values()
    assert [row[-1] for row in events.diagnostics] == [0.0, 0.0]


def test_the_target_starts_as_a_copy_of_its_own() -> None:
    state = initial_state(small_run())
    assert torch.equal(state["target.0"], state["online.0"])
    assert state["target.0"].data_ptr() != state["online.0"].data_ptr()


def test_multiples_are_exact_for_large_counts() -> None:
    every = torch.tensor([[3.0], [7.0], [250.0], [1.0]], dtype=torch.float64)
    for count in (0, 1, 21, 250, 3 * 10**12, 7 * 10**12 + 1, 2**50):
        expected = [count % period == 0 for period in (3, 7, 250, 1)]
        assert is_multiple(torch.tensor([count] * 4), every).tolist() == expected


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Periodic(every=0), "every must be >= 1; got 0"),
        (Periodic(tau=1.5), "tau must be 0 < x <= 1; got 1.5"),
        (Periodic(unit="minutes"), "unit must be one of steps, updates, episodes, losses; got 'minutes'"),
    ],
)
def test_impossible_rules_are_refused(rule: Periodic, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(rule)
    assert str(caught.value) == message
