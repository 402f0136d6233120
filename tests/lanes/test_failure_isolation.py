"""Contract 4: a lane that stops being finite is recorded at that step and leaves; its neighbours' bits do not change."""

import functools
import math
from typing import Any

import pytest
import torch
from lane_runs import SMALL, Outcome, collect, finish, fresh, small_run, train, weights_of, with_fields
from plain_dqn import PlainDQN

from rlbench.lanes.choices.clipping import ClipNorm
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.optimizers import SGD, Adam
from rlbench.lanes.choices.variant import Run, Variant
from rlbench.lanes.training.trainer import Trainer

VARIANTS = {
    "adam": SMALL,
    "sgd_huber": with_fields(SMALL, optimizer=SGD(), loss=Huber()),
    "clip_norm": with_fields(SMALL, clip=ClipNorm(1.0)),
    "tanh": with_fields(SMALL, network=MLP(units=(16,), activation="tanh"), optimizer=SGD()),
}
HEALTHY = (0, 1, 2)


def healthy_run(case: str, seed: int) -> Run:
    return small_run(VARIANTS[case], seed=seed)


def failing_run(case: str, seed: int = 7) -> Run:
    return small_run(with_fields(VARIANTS[case], optimizer__lr=1e30), seed=seed)


@functools.cache
def among_healthy(case: str) -> tuple[Outcome, ...]:
    """Three healthy runs and, in slot 1, one with a learning rate of 1e30."""
    runs = [healthy_run(case, seed) for seed in HEALTHY]
    return tuple(train([runs[0], failing_run(case), *runs[1:]]))


def first_infinite_loss(variant: Variant, run: Run) -> int:
    """The step at which a plain PyTorch learner of the same run meets a loss that is not finite."""
    lane = fresh(run)
    assert isinstance(variant.network, MLP)
    weights = weights_of(lane.state, variant.network)
    learner = PlainDQN(variant, weights=weights, obs_size=4, num_actions=2, seed=run.seed, namespace=1)
    trainer = Trainer([lane])
    for step in range(1, 60):
        trainer.advance(1)
        learner.store(trainer.state["replay.float32"][0, step - 1])
        learner.learn(episode_ended=False)
        if learner.updates and not math.isfinite(learner.last["loss"]):
            return step
    raise AssertionError("the plain learner stayed finite")


@pytest.mark.parametrize("case", VARIANTS)
def test_divergence_is_recorded_at_its_step(case: str) -> None:
    failed = among_healthy(case)[1]
    assert failed.status == "diverged"
    run = failing_run(case)
    at = first_infinite_loss(run.variant, run)
    assert int(failed.state["diverged_at"]) == int(failed.state["env_steps"]) == at
    assert int(failed.state["updates"]) == at - 20  # the update of that step, due from step 20 on, was not made
    assert not bool(failed.state["alive"])
    learned = [tensor for name, tensor in failed.state.items() if name.startswith(("online.", "target.", "optimizer."))]
    assert all(bool(tensor.isfinite().all()) for tensor in learned)  # as they were before the update that was not made


@pytest.mark.parametrize("case", VARIANTS)
def test_no_row_comes_after_divergence(case: str) -> None:
    """The rows before are those of the run with a sane learning rate up to its first update, at step 20."""
    failed = among_healthy(case)[1]
    at = int(failed.state["diverged_at"])
    assert 20 < at < 30
    assert all(row[1] <= at for row in failed.rows.episodes)
    assert failed.rows.evaluations == []
    assert failed.rows.diagnostics == []
    (sane,) = train([healthy_run(case, 7)])
    before = [row for row in failed.rows.episodes if row[1] <= 20]
    assert before == [row for row in sane.rows.episodes if row[1] <= 20] != []


@pytest.mark.parametrize("case", VARIANTS)
def test_neighbours_keep_their_bits(case: str) -> None:
    without = train([healthy_run(case, seed) for seed in HEALTHY])
    first, _, *rest = among_healthy(case)
    assert [outcome.digest for outcome in (first, *rest)] == [outcome.digest for outcome in without]
    assert all(outcome.status == "done" and int(outcome.state["updates"]) == 101 for outcome in without)


