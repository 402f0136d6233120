"""Learning from an environment's own frames: stored once, never too early forgotten, exact, movable in mid-episode."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from chain_env import NUM_PLACES, SEEN_CHAIN_ID, picture, registered_chain
from lane_runs import SMALL, Outcome, collect, finish, fresh, small_run, state_digest, train, with_fields

from rlbench.envs.gymnasium_frames import describe_rendered, patch_of
from rlbench.errors import ConfigError, RlbenchError
from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.choices.networks import UniformPolicy
from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.validation import EpisodeValidation
from rlbench.lanes.choices.variant import Environment, Run, Variant
from rlbench.lanes.steps.frame_memory import look_up
from rlbench.lanes.steps.observing import observed, window_of
from rlbench.lanes.streams import reset_seed
from rlbench.lanes.training.lane import Lane
from rlbench.lanes.training.sight import sight_of
from rlbench.lanes.training.trainer import Trainer

MIDWAY = 47
PIXEL = Pixel(top=0.25, bottom=1.0, width=0.8, follow=False, rows=7, columns=10, combine="stack", frames=3,
              renderer="gymnasium")  # fmt: skip
SEEN = with_fields(
    SMALL,
    observation=PIXEL,
    network=Conv(channels=(3,), kernels=(3,), strides=(2,), hidden=(5,), norm_acting="training"),
    replay=Uniform(capacity=30, warmup=20),
    batch_size=4,
)


@pytest.fixture(autouse=True)
def chain() -> Iterator[Environment]:
    with registered_chain(seen=True) as env_id:
        yield Environment(env_id)


def seen_run(seed: int, variant: Variant = SEEN, steps: int = 110) -> Run:
    return small_run(variant, seed=seed, steps=steps, env=Environment(SEEN_CHAIN_ID))


def patches(states: list[tuple[int, int]]) -> np.ndarray:
    """The patches of these (place, steps since the reset)."""
    return np.stack([patch_of(picture(*state), window_of(PIXEL)) for state in states])


def transitions(seed: int, rows: torch.Tensor) -> Iterator[tuple[list[tuple[int, int]], list[tuple[int, int]]]]:
    """What the last three frames before and after each row showed, by the rules of the chain and the actions of the rows [n, D]."""
    generators = (np.random.default_rng(reset_seed(seed, 1, episode)) for episode in range(1000))
    shown = [(int(next(generators).integers(NUM_PLACES)), 0)] * 3
    for action, is_over in zip(rows[:, -3].tolist(), is_last(rows), strict=True):
        place, count = shown[-1]
        after = min(max(0, place - 1) if action == 0 else place + 1, NUM_PLACES - 1)
        yield shown, [*shown[1:], (after, count + 1)]
        shown = [*shown[1:], (after, count + 1)]
        if is_over:
            shown = [(int(next(generators).integers(NUM_PLACES)), 0)] * 3


def is_last(rows: torch.Tensor) -> list[bool]:
    """Whether the row after each begins another episode: its three frames are one."""
    first = (rows[:, 0] == rows[:, 1]) & (rows[:, 1] == rows[:, 2])
    return [*first[1:].tolist(), False]


@pytest.mark.parametrize("time_limit", [12, 1])
def test_stored_frames_are_those_of_the_environment(time_limit: int) -> None:
    """At a time limit of one step every transition has two frames of its own, so the ring is as full as it gets."""
    exploring, env = with_fields(SEEN, exploration__value=1.0), Environment(SEEN_CHAIN_ID, time_limit)
    runs = [small_run(exploring, seed=seed, steps=1000, env=env) for seed in (1, 3)]
    trainer = Trainer([fresh(run) for run in runs])
    rows: list[torch.Tensor] = []
    for step in range(100):
        trainer.advance(1)
        rows.append(trainer.state["replay.float32"][1, step % 30].clone())
    expected = list(transitions(3, torch.stack(rows)))[-30:]
    stored = torch.stack(rows[-30:])[None]
    found = look_up(trainer.state["frames"][1:], torch.cat([stored[..., :3], stored[..., 5:6]], 2))[0].numpy()
    np.testing.assert_array_equal(found[:, :3], np.stack([patches(before) for before, _ in expected]))
    np.testing.assert_array_equal(found[:, 3], np.stack([patches(after)[-1] for _, after in expected]))
    columns = {"obs_tm1": stored[..., :3], "obs_t": stored[..., 3:6]}
    before, after = sight_of(observed(runs[1])).of_transitions(columns, trainer.state["frames"][1:])
    np.testing.assert_array_equal(after[0].numpy(), found[:, 1:].reshape(30, 9, 7, 10) / np.float32(255))
    np.testing.assert_array_equal(before[0].numpy(), found[:, :3].reshape(30, 9, 7, 10) / np.float32(255))
    assert trainer.state["frames"].dtype == torch.uint8


def test_alone_is_as_in_company_in_any_order_and_cut() -> None:
    company = [outcome.digest for outcome in train([seen_run(seed) for seed in range(5)])]
    assert len(set(company)) == 5
    assert [outcome.digest for outcome in train([seen_run(3)])] == [company[3]]
    cut = train([seen_run(seed) for seed in (4, 2)], cuts=(1, 13))
    assert [outcome.digest for outcome in cut] == [company[4], company[2]]


def test_it_learns_and_records() -> None:
    (outcome,) = train([seen_run(0)])
    assert outcome.status == "done"
    assert int(outcome.state["updates"]) == 110 - 20 + 1
    assert [row[0] for row in outcome.rows.evaluations] == [50] * 3 + [100] * 3
    assert not torch.equal(outcome.state["online.0"], fresh(seen_run(0)).state["online.0"])
    assert not torch.equal(outcome.state["online_norm.0"], fresh(seen_run(0)).state["online_norm.0"])


def test_a_lane_resumes_in_mid_episode_from_its_note() -> None:
    """The note goes through JSON, as in a checkpoint; frames go with the state."""
    uninterrupted = train([seen_run(seed) for seed in (0, 1)])
    trainer = Trainer([fresh(seen_run(seed)) for seed in (0, 1)])
    collect(trainer, MIDWAY, {})
    lanes = [trainer.lane(slot) for slot in range(2)]
    assert any(lane.env_note is not None and lane.env_note["actions"] for lane in lanes)
    resumed = [Lane(lane.run, lane.state, json.loads(json.dumps(lane.env_note))) for lane in lanes]
    again = Trainer([resumed[1], fresh(seen_run(5)), resumed[0]])
    assert [state_digest(again.lane(slot).state) for slot in (2, 0)] == [state_digest(lane.state) for lane in lanes]
    after = {slot: Outcome() for slot in range(3)}
    finish(again, after)
    assert [state_digest(after[slot].kept) for slot in (2, 0)] == [state_digest(one.kept) for one in uninterrupted]


def test_a_note_that_does_not_lead_to_the_frames_is_refused() -> None:
    trainer = Trainer([fresh(seen_run(0))])
    trainer.advance(5)
    lane = trainer.lane(0)
    lane.state["frames"].zero_()
    with pytest.raises(RlbenchError, match="not a deterministic function"):
        Trainer([lane])


def test_validation_sees_frames_and_changes_nothing_for_others() -> None:
    validated = with_fields(SEEN, validation=EpisodeValidation(max_env_steps=8))
    together = train([seen_run(seed, validated) for seed in (0, 1, 2)])
    assert all(int(outcome.state["validations"]) > 0 for outcome in together)
    assert [outcome.digest for outcome in train([seen_run(2, validated)])] == [together[2].digest]


def test_who_does_not_learn_sees_and_stores_nothing() -> None:
    together = train([seen_run(seed, with_fields(SEEN, network=UniformPolicy())) for seed in (0, 1)])
    assert "frames" not in together[0].state
    assert together[0].state["obs"].numel() == 0
    assert len(together[0].rows.evaluations) == 6
    (alone,) = train([seen_run(1, with_fields(SEEN, network=UniformPolicy()))])
    assert alone.digest == together[1].digest


def test_the_floor_of_an_environment_without_numbers() -> None:
    """Random actions need no box, so that pixels of FrozenLake have something to be compared with."""
    run = small_run(with_fields(SEEN, network=UniformPolicy()), steps=60, env=Environment("FrozenLake-v1"))
    (outcome,) = train([run])
    assert outcome.status == "done"
    with pytest.raises(ConfigError, match="only a Box"):
        Trainer([fresh(small_run(SMALL, env=Environment("FrozenLake-v1")))])


def test_an_environment_without_pictures_is_refused() -> None:
    with (
        registered_chain() as env_id,
        pytest.raises(ConfigError, match=r"cannot render to an array; its render modes: none"),
    ):
        describe_rendered(env_id)
