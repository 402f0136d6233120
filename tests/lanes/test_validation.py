"""Validation, early ends and the episodes' own clock: counted and played again by independent statements."""

import dataclasses
from collections.abc import Iterator

import pytest
import torch
from chain_env import registered_chain
from lane_runs import SMALL, Outcome, collect, fresh, small_run, train, weights_of, with_fields
from plain_philox import stream_words

from rlbench.envs.cartpole import CartPole
from rlbench.errors import ConfigError
from rlbench.lanes.choices.exploration import Constant, Linear
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.targets import NoTarget, Periodic
from rlbench.lanes.choices.validation import EpisodeValidation
from rlbench.lanes.choices.variant import Budget, Environment, Evaluation, Run, Variant, check_run
from rlbench.lanes.training.trainer import Trainer

WARMUP = 20
RESET_STREAM, VALIDATION_STREAM = 2, 6
CAP = 9
VALIDATED = with_fields(
    SMALL,
    replay__warmup_ends="next_episode",
    validation=EpisodeValidation(max_env_steps=CAP, greedy=False),
    exploration=Linear(start=0.9, end=0.1, decay_fraction=None, decay_steps=150),
    epsilon_draws=2,
)


def copy_of(trainer: Trainer, which: str = "online") -> dict[str, torch.Tensor]:
    """The weights of lane 0 as they are now."""
    network = trainer.variant.network
    assert isinstance(network, MLP)
    return {name: tensor.clone() for name, tensor in weights_of(trainer.state, network, which).items()}


def play_again(run: Run, weights: dict[str, torch.Tensor], number: int, drawn: int, draws: int) -> tuple[float, int]:
    """Return and length of validation episode `number`, a step at a time: `drawn` validation steps before it, `draws` of the schedule."""
    env, network = CartPole(), run.variant.network
    assert isinstance(network, MLP)
    module = network.module(obs_shape=(4,), num_actions=2)
    module.load_state_dict(weights)
    at = {"seed": run.seed, "namespace": 1}
    uniforms = [word / 2**32 for word in stream_words(**at, stream=RESET_STREAM, step=number, index=1)]
    state = env.reset(torch.tensor(uniforms, dtype=torch.float64))
    exploration = run.variant.exploration
    assert isinstance(exploration, Linear)
    total, length = 0.0, 0
    while length < CAP:
        word, pick, *_ = stream_words(**at, stream=VALIDATION_STREAM, step=drawn + length, index=0)
        share = min(1.0, (draws + length) / exploration.decay_steps)
        explores = word / 2**32 < exploration.start + (exploration.end - exploration.start) * share
        with torch.no_grad():
            greedy = int(module(env.observe(state)).argmax())
        action = pick * 2 >> 32 if explores and not run.variant.validation.greedy else greedy
        state, reward, terminated = env.step(state, torch.tensor(action))
        total, length = total + float(reward), length + 1
        if terminated:
            break
    return total, length


@pytest.mark.parametrize("greedy", [False, True])
def test_every_validation_is_the_episode_played_again(greedy: bool) -> None:
    """Its length, its exploration, its best weights, and what it adds to the counters."""
    run = small_run(with_fields(VALIDATED, validation__greedy=greedy), seed=5, steps=1000)
    trainer = Trainer([fresh(run)])
    number = steps = 0
    best, kept, lengths = float("-inf"), None, []
    for step in range(1, 160):
        before = copy_of(trainer)
        events = trainer.advance(1)[0]
        state = trainer.state
        if events.episodes:
            _, at, length, _, _ = events.episodes[0]
            if at - length >= WARMUP:
                now = copy_of(trainer)
                draws = 2 * step + (0 if greedy else steps)
                value, took = play_again(run, now, number, steps, draws)
                number, steps = number + 1, steps + took
                lengths.append(took)
                if value > best:
                    best, kept = value, now
                assert any(not torch.equal(now[name], before[name]) for name in now)
        assert int(state["validations"]) == number, step
        assert int(state["validation_steps"]) == steps
        assert int(state["validation_draws"]) == (0 if greedy else steps)
        assert float(state["best_return"]) == best
    assert number > 8
    assert len(set(lengths)) > 1 or greedy
    assert kept is not None
    for name, tensor in copy_of(trainer, "best").items():
        assert torch.equal(tensor, kept[name])


