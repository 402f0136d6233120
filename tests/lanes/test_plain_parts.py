"""Every part of the DQN family, step by step, against an agent in plain PyTorch that is written from the papers."""

from typing import Any

import numpy as np
import pytest
import torch
from lane_runs import SMALL, fresh, small_run, weights_of, with_fields
from plain.agent import PlainAgent
from plain.n_step import Plain as PlainNStep
from plain_dqn import REPLAY_STREAM
from plain_philox import stream_words

from rlbench.lanes.choices.distributions import C51, QR
from rlbench.lanes.choices.estimators import Munchausen
from rlbench.lanes.choices.losses import CrossEntropy, Huber
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.prioritised import Prioritised
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.returns import NStep
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.variant import Environment, Variant
from rlbench.lanes.steps.transitions import read
from rlbench.lanes.training.trainer import Trainer


def prioritised(**numbers: float) -> Prioritised:
    return Prioritised(**{"beta_fraction": None, **numbers})


BASE = with_fields(SMALL, loss=Huber(), target=Periodic(every=1, tau=0.05), optimizer__lr=3e-3)


@pytest.mark.parametrize(
    "variant",
    [
        BASE,
        with_fields(BASE, double=True),
        with_fields(BASE, network=MLP(units=(16,), head="dueling", normalisation="layer")),
        with_fields(BASE, estimator=C51(11, -3.0, 20.0), loss=CrossEntropy()),
        with_fields(BASE, estimator=C51(11, -3.0, 20.0), loss=CrossEntropy(0.01), double=True),
        with_fields(BASE, estimator=QR(7), loss=Huber(0.5)),
        with_fields(BASE, estimator=Munchausen(temperature=0.3)),
        with_fields(BASE, replay=prioritised(capacity=200, warmup=20, beta_steps=50)),
        with_fields(BASE, replay=prioritised(capacity=25, warmup=9, alpha=0.9, beta_steps=80), double=True),
        with_fields(
            BASE,
            network=MLP(units=(16,), head="dueling"),
            estimator=C51(11, -3.0, 20.0),
            loss=CrossEntropy(),
            replay=prioritised(capacity=200, warmup=20, beta_steps=50),
            double=True,
        ),
    ],
    ids=[
        "dqn",
        "double",
        "dueling_and_norm",
        "c51",
        "c51_floor_double",
        "qr",
        "munchausen",
        "per",
        "per_ring_double",
        "rainbow",
    ],
)
def test_every_update_is_that_of_plain_pytorch(variant: Variant) -> None:
    runs = [
        small_run(with_fields(variant, discount=0.9 + 0.09 * lane), seed=10 + lane, steps=1000) for lane in range(2)
    ]
    trainer = Trainer([fresh(run) for run in runs])
    agents = [PlainAgent(run.variant, obs_size=4, num_actions=2) for run in runs]
    first = [weights_of(trainer.state, variant.network, lane=lane) for lane in range(2)]
    for agent, weights in zip(agents, first, strict=True):
        agent.online.load_state_dict(weights)
        agent.target.load_state_dict(weights)
    for step in range(70):
        trainer.advance(1)
        for lane, agent in enumerate(agents):
            row = trainer.state["replay.float32"][lane, step % variant.replay.capacity].numpy().copy()
            agent.store(row[:4], int(row[8]), row[9], row[4:8], row[10] == 0, False)
            if step + 1 < variant.replay.warmup:
                continue
            at = {"seed": runs[lane].seed, "namespace": 1, "stream": REPLAY_STREAM, "step": agent.updates}
            blocks = [stream_words(**at, index=block) for block in range(2)]
            agent.update(np.array([word for block in blocks for word in block]) / 2.0**32)
            ours = weights_of(trainer.state, variant.network, lane=lane)
            for name, expected in agent.online.state_dict().items():
                torch.testing.assert_close(ours[name], expected, rtol=1e-4, atol=1e-5, msg=f"{name}, step {step + 1}")
            if isinstance(variant.replay, Uniform):
                continue
            priorities = trainer.state["remembered.priority.0"][lane].flatten()[: variant.replay.capacity].numpy()
            np.testing.assert_allclose(priorities, agent.replay.priority, rtol=1e-3, atol=1e-4)
    for agent, weights in zip(agents, first, strict=True):
        assert agent.updates > 50
        assert max(float((agent.online.state_dict()[name] - weights[name]).abs().max()) for name in weights) > 1e-3


def test_plain_transitions_of_three_steps_by_hand() -> None:
    """Rewards 1, 2, 4, 8, 16 with discount 1/2; the episode is cut, so that its end still counts."""
    variant: Any = with_fields(SMALL, returns=NStep(3))
    plain, rewards = PlainNStep(variant), [1, 2, 4, 8, 16]
    steps = [(np.array([t]), t, np.float32(r), np.float32(0.5), np.array([t + 1])) for t, r in enumerate(rewards)]
    found = [one for t, step in enumerate(steps) for one in plain.completed(step, t == 4)]
    assert [(a, r, d, int(o[0])) for _, a, r, d, o in found] == [
        (0, 3.0, 0.125, 3), (1, 6.0, 0.125, 4), (2, 12.0, 0.125, 5), (3, 16.0, 0.25, 5), (4, 16.0, 0.5, 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "replay", [Uniform(25, warmup=9), prioritised(capacity=25, warmup=9, beta_steps=80)], ids=["uniform", "per"]
)
def test_every_drawn_transition_is_three_steps_of_one_episode(replay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a memory that goes round several times, with episodes that end and episodes that are cut, against the steps themselves."""
    variant = with_fields(BASE, replay=replay, returns=NStep(3))
    env = Environment("CartPole-v1", max_env_steps=14)
    runs = [
        small_run(with_fields(variant, discount=0.9 + 0.09 * lane), seed=lane, steps=1000, env=env) for lane in range(2)
    ]
    trainer, seen = Trainer([fresh(run) for run in runs]), []
    monkeypatch.setattr("rlbench.lanes.steps.update.read", lambda *given: seen.append(read(*given)) or seen[-1])
    steps: list[list[np.ndarray]] = [[], []]
    ends = {"terminated": 0, "cut": 0, "going on": 0}
    for step in range(120):
        trainer.advance(1)
        for lane in range(2):
            steps[lane].append(trainer.state["replay.float32"][lane, step % 25].numpy().copy())
        for found in seen[-1:] if step >= 8 else []:
            for lane in range(2):
                stored = {tuple(row[:4]): place for place, row in enumerate(steps[lane])}
                for drawn in range(8):
                    begin = stored[tuple(found["obs_tm1"][lane, drawn].numpy())]
                    assert step - 24 <= begin <= step - 2
                    r_t, discount_t = np.float32(0), np.float32(1)
                    for row in steps[lane][begin : begin + 3]:
                        r_t, discount_t = r_t + discount_t * row[9], discount_t * row[10]
                        if row[11]:
                            break
                    ends["terminated" if discount_t == 0 else "cut" if row[11] else "going on"] += 1
                    assert found["action"][lane, drawn].item() == steps[lane][begin][8]
                    assert found["reward"][lane, drawn].item() == pytest.approx(r_t, rel=1e-6)
                    assert found["discount_t"][lane, drawn].item() == pytest.approx(discount_t, rel=1e-6)
                    assert np.array_equal(found["obs_t"][lane, drawn].numpy(), row[4:8])
    assert min(ends.values()) > 20
