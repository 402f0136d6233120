"""Learning against a plain PyTorch statement of DQN, number by number after every step; and exactly when updates happen."""

import math
from typing import Any

import pytest
import torch
from lane_runs import SMALL, fresh, small_run, train, weights_of, with_fields
from plain_dqn import PlainDQN

from rlbench.lanes.choices.bases import Minibatch
from rlbench.lanes.choices.clipping import ClipNorm, ClipValue
from rlbench.lanes.choices.exploration import Constant
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.optimizers import SGD, Adam, AdamW, RMSprop
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.targets import NoTarget, Periodic
from rlbench.lanes.choices.variant import Diagnostics, Environment, Variant
from rlbench.lanes.steps.learning import Passes, TakenAction
from rlbench.lanes.training.trainer import Trainer

NUM_STEPS = 60
BASE = with_fields(SMALL, optimizer=Adam(lr=3e-3, eps=1e-4), target=Periodic(every=7))
SOFT = Periodic(every=1, tau=0.05)
# Without biases the better action changes with the observation, so that the two networks often disagree.
DOUBLE = with_fields(BASE, double=True, network=MLP(units=(16,), init="glorot"), optimizer__lr=1e-2)

ALL_PARTS = MLP(
    units=(12, 5),
    head="dueling",
    noise="fresh",
    sigma0=0.7,
    normalisation="layer",
    init="variance_scaling",
    obs_low=(-2.4, -5.0, -0.3, -6.0),
    obs_high=(2.4, 5.0, 0.3, 6.5),
)


def lanes_with(variant: Variant, **numbers: tuple[Any, Any]) -> list[Variant]:
    """Two lanes of one structure with different numbers."""
    return [with_fields(variant, **{name: pair[lane] for name, pair in numbers.items()}) for lane in range(2)]


CASES: dict[str, list[Variant]] = {
    "hard_mse_beside_soft_mse": [BASE, with_fields(BASE, target=SOFT)],
    "hard_huber_beside_soft_huber": lanes_with(
        with_fields(BASE, loss=Huber(), discount=0.9), loss__delta=(0.3, 1.0), target=(BASE.target, SOFT)
    ),
    "double_huber_soft": lanes_with(
        with_fields(DOUBLE, loss=Huber(0.5), target=SOFT), target__tau=(0.01, 0.02), discount=(0.9, 0.5)
    ),
    "double_mse_hard": lanes_with(DOUBLE, target__every=(30, 15), final_reward=(-5.0, -9.0)),
    "clip_value": lanes_with(with_fields(BASE, optimizer=SGD(lr=0.1), clip=ClipValue()), clip__limit=(0.01, 0.2)),
    "clip_norm": lanes_with(with_fields(BASE, optimizer=SGD(lr=0.1), clip=ClipNorm()), clip__max_norm=(0.05, 0.5)),
    "amsgrad_without_replacement": lanes_with(
        with_fields(BASE, optimizer=AdamW(amsgrad=True, eps=1e-4), replay__replacement=False),
        optimizer__lr=(1e-3, 1e-2),
        optimizer__weight_decay=(0.01, 0.3),
    ),
    "rmsprop": lanes_with(with_fields(BASE, optimizer=RMSprop(lr=1e-3, eps=1e-2)), optimizer__momentum=(0.0, 0.5)),
    "sgd_momentum_target_by_steps": lanes_with(
        with_fields(BASE, optimizer=SGD(lr=0.02, momentum=0.9), target=Periodic(unit="steps")), target__every=(4, 11)
    ),
    "target_by_episodes": lanes_with(
        with_fields(BASE, target=Periodic(unit="episodes", tau=0.5)), target__every=(1, 2)
    ),
    "no_target": lanes_with(with_fields(BASE, target=NoTarget()), discount=(0.9, 0.99)),
    "no_target_double": lanes_with(with_fields(BASE, target=NoTarget(), double=True), discount=(0.9, 0.99)),
    "two_updates_every_third_step": lanes_with(
        with_fields(BASE, update_period=3, updates_per_period=2, replay__warmup=22), target__every=(3, 4)
    ),
    "small_ring_of_transitions": lanes_with(
        with_fields(BASE, replay=Uniform(capacity=25, warmup=9)), discount=(0.9, 0.99)
    ),
    "two_layers_tanh_glorot": lanes_with(
        with_fields(BASE, network=MLP(units=(12, 5), activation="tanh", init="glorot")), optimizer__lr=(1e-3, 1e-2)
    ),
    "odd_minibatch": lanes_with(with_fields(BASE, batch_size=7), target__every=(3, 4)),
    "one_transition_a_minibatch": lanes_with(with_fields(BASE, batch_size=1), target__every=(3, 4)),
    "dueling": lanes_with(with_fields(BASE, network=MLP(units=(12, 5), head="dueling")), optimizer__lr=(1e-3, 1e-2)),
    "noisy": lanes_with(with_fields(BASE, network=MLP(units=(12, 5), noise="fresh")), optimizer__lr=(1e-3, 1e-2)),
    "layer_norm": lanes_with(
        with_fields(BASE, network=MLP(units=(12, 5), normalisation="layer")), optimizer__lr=(1e-3, 1e-2)
    ),
    "double_with_all_parts": lanes_with(
        with_fields(DOUBLE, network=ALL_PARTS, optimizer__lr=3e-2, loss=Huber(0.5), target=SOFT),
        target__tau=(0.01, 0.02),
    ),
    "final_reward_and_mask": lanes_with(BASE, final_reward=(-1.0, None), bootstrap_on_truncation=(True, False)),
}