def test_validation_lowers_epsilon_and_greedy_validation_does_not() -> None:
    for greedy in (False, True):
        run = small_run(with_fields(VALIDATED, validation__greedy=greedy), seed=1)
        (outcome,) = train([run])
        assert len(outcome.rows.diagnostics) == 4
        trainer = Trainer([fresh(run)])
        rows = {row[0]: row[6] for row in outcome.rows.diagnostics}
        validation_steps = 0
        for step in range(1, 121):
            draws = 2 * (step - 1) + (0 if greedy else validation_steps)
            if step in rows:
                expected = 0.9 - 0.8 * min(1.0, draws / 150)
                assert rows[step] == pytest.approx(expected, abs=1e-9)
            trainer.advance(1)
            validation_steps = int(trainer.state["validation_steps"])
        assert validation_steps > 20


def test_a_run_without_patience_left_stops_with_its_best_weights() -> None:
    patience = 4
    run = small_run(with_fields(VALIDATED, validation__patience=patience), seed=2, steps=None, episodes=400)
    (outcome,) = train([run])
    state = outcome.state
    assert int(state["validations"]) - int(state["best_at"]) == patience
    assert int(state["episodes"]) < 400
    assert outcome.status == "done"
    finals, best = weights_of(state, run.variant.network), weights_of(state, run.variant.network, "best")
    assert all(torch.equal(finals[name], best[name]) for name in finals)
    last = small_run(with_fields(run.variant, validation__keep_best=False), seed=2, steps=None, episodes=400)
    (other,) = train([last])
    assert repr(other.rows.episodes) == repr(outcome.rows.episodes)
    assert not all(
        torch.equal(tensor, finals[name]) for name, tensor in weights_of(other.state, run.variant.network).items()
    )
    (patient,) = train([small_run(VALIDATED, seed=2, steps=None, episodes=60)])
    assert int(patient.state["episodes"]) == 60


def test_evaluation_at_the_end_is_of_the_best_weights() -> None:
    """The same weights under the same seeds: equal to a grid evaluation of a run that ends there with these weights."""
    evaluation = Evaluation(period=1000, episodes=4, at_end=True)
    run = small_run(VALIDATED, seed=2, steps=113, evaluation=evaluation)
    (outcome,) = train([run])
    assert [row[:2] for row in outcome.rows.evaluations] == [(113, 0), (113, 1), (113, 2), (113, 3)]
    (without,) = train([dataclasses.replace(run, evaluation=Evaluation(period=1000, episodes=4))])
    assert without.rows.evaluations == []
    assert without.training_digest == outcome.training_digest


@pytest.mark.parametrize("cap", [3, 8, 500])
def test_evaluation_episodes_are_cut_at_their_own_limit(cap: int) -> None:
    run = small_run(SMALL, evaluation=Evaluation(period=60, episodes=3, max_env_steps=cap))
    (outcome,) = train([run])
    lengths = [row[3] for row in outcome.rows.evaluations]
    assert len(lengths) == 6
    assert max(lengths) <= min(cap, 12)
    assert (cap == 3) == (max(lengths) == 3)


def test_a_run_stops_at_its_first_solved_episode() -> None:
    run = small_run(SMALL, steps=None, episodes=100)
    (whole,) = train([run])
    returns = [row[3] for row in whole.rows.episodes]
    first = next(i for i, value in enumerate(returns) if value >= 11.0 and i > 2)
    stopping = dataclasses.replace(run, budget=Budget(None, 100, stop_at_return=11.0))
    (outcome,) = train([stopping], cuts=(7, 50))
    solved = next(i for i, value in enumerate(returns) if value >= 11.0)
    assert outcome.rows.episodes == whole.rows.episodes[: solved + 1]
    assert outcome.status == "done"
    assert first >= solved


def test_a_lane_that_stops_early_leaves_its_neighbours_alone() -> None:
    runs = [
        dataclasses.replace(small_run(SMALL, seed=seed, steps=None), budget=Budget(None, 30, stop_at_return=limit))
        for seed, limit in ((0, 11.0), (1, 1000.0), (2, 10.0))
    ]
    together, alone = train(runs), [train([run])[0] for run in runs]
    assert [outcome.digest for outcome in together] == [outcome.digest for outcome in alone]
    assert [len(outcome.rows.episodes) for outcome in together][1] == 30
    assert len(together[0].rows.episodes) < 30


def test_episodes_that_fill_the_memory_need_not_count() -> None:
    variant = with_fields(SMALL, replay__warmup_ends="next_episode")
    run = small_run(variant, steps=None, episodes=10)
    counting, other = run, dataclasses.replace(run, budget=Budget(None, 10, count_warmup_episodes=False))
    outcomes = [train([one])[0] for one in (counting, other)]
    assert len(outcomes[0].rows.episodes) == 10
    warm = sum(at - length >= WARMUP for _, at, length, _, _ in outcomes[1].rows.episodes)
    assert warm == 10
    assert len(outcomes[1].rows.episodes) > 10


