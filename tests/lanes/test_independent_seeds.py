"""Contract 2: runs of one seed are paired across variants, runs of different seeds share nothing, evaluation uses no training reset."""

import itertools
from typing import Any

import pytest
import torch
from chain_env import registered_chain
from lane_runs import CARTPOLE, SMALL, fresh, small_run, train, with_fields

from rlbench.envs.gymnasium_lanes import GymnasiumLanes
from rlbench.lanes.choices.choice import stack
from rlbench.lanes.choices.exploration import Constant
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.optimizers import SGD
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.variant import Environment, Evaluation, Variant
from rlbench.lanes.steps import player
from rlbench.lanes.steps.noise import acting_noise
from rlbench.lanes.training.lane_state import join
from rlbench.lanes.training.trainer import Trainer

# Variants that differ in everything but the observations, one without learning among them.
VARIANTS = {
    "small": SMALL,
    "huber_soft_double": with_fields(SMALL, loss=Huber(), target=Periodic(every=1, tau=0.1), double=True),
    "other_network": with_fields(SMALL, network=MLP(units=(9, 9), activation="tanh"), optimizer=SGD(lr=0.1)),
    "other_replay": with_fields(SMALL, replay=Uniform(capacity=50, warmup=33), batch_size=5, update_period=4),
}


def first_observations(variant: Variant, seed: int, namespace: str = "train") -> torch.Tensor:
    """Where each of the first episodes of a run begins, [episodes, 4], read from its replay memory."""
    roomy = with_fields(variant, replay__capacity=100)
    trainer = Trainer([fresh(small_run(roomy, seed=seed, steps=1000, namespace=namespace))])
    ends = [row[1] for row in trainer.advance(90)[0].episodes]
    return trainer.state["replay.float32"][0, [0, *ends[:-1]], :4]


@pytest.mark.parametrize("variant", list(VARIANTS)[1:])
def test_variants_of_one_seed_share_the_resets_of_their_episodes(variant: str) -> None:
    """Although their episodes have different lengths."""
    one, other = first_observations(SMALL, 5), first_observations(VARIANTS[variant], 5)
    common = min(len(one), len(other))
    assert common > 4
    assert torch.equal(one[:common], other[:common])
    assert len(one.unique(dim=0)) == len(one)


@pytest.mark.parametrize("variant", list(VARIANTS)[1:])
def test_variants_of_one_seed_that_only_explore_live_the_same_life(variant: str) -> None:
    """With epsilon 1 every action is a draw: episodes and transitions are equal, whatever is learned."""
    rows = []
    for one in (SMALL, VARIANTS[variant]):
        trainer = Trainer(
            [fresh(small_run(with_fields(one, exploration__value=1.0, replay__capacity=100), seed=5, steps=1000))]
        )
        episodes = trainer.advance(90)[0].episodes
        assert int(trainer.state["updates"][0]) > 10
        rows.append((episodes, trainer.state["replay.float32"][0, :90].tolist()))
    assert rows[0] == rows[1]


def test_a_smaller_epsilon_explores_at_a_subset_of_the_steps() -> None:
    runs = [small_run(with_fields(SMALL, exploration=Constant(value)), seed=5) for value in (0.3, 0.6)]
    noise = acting_noise(join([fresh(run).state for run in runs]), stack([run.variant for run in runs]), 500, 2, None)
    seldom, often = noise.explores.T
    assert not bool((seldom & ~often).any())
    assert 100 < int(seldom.sum()) < 200 < int(often.sum()) < 400
    assert torch.equal(noise.uniform_action[:, 0], noise.uniform_action[:, 1])