def test_the_cases_are_cohorts_of_every_kind() -> None:
    """What is learned with above is all that there is to learn with."""
    variants = [variant for cohort in CASES.values() for variant in cohort]
    assert {type(v.optimizer) for v in variants} == {Adam, AdamW, RMSprop, SGD}
    assert {type(v.clip).__name__ for v in variants} == {"NoClip", "ClipValue", "ClipNorm"}
    assert {v.target.unit for v in variants if isinstance(v.target, Periodic)} == {"steps", "updates", "episodes"}
    assert {v.double for v in variants} == {v.replay.replacement for v in variants} == {True, False}


@pytest.mark.parametrize("case", CASES)
def test_every_update_is_that_of_plain_pytorch(case: str) -> None:
    variants = CASES[case]
    runs = [small_run(variant, seed=10 + lane, steps=1000) for lane, variant in enumerate(variants)]
    lanes = [fresh(run) for run in runs]
    networks = [variant.network for variant in variants if isinstance(variant.network, MLP)]
    first = [weights_of(lane.state, network) for lane, network in zip(lanes, networks, strict=True)]
    plain = [
        PlainDQN(run.variant, weights=weights, obs_size=4, num_actions=2, seed=run.seed, namespace=1)
        for run, weights in zip(runs, first, strict=True)
    ]
    trainer = Trainer(lanes)
    for step in range(NUM_STEPS):
        ended = {slot for slot, events in trainer.advance(1).items() if events.episodes}
        for slot, (learner, network) in enumerate(zip(plain, networks, strict=True)):
            learner.store(trainer.state["replay.float32"][slot, step % learner.variant.replay.capacity])
            learner.learn(episode_ended=slot in ended)
            for which, module in (("online", learner.online), ("target", learner.target)):
                if which == "target" and isinstance(learner.variant.target, NoTarget):
                    continue
                ours = weights_of(trainer.state, network, which, slot)
                for name, expected in module.state_dict().items():
                    torch.testing.assert_close(
                        ours[name], expected, rtol=1e-4, atol=1e-5, msg=f"{which} {name}, lane {slot}, step {step + 1}"
                    )
            last = {name: float(trainer.state[f"last.{name}"][slot]) for name in learner.last}
            assert last == pytest.approx(learner.last, rel=1e-3, abs=1e-5, nan_ok=True)
            assert int(trainer.state["updates"][slot]) == learner.updates

    for learner, weights in zip(plain, first, strict=True):
        variant = learner.variant
        due = [s for s in range(1, NUM_STEPS + 1) if s >= variant.replay.warmup and s % variant.update_period == 0]
        assert learner.updates == len(due) * variant.updates_per_period > 20
        moved = [(learner.online.state_dict()[name] - weights[name]).abs().max() for name in weights]
        # A hundred times the tolerance above: a lane that does not learn cannot pass.
        assert float(torch.stack(moved).max()) > 1e-3
    if case.startswith("double"):
        assert sum(learner.disagreements for learner in plain) > 10  # it matters which network chooses the action


SCHEDULES = [
    # warm-up, period, updates a period, steps, updates
    (20, 1, 1, 19, 0),
    (20, 1, 1, 20, 1),
    (20, 1, 1, 50, 31),
    (20, 10, 1, 50, 4),
    (21, 10, 1, 50, 3),
    (20, 7, 3, 50, 15),
    (1, 50, 2, 50, 2),
    (1, 51, 2, 50, 0),
]


@pytest.mark.parametrize(("warmup", "period", "per_period", "steps", "updates"), SCHEDULES)
def test_the_number_of_updates(warmup: int, period: int, per_period: int, steps: int, updates: int) -> None:
    """The first update comes with the step that fills the warm-up, on minibatches larger than the memory if need be."""
    variant = with_fields(BASE, replay__warmup=warmup, update_period=period, updates_per_period=per_period)
    run = small_run(variant, steps=steps, diagnostics=Diagnostics(period=steps))
    before = fresh(run).state
    (outcome,) = train([run], cuts=(13,))
    assert int(outcome.state["updates"]) == updates
    assert [row[:2] for row in outcome.rows.diagnostics] == [(steps, updates)]
    has_moved = any(not torch.equal(outcome.state[f"online.{i}"], before[f"online.{i}"]) for i in range(4))
    assert has_moved == (updates > 0)