def test_updates_by_the_clock_of_episodes() -> None:
    """Learning begins with the episode after the warm-up, then at every third step of an episode, twice."""
    variant = with_fields(
        SMALL, replay__warmup_ends="next_episode", update_clock="episode", update_period=3, updates_per_period=2
    )
    trainer = Trainer([fresh(small_run(variant, seed=seed, steps=1000)) for seed in (0, 1)])
    expected, length, begun, apart = [0, 0], [0, 0], [0, 0], 0
    for step in range(1, 300):
        events = trainer.advance(1)
        for slot in (0, 1):
            length[slot] += 1
            if begun[slot] >= WARMUP and length[slot] % 3 == 0:
                expected[slot] += 2
            if events[slot].episodes:
                length[slot], begun[slot] = 0, step
        assert trainer.state["updates"].tolist() == expected, step
        apart += expected[0] != expected[1]
    assert min(expected) > 100
    assert apart > 10


def test_minibatches_drawn_ahead_are_those_drawn_one_by_one() -> None:
    """Beyond a full memory places are drawn many at a time; cutting the work draws them anew, and changes nothing."""
    variant = with_fields(
        VALIDATED, replay__capacity=60, replay__replacement=False, update_clock="episode", update_period=2
    )
    runs = [small_run(variant, seed=seed, steps=400) for seed in (0, 1, 2)]
    whole, cut = train(runs), train(runs, cuts=(1,))
    assert [outcome.digest for outcome in whole] == [outcome.digest for outcome in cut]
    assert all(int(outcome.state["updates"]) > 120 for outcome in whole)


def test_a_target_that_counts_losses_moves_between_updates_too() -> None:
    """200 losses, 150 of them of validation, are 200: the target is the online network of the last multiple."""
    every = 13
    variant = with_fields(VALIDATED, target=Periodic(every=every, tau=1.0, unit="losses"))
    run = small_run(variant, seed=4, steps=1000)
    trainer = Trainer([fresh(run)])
    copy, moves_in_validation, count = copy_of(trainer), 0, 0
    for _ in range(200):
        updates, losses = int(trainer.state["updates"]), count
        trainer.advance(1)
        count = int(trainer.state["updates"]) + int(trainer.state["validation_steps"])
        if count // every > losses // every:
            copy = copy_of(trainer)
            moves_in_validation += (updates + 1) // every == updates // every
        for name, tensor in copy_of(trainer, "target").items():
            assert torch.equal(tensor, copy[name])
    assert moves_in_validation > 3


@pytest.fixture
def chain() -> Iterator[Environment]:
    with registered_chain() as env_id:
        yield Environment(env_id)


def test_a_gymnasium_environment_validates_alike(chain: Environment) -> None:
    """Alone, in company, and moved as a value in mid-episode."""
    runs = [small_run(VALIDATED, seed=seed, env=chain, steps=150) for seed in range(5)]
    company = [outcome.digest for outcome in train(runs)]
    assert [train([run])[0].digest for run in runs] == company
    first, outcomes = Trainer([fresh(run) for run in runs[:2]]), {0: Outcome(), 1: Outcome()}
    collect(first, 77, outcomes)
    second = Trainer([first.lane(1)])
    moved = {0: outcomes[1]}
    collect(second, 1000, moved)
    assert moved[0].digest == company[1]
    assert int(moved[0].state["validations"]) > 3


def check(variant: Variant = SMALL) -> None:
    check_run(small_run(variant, evaluation=Evaluation(period=50)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps_per_minibatch": 3}, "steps_per_minibatch 3 does not divide batch_size 8"),
        (
            {"detach_target": False, "target": NoTarget()},
            "detach_target=false needs a target network: target=hard or target=soft",
        ),
        ({"update_clock": "day"}, "update_clock must be one of run, episode; got 'day'"),
        ({"validation": EpisodeValidation(max_env_steps=0)}, "validation.max_env_steps must be >= 1; got 0"),
        ({"epsilon_draws": 0}, "epsilon_draws must be >= 1; got 0"),
    ],
)
def test_impossible_values_are_refused(changes: dict[str, object], message: str) -> None:
    check()
    with pytest.raises(ConfigError) as caught:
        check(with_fields(SMALL, **changes))
    assert str(caught.value) == message


def test_default_lanes_carry_nothing_of_this() -> None:
    names = set(fresh(small_run(with_fields(SMALL, exploration=Constant(0.5)))).state)
    assert not [name for name in names if name.startswith(("best", "validation", "due", "stop", "target_gradient"))]