def test_variants_of_one_seed_share_initial_weights_where_shapes_agree() -> None:
    states = [fresh(small_run(variant, seed=5)).state for variant in VARIANTS.values()]
    for one, other in itertools.combinations(states, 2):
        for name in (f"online.{i}" for i in range(4)):
            if one[name].shape == other[name].shape:
                assert torch.equal(one[name], other[name])
    assert sum(state["online.0"].shape == states[0]["online.0"].shape for state in states) == 3


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_two_seeds_of_a_cell_share_weights_or_curves(variant: str) -> None:
    """Weights before the first step and at the end, tensor by tensor; episodes, evaluations, diagnostics; first draws."""
    runs = [small_run(VARIANTS[variant], seed=seed) for seed in range(8)]
    outcomes = train(runs)
    states = [fresh(run).state for run in runs]
    num_params = sum(name.startswith("online.") for name in states[0])
    for one, other in itertools.combinations(range(8), 2):
        for name in (f"online.{i}" for i in range(num_params)):
            assert not torch.equal(states[one][name], states[other][name])
            assert not torch.equal(outcomes[one].state[name], outcomes[other].state[name])
        assert not torch.equal(states[one]["env"], states[other]["env"])
        assert outcomes[one].rows.diagnostics != outcomes[other].rows.diagnostics
        assert not torch.equal(outcomes[one].state["replay.float32"], outcomes[other].state["replay.float32"])
    assert len({repr(outcome.rows.episodes) for outcome in outcomes}) == 8


def test_seed_namespaces_share_nothing() -> None:
    """Seed 3 of a study and seed 3 of a report are different runs from the first number on."""
    spaces = ("train", "tune")
    states = [fresh(small_run(seed=3, namespace=namespace)).state for namespace in spaces]
    assert [int(state["namespace"]) for state in states] == [1, 2]
    begins = [first_observations(SMALL, 3, namespace) for namespace in spaces]
    for (one, first_one), (other, first_other) in itertools.combinations(zip(states, begins, strict=True), 2):
        for name in ("online.0", "online.1", "online.2", "online.3", "env"):
            assert not torch.equal(one[name], other[name])
        assert not (first_one[:, None] == first_other[None]).any()


def test_an_unknown_namespace_is_refused() -> None:
    with pytest.raises(KeyError):
        fresh(small_run(namespace="trian"))


def test_evaluation_never_begins_where_training_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """No coordinate of any first state of an evaluation is one of a training episode; and all evaluations differ."""
    seen: list[torch.Tensor] = []
    original = player.first_states

    def spy(*arguments: Any) -> torch.Tensor:
        seen.append(original(*arguments).clone())
        return seen[-1]

    monkeypatch.setattr(player, "first_states", spy)
    variant = with_fields(SMALL, replay__capacity=1000)
    run = small_run(variant, steps=400, evaluation=Evaluation(period=40, episodes=4))
    trainer = Trainer([fresh(run)])
    ends = [row[1] for row in trainer.advance(400)[0].episodes]
    evaluated = torch.stack(seen).reshape(-1, 4).float()
    trained = trainer.state["replay.float32"][0, [0, *ends[:-1]], :4]
    assert evaluated.shape == (40, 4)
    assert len(evaluated.unique(dim=0)) == 40
    assert len(trained) > 30
    assert not (evaluated[:, None] == trained[None]).any()


def test_through_gymnasium_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reset seeds that training and evaluation copies of an environment are given."""
    given: dict[int, list[int]] = {}
    original = GymnasiumLanes.reset

    def spy(self: GymnasiumLanes, lane: int, seed: int) -> Any:
        given.setdefault(id(self), []).append(seed)
        return original(self, lane, seed)

    monkeypatch.setattr(GymnasiumLanes, "reset", spy)
    with registered_chain() as env_id:
        runs = [
            small_run(seed=seed, steps=200, env=Environment(env_id), evaluation=Evaluation(period=40, episodes=4))
            for seed in (0, 1)
        ]
        trainer = Trainer([fresh(run) for run in runs])
        events = trainer.advance(200)
    assert trainer.blocks[0].host is not None
    training, evaluating = (
        given[id(trainer.blocks[0].host.training_envs)],
        given[id(trainer.blocks[0].host.evaluation_envs)],
    )
    assert len(evaluating) == 2 * 5 * 4
    assert len(training) == 2 + sum(len(one.episodes) for one in events.values())
    assert len(set(training + evaluating)) == len(training) + len(evaluating)
    assert CARTPOLE.id != env_id