def test_lanes_beside_each_other_learn_at_their_own_steps() -> None:
    """A lane placed 15 steps later is 15 steps behind, also in its updates."""
    variant = with_fields(BASE, update_period=4)
    trainer = Trainer([fresh(small_run(variant, seed=seed, steps=1000)) for seed in (0, 1)])
    trainer.vacate(1)
    trainer.advance(15)
    trainer.place(1, fresh(small_run(variant, seed=2, steps=1000)))
    trainer.advance(30)
    assert trainer.state["env_steps"].tolist() == [45, 30]
    assert trainer.state["updates"].tolist() == [(45 - 20) // 4 + 1, (30 - 20) // 4 + 1]


def stored_rows(variant: Variant, steps: int = 100) -> torch.Tensor:
    """The transitions [steps, 11] of a run that explores only."""
    explorer = with_fields(variant, exploration=Constant(1.0))
    trainer = Trainer([fresh(small_run(explorer, steps=1000))])
    events = trainer.advance(steps)[0]
    endings = {at: terminated for _, at, _, _, terminated in events.episodes}
    assert set(endings.values()) == {True, False}
    rows = trainer.state["replay.float32"][0, :steps]
    kind = torch.tensor([float(endings[at]) if at in endings else math.nan for at in range(1, steps + 1)])
    return torch.cat([rows, kind[:, None]], 1)


def test_truncation_bootstraps_and_termination_does_not() -> None:
    rows = stored_rows(SMALL)
    discount, ending = rows[:, -2], rows[:, -1]
    assert torch.equal(discount, torch.where(ending == 1.0, 0.0, SMALL.discount))


def test_the_switch_masks_truncation_too() -> None:
    rows = stored_rows(with_fields(SMALL, bootstrap_on_truncation=False))
    discount, ending = rows[:, -2], rows[:, -1]
    assert torch.equal(discount, torch.where(ending.isnan(), SMALL.discount, 0.0))


def test_both_flags_at_once_are_a_termination() -> None:
    """An episode that falls at its last permitted step: limits from 8 to 12 give such cases."""
    found = 0
    for limit in range(8, 13):
        env = Environment("CartPole-v1", max_env_steps=limit)
        variant = with_fields(SMALL, exploration=Constant(1.0), replay__warmup=200)
        trainer = Trainer([fresh(small_run(variant, seed=seed, steps=1000, env=env)) for seed in range(8)])
        for slot, events in trainer.advance(150).items():
            for _, at, length, _, terminated in events.episodes:
                assert (float(trainer.state["replay.float32"][slot, at - 1, -1]) == 0.0) == terminated
                found += terminated and length == limit
    assert found > 3


@pytest.mark.parametrize("final_reward", [-5.0, 0.0])
def test_the_final_reward_replaces_that_of_the_last_step(final_reward: float) -> None:
    """In the memory only: the recorded return is the environment's."""
    variant = with_fields(SMALL, final_reward=final_reward)
    rows = stored_rows(variant)
    reward, is_last = rows[:, -3], ~rows[:, -1].isnan()
    assert torch.equal(reward, torch.where(is_last, final_reward, 1.0))
    (outcome,) = train([small_run(variant)])
    assert all(value == length for _, _, length, value, _ in outcome.rows.episodes)


def test_no_final_reward_keeps_the_environments() -> None:
    assert bool((stored_rows(SMALL)[:, -3] == 1.0).all())


def test_before_the_warm_up_nothing_is_learned() -> None:
    run = small_run(with_fields(BASE, replay__warmup=200), steps=150)
    (outcome,) = train([run])
    assert int(outcome.state["updates"]) == 0
    assert torch.equal(outcome.state["online.0"], fresh(run).state["online.0"])
    assert len(outcome.rows.diagnostics) == 5
    assert all(math.isnan(value) for row in outcome.rows.diagnostics for value in row[2:6])


def test_double_dqn_values_the_online_networks_choice_by_the_target_network() -> None:
    """By hand, with linear networks of one feature: online values (1, 2, 0), target values (10, 30, 70) times the observation."""
    network = MLP(units=())
    bias = torch.zeros(1, 1, 3)
    online = [torch.tensor([[[1.0, 2.0, 0.0]]]), bias]
    target = [torch.tensor([[[10.0, 30.0, 70.0]]]), bias]
    obs_t = torch.tensor([[[1.0], [-1.0]]])
    plain, double = (with_fields(SMALL, network=network, double=switch) for switch in (False, True))
    lanes = {
        f"{name}.{i}": p for name, params in (("online", online), ("target", target)) for i, p in enumerate(params)
    }
    batch = Minibatch(obs_t, torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2), torch.ones(1, 2), obs_t)
    goals = [TakenAction().goal(Passes(lanes, variant), target, batch).tolist() for variant in (plain, double)]
    assert goals == [[[70.0, -10.0]], [[30.0, -70.0]]]
