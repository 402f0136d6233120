"""Contract 5: greedy evaluation on a fixed grid, apart from training, which it does not touch."""

import gymnasium
import numpy as np
import pytest
import torch
from lane_runs import SMALL, fresh, small_run, state_digest, train, weights_of, with_fields
from plain_philox import stream_words

from rlbench.lanes.choices.exploration import Constant
from rlbench.lanes.choices.networks import MLP, UniformPolicy
from rlbench.lanes.choices.variant import Diagnostics, Environment, Evaluation
from rlbench.lanes.training.trainer import Trainer

RESET, UNIFORM_POLICY = 2, 5
EVALUATION_NAMESPACE = 0x10000 + 1
LIMIT = 60
RANDOM = with_fields(SMALL, network=UniformPolicy())


@pytest.mark.parametrize(("steps", "period", "grid"), [(120, 40, [40, 80, 120]), (119, 40, [40, 80]), (39, 40, [])])
def test_the_grid_is_fixed(steps: int, period: int, grid: list[int]) -> None:
    """Multiples of the period up to the budget, whatever happens, with every episode at each."""
    runs = [small_run(seed=seed, steps=steps, evaluation=Evaluation(period=period, episodes=3)) for seed in range(3)]
    for outcome in train(runs, cuts=(17,)):
        assert [row[:2] for row in outcome.rows.evaluations] == [(at, episode) for at in grid for episode in range(3)]
        assert all(value == length for _, _, value, length in outcome.rows.evaluations)


def test_a_budget_in_episodes_keeps_the_grid() -> None:
    (outcome,) = train([small_run(steps=None, episodes=9, evaluation=Evaluation(period=20, episodes=2))])
    end = int(outcome.state["env_steps"])
    assert [row[0] for row in outcome.rows.evaluations[::2]] == list(range(20, end + 1, 20))


def test_diagnostics_have_their_own_fixed_grid() -> None:
    (outcome,) = train([small_run(steps=100, diagnostics=Diagnostics(period=33))])
    assert [row[:2] for row in outcome.rows.diagnostics] == [(33, 14), (66, 47), (99, 80)]


@pytest.mark.parametrize("network", [MLP(units=(16,)), UniformPolicy()], ids=["mlp", "uniform"])
@pytest.mark.parametrize("evaluation", [Evaluation(7, 1), Evaluation(100, 10), Evaluation(1000, 3)], ids=str)
def test_evaluation_leaves_training_alone(network: MLP | UniformPolicy, evaluation: Evaluation) -> None:
    """Weights, optimiser, counters and training episodes are the same however often and long one looks."""
    variant = with_fields(SMALL, network=network)
    (usual,) = train([small_run(variant, seed=3)])
    (looked_at,) = train([small_run(variant, seed=3, evaluation=evaluation, diagnostics=Diagnostics(period=11))])
    assert looked_at.training_digest == usual.training_digest
    assert len(looked_at.rows.evaluations) != len(usual.rows.evaluations)


def test_an_evaluation_changes_no_bit_of_the_state() -> None:
    """The whole state, replay memory and environment included, right after an evaluation."""
    digests = []
    for period in (50, 1000):
        trainer = Trainer([fresh(small_run(steps=1000, evaluation=Evaluation(period, 3)))])
        trainer.advance(50)
        digests.append(state_digest(trainer.lane(0).state))
    assert digests[0] == digests[1]


def rollout(first: np.ndarray, policy: torch.nn.Module | list[int]) -> tuple[float, int]:
    """Return and length of one episode of Gymnasium's CartPole from a state, greedy for a network or by a list of actions."""
    env = gymnasium.make("CartPole-v1", max_episode_steps=LIMIT)
    env.reset()
    env.unwrapped.state = first  # type: ignore[attr-defined]
    obs, total, length, is_over = first.astype(np.float32), 0.0, 0, False
    while not is_over:
        action = policy[length] if isinstance(policy, list) else int(policy(torch.from_numpy(obs)).argmax())
        obs, reward, terminated, truncated, _ = env.step(action)
        total, length, is_over = total + float(reward), length + 1, terminated or truncated
    env.close()
    return total, length


def first_state(seed: int, ordinal: int, episode: int) -> np.ndarray:
    words = stream_words(seed=seed, namespace=EVALUATION_NAMESPACE, stream=RESET, step=ordinal, index=episode)
    return np.array([-0.05 + 0.1 * (word / 2**32) for word in words])


def test_evaluation_is_greedy_from_its_own_resets() -> None:
    """Returns of plain rollouts with the weights of that step, although training explores all the time."""
    variant = with_fields(SMALL, exploration=Constant(1.0), optimizer__lr=5e-3)
    network = variant.network
    assert isinstance(network, MLP)
    env, period = Environment("CartPole-v1", max_env_steps=LIMIT), 40
    runs = [small_run(variant, seed=seed, steps=1000, env=env, evaluation=Evaluation(period, 3)) for seed in (0, 8)]
    trainer = Trainer([fresh(run) for run in runs])
    lengths = set()
    for ordinal in (1, 2, 3):
        events = trainer.advance(period)
        for slot, run in enumerate(runs):
            module = network.module(obs_shape=(4,), num_actions=2)
            module.load_state_dict(weights_of(trainer.state, network, lane=slot))
            expected = [rollout(first_state(run.seed, ordinal, episode), module) for episode in range(3)]
            assert [row[2:] for row in events[slot].evaluations] == expected
            lengths |= {length for _, length in expected}
    assert len(lengths) > 3


def test_a_uniform_policy_is_evaluated_with_actions_of_its_own() -> None:
    """A stream of its own, counted by evaluation and step in the two halves of the step word."""
    env = Environment("CartPole-v1", max_env_steps=LIMIT)
    run = small_run(RANDOM, seed=4, env=env, evaluation=Evaluation(period=50, episodes=3))
    (outcome,) = train([run])
    expected = []
    for ordinal, episode in [(ordinal, episode) for ordinal in (1, 2) for episode in range(3)]:
        at = {"seed": 4, "namespace": EVALUATION_NAMESPACE, "stream": UNIFORM_POLICY, "index": episode}
        actions = [stream_words(**at, step=ordinal * 2**32 + step)[0] * 2 // 2**32 for step in range(LIMIT)]
        expected.append((50 * ordinal, episode, *rollout(first_state(4, ordinal, episode), actions)))
    assert outcome.rows.evaluations == expected


def test_a_uniform_policy_learns_nothing_and_scores_the_floor() -> None:
    """Random CartPole lasts 22 steps on average, with a standard deviation of 12: 160 episodes come within 4 standard errors."""
    env = Environment("CartPole-v1")
    runs = [small_run(RANDOM, seed=seed, env=env, evaluation=Evaluation(60, 10)) for seed in range(8)]
    outcomes = train(runs)
    assert all(int(outcome.state["updates"]) == 0 for outcome in outcomes)
    assert all(not name.startswith("online") for name in outcomes[0].state)
    assert all(np.isnan(row[2:6]).all() and row[1] == 0 for outcome in outcomes for row in outcome.rows.diagnostics)
    returns = [row[2] for outcome in outcomes for row in outcome.rows.evaluations]
    assert len(returns) == 160
    assert 18 < float(np.mean(returns)) < 27
    trained = [row[3] for outcome in outcomes for row in outcome.rows.episodes]
    assert 17 < float(np.mean(trained)) < 28