@pytest.mark.parametrize("case", VARIANTS)
def test_alone_it_diverges_the_same(case: str) -> None:
    (alone,) = train([failing_run(case)], cuts=(3,))
    assert alone.digest == among_healthy(case)[1].digest


def test_all_lanes_may_diverge() -> None:
    outcomes = train([failing_run("adam", seed) for seed in range(3)])
    assert [outcome.status for outcome in outcomes] == ["diverged"] * 3
    assert len({outcome.digest for outcome in outcomes}) == 3


def test_its_slot_is_used_again() -> None:
    """A run that takes the slot of a diverged one has the bits that it has alone."""
    trainer = Trainer([fresh(healthy_run("adam", 0)), fresh(failing_run("adam"))])
    outcomes: dict[int, Outcome] = {}
    collect(trainer, 40, outcomes)
    assert outcomes[1].status == "diverged"
    assert trainer.slots[1] is None
    trainer.place(1, fresh(healthy_run("adam", 2)))
    outcomes[1] = Outcome()
    finish(trainer, outcomes)
    assert outcomes[1].digest == among_healthy("adam")[3].digest
    assert outcomes[0].digest == among_healthy("adam")[0].digest


def test_a_row_at_the_step_of_divergence_is_not_written() -> None:
    """Evaluation and diagnostics are due at the very step: neither describes a network that is not finite."""
    at = int(among_healthy("adam")[1].state["diverged_at"])
    run = failing_run("adam")
    on_the_step = small_run(
        run.variant,
        seed=run.seed,
        evaluation=with_fields(run.evaluation, period=at),
        diagnostics=with_fields(run.diagnostics, period=at),
    )
    (outcome,) = train([on_the_step])
    assert int(outcome.state["diverged_at"]) == at
    assert outcome.rows.evaluations == []
    assert outcome.rows.diagnostics == []


@pytest.mark.parametrize("per_period", [1, 3])
def test_several_updates_a_step_stop_at_the_first_failure(per_period: int) -> None:
    variant = with_fields(SMALL, updates_per_period=per_period, update_period=5, optimizer__lr=1e30)
    (outcome,) = train([small_run(variant)])
    learner_step = first_infinite_loss(variant, small_run(variant))
    assert outcome.status == "diverged"
    assert int(outcome.state["diverged_at"]) == learner_step


@pytest.mark.parametrize("optimizer", [SGD(lr=1e39), Adam(lr=1e39)], ids=["sgd", "adam"])
def test_a_last_update_that_breaks_the_weights_is_divergence(optimizer: Any) -> None:
    """Warm-up 20, budget 20: the only update gives infinite weights, and no later loss tells."""
    (outcome,) = train([small_run(with_fields(SMALL, optimizer=optimizer), steps=20)])
    assert not all(bool(outcome.state[f"online.{i}"].isfinite().all()) for i in range(4))
    assert outcome.status == "diverged"


def test_weights_that_break_between_two_updates_are_found_before_a_row_describes_them() -> None:
    """Updates at steps 20, 30, ...: the first makes the weights infinite, and what follows are no results of a DQN."""
    variant = with_fields(SMALL, optimizer=SGD(lr=1e39), update_period=10)
    evaluation, diagnostics = small_run().evaluation, small_run().diagnostics
    run = small_run(
        variant, evaluation=with_fields(evaluation, period=25), diagnostics=with_fields(diagnostics, period=25)
    )
    (outcome,) = train([run])
    assert outcome.status == "diverged"
    assert int(outcome.state["diverged_at"]) == 25
    assert outcome.rows.evaluations == []
    assert outcome.rows.diagnostics == []


def test_huge_but_finite_numbers_are_not_divergence() -> None:
    """Rewards of 1e15 give losses of 1e30: float32 holds them, and the run goes on."""
    variant = with_fields(SMALL, final_reward=1e15, optimizer=SGD(lr=1e-30))
    (outcome,) = train([small_run(variant)])
    assert outcome.status == "done"
    assert int(outcome.state["diverged_at"]) == -1
    assert max(row[2] for row in outcome.rows.diagnostics) > 1e28
    assert all(bool(torch.isfinite(outcome.state[f"online.{i}"]).all()) for i in range(4))
