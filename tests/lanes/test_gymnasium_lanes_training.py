"""A Gymnasium environment without tensor implementation trains like any other: exact, movable in mid-episode, resettable."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from chain_env import NUM_PLACES, TIME_LIMIT, registered_chain
from lane_runs import SMALL, Outcome, collect, finish, fresh, small_run, state_digest, train, with_fields

from rlbench.envs.gymnasium_lanes import LaneSnapshot
from rlbench.errors import RlbenchError
from rlbench.lanes.choices.networks import UniformPolicy
from rlbench.lanes.choices.variant import Environment, Run, Variant
from rlbench.lanes.streams import reset_seed
from rlbench.lanes.training.lane import Lane
from rlbench.lanes.training.trainer import Trainer

MIDWAY = 47


@pytest.fixture(autouse=True)
def chain() -> Iterator[Environment]:
    with registered_chain() as env_id:
        yield Environment(env_id)


def chain_run(env: Environment, seed: int, variant: Variant = SMALL, steps: int = 110) -> Run:
    return small_run(variant, seed=seed, steps=steps, env=env)


def with_places_of(seeds: list[int], env: Environment) -> list[Outcome]:
    return train([chain_run(env, seed) for seed in seeds])


def test_it_learns_and_records(chain: Environment) -> None:
    outcomes = with_places_of([0, 1, 2], chain)
    for seed, outcome in enumerate(outcomes):
        assert outcome.status == "done"
        assert int(outcome.state["updates"]) == 110 - 20 + 1
        assert not torch.equal(outcome.state["online.0"], fresh(chain_run(chain, seed)).state["online.0"])
        assert [row[0] for row in outcome.rows.evaluations] == [50] * 3 + [100] * 3
        assert all(row[2] <= TIME_LIMIT for row in outcome.rows.episodes)
    assert len({outcome.digest for outcome in outcomes}) == 3
    ends = {row[4] for outcome in outcomes for row in outcome.rows.episodes}
    assert ends == {True, False}


def test_alone_is_as_in_company_in_any_order_and_cut(chain: Environment) -> None:
    company = {seed: outcome.digest for seed, outcome in enumerate(with_places_of(list(range(9)), chain))}
    for seeds in ([3], [8], [7, 1, 0, 5]):
        assert [outcome.digest for outcome in with_places_of(seeds, chain)] == [company[seed] for seed in seeds]
    cut = train([chain_run(chain, seed) for seed in (4, 2)], cuts=(1, 13))
    assert [outcome.digest for outcome in cut] == [company[4], company[2]]


def test_rows_follow_the_chain(chain: Environment) -> None:
    """Observations, actions and rewards of the memory against the rules of the environment, from the resets of the run's own seeds."""
    run = chain_run(chain, 6, with_fields(SMALL, exploration__value=1.0), steps=1000)
    trainer = Trainer([fresh(run)])
    trainer.advance(100)
    rows = trainer.state["replay.float32"][0, :100].numpy()
    generators = (np.random.default_rng(reset_seed(6, 1, episode)) for episode in range(100))
    place, length = int(next(generators).integers(NUM_PLACES)), 0
    for row in rows:
        obs, obs_t, action, reward, discount = row[:5], row[5:10], row[10], row[11], row[12]
        assert obs.argmax() == place
        after, length = (max(0, place - 1) if action == 0 else place + 1), length + 1
        assert obs_t.argmax() == min(after, NUM_PLACES - 1)
        is_over = after == NUM_PLACES
        assert (reward, discount) == (np.float32(1.0 if is_over else -0.1), np.float32(0.0 if is_over else 0.99))
        place = after
        if is_over or length == TIME_LIMIT:
            place, length = int(next(generators).integers(NUM_PLACES)), 0


def test_a_lane_resumes_in_mid_episode_from_its_note(chain: Environment) -> None:
    """The note goes through JSON, as in a checkpoint; the state through its tensors."""
    uninterrupted = with_places_of([0, 1, 2], chain)
    trainer = Trainer([fresh(chain_run(chain, seed)) for seed in (0, 1, 2)])
    outcomes: dict[int, Outcome] = {}
    collect(trainer, MIDWAY, outcomes)
    lanes = [trainer.lane(slot) for slot in range(3)]
    assert any(lane.env_note is not None and lane.env_note["actions"] for lane in lanes)
    notes: list[LaneSnapshot] = [json.loads(json.dumps(lane.env_note)) for lane in lanes]
    resumed = [Lane(lane.run, lane.state, note) for lane, note in zip(lanes, notes, strict=True)]
    again = Trainer([resumed[2], fresh(chain_run(chain, 5)), resumed[0], resumed[1]])
    assert [state_digest(again.lane(slot).state) for slot in (2, 3, 0)] == [state_digest(lane.state) for lane in lanes]
    after = {2: outcomes[0], 3: outcomes[1], 0: outcomes[2], 1: Outcome()}
    finish(again, after)
    assert [after[slot].digest for slot in (2, 3, 0)] == [outcome.digest for outcome in uninterrupted]


def test_a_slot_is_filled_again(chain: Environment) -> None:
    reference = with_places_of([0, 3], chain)
    trainer = Trainer([fresh(chain_run(chain, 0)), fresh(chain_run(chain, 8))])
    outcomes: dict[int, Outcome] = {}
    collect(trainer, MIDWAY, outcomes)
    trainer.vacate(1)
    trainer.place(1, fresh(chain_run(chain, 3)))
    outcomes[1] = Outcome()
    finish(trainer, outcomes)
    assert [outcomes[0].digest, outcomes[1].digest] == [outcome.digest for outcome in reference]


def test_a_note_that_does_not_lead_to_the_state_is_refused(chain: Environment) -> None:
    trainer = Trainer([fresh(chain_run(chain, 0, steps=1000))])
    while True:
        trainer.advance(1)
        lane = trainer.lane(0)
        assert lane.env_note is not None
        if lane.env_note["actions"]:
            break
    place = int(lane.state["obs"][0].argmax())
    wrong = lane.state | {"obs": torch.eye(NUM_PLACES)[[(place + 1) % NUM_PLACES]]}
    with pytest.raises(RlbenchError, match="not a deterministic function"):
        Trainer([Lane(lane.run, wrong, lane.env_note)])


def test_a_diverged_lane_leaves_its_neighbours_alone(chain: Environment) -> None:
    failing = chain_run(chain, 7, with_fields(SMALL, optimizer__lr=1e30))
    outcomes = train([chain_run(chain, 0), failing, chain_run(chain, 1)])
    assert [outcome.status for outcome in outcomes] == ["done", "diverged", "done"]
    healthy = with_places_of([0, 1], chain)
    assert [outcomes[0].digest, outcomes[2].digest] == [outcome.digest for outcome in healthy]


def test_a_uniform_policy_runs_too(chain: Environment) -> None:
    random = with_fields(SMALL, network=UniformPolicy())
    together = train([chain_run(chain, seed, random) for seed in (0, 1)])
    (alone,) = train([chain_run(chain, 1, random)])
    assert alone.digest == together[1].digest
    assert len(alone.rows.evaluations) == 6


def test_the_chain_is_no_tensor_environment(chain: Environment) -> None:
    """What is tested here is the way through Gymnasium."""
    assert Trainer([fresh(chain_run(chain, 0))]).blocks[0].env is None
