"""The recipes' updates against the sources' own loops, restated in plain PyTorch, number by number after every step.

Each statement is a class that keeps transitions in a list and learns as its source does: `nn.Sequential`, `torch.optim`, `backward()`. The
observations and actions are those of the engine's environment, and so are the indices of the minibatches, computed by `plain_philox`;
rewards, final flags, targets, losses, clipping, syncs and counters are the statement's own.
"""

import copy
import dataclasses
import math
from collections.abc import Mapping

import pytest
import torch
from lane_runs import fresh, weights_of
from plain_dqn import minibatch
from plain_philox import stream_words
from torch import Tensor, nn

from rlbench.config import resolve
from rlbench.lanes.choices.networks import MLP
from rlbench.lanes.choices.variant import Run
from rlbench.lanes.training.trainer import Trainer

REPLAY_STREAM = 4


@dataclasses.dataclass
class Step:
    """What the engine says of a step: observation before and after, action, and how the episode went on."""

    obs: Tensor
    next_obs: Tensor
    action: int
    is_last: bool
    terminated: bool
    step_of_episode: int


class Statement:
    """What the sources share: a network, its copy, and a list of transitions (observation, action, reward, next, final)."""

    capacity: int
    batch_size: int

    def __init__(self, net: nn.Sequential, seed: int) -> None:
        self.net, self.seed = net, seed
        self.target_net = copy.deepcopy(net)
        self.memory: list[tuple[Tensor, int, float, Tensor, bool]] = []
        self.pushed = self.minibatches = self.updates = self.syncs = 0
        self.episodes_done = 0

    def push(self, transition: tuple[Tensor, int, float, Tensor, bool]) -> None:
        place = self.pushed % self.capacity
        self.memory[place : place + 1] = [transition]
        self.pushed += 1

    def sample(self) -> list[tuple[Tensor, int, float, Tensor, bool]]:
        blocks = range(math.ceil(self.batch_size / 4))
        at = {"seed": self.seed, "namespace": 1, "stream": REPLAY_STREAM, "step": self.minibatches}
        words = [word for block in blocks for word in stream_words(**at, index=block)][: self.batch_size]
        self.minibatches += 1
        return [self.memory[i] for i in minibatch(words, len(self.memory), replacement=False)]

    def batch(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        states, actions, rewards, next_states, finals = zip(*self.sample(), strict=True)
        return (
            torch.stack(states),
            torch.tensor(actions)[:, None],
            torch.tensor(rewards),
            torch.stack(next_states),
            torch.tensor(finals),
        )

    def sync(self) -> None:
        self.target_net.load_state_dict(self.net.state_dict())
        self.syncs += 1


class Tutorial(Statement):
    """The tutorial's optimize_model: Huber loss, gradient elements clipped."""

    capacity, batch_size = 10_000, 128
    gamma: float
    limit: float
    masks_final: bool
    optimizer: torch.optim.Optimizer

    def optimize_model(self) -> None:
        if len(self.memory) < self.batch_size:
            return
        states, actions, rewards, next_states, finals = self.batch()
        values = self.net(states).gather(1, actions)
        with torch.no_grad():
            next_values = self.target_net(next_states).max(1).values
        if self.masks_final:
            next_values[finals] = 0
        loss = nn.SmoothL1Loss()(values, (next_values * self.gamma + rewards)[:, None])
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(self.net.parameters(), self.limit)
        self.optimizer.step()
        self.updates += 1


class MlpHard(Tutorial):
    gamma, limit, masks_final = 0.999, 1.0, False

    def __init__(self, net: nn.Sequential, seed: int) -> None:
        super().__init__(net, seed)
        self.optimizer = torch.optim.RMSprop(self.net.parameters())

    def step(self, step: Step) -> None:
        self.push((step.obs, step.action, 1.0, step.next_obs, step.terminated))
        self.optimize_model()
        if step.is_last:
            if self.episodes_done % 10 == 0:
                self.sync()
            self.episodes_done += 1


class MlpHardFixed(MlpHard):
    masks_final = True


class PytorchState(Tutorial):
    gamma, limit, masks_final = 0.99, 100.0, True

    def __init__(self, net: nn.Sequential, seed: int) -> None:
        super().__init__(net, seed)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-4, amsgrad=True)

    def step(self, step: Step) -> None:
        self.push((step.obs, step.action, 1.0, step.next_obs, step.terminated))
        self.optimize_model()
        target, policy = self.target_net.state_dict(), self.net.state_dict()
        for key in policy:
            target[key] = policy[key] * 0.005 + target[key] * (1 - 0.005)
        self.target_net.load_state_dict(target)


class KerasAdam:
    """Keras's Adam: eps is added to the root of the raw second moment."""

    def __init__(self, params: list[nn.Parameter]) -> None:
        self.params = params
        self.first = [torch.zeros_like(p) for p in params]
        self.second = [torch.zeros_like(p) for p in params]
        self.t = 0

    @torch.no_grad()
    def adopt(self, lane: Mapping[str, Tensor], network: MLP) -> None:
        """Go on from the engine's weights and moments: rounding grows over thousands of single-sample steps."""
        for which, own in (("online", self.params), ("optimizer.first", self.first), ("optimizer.second", self.second)):
            for mine, theirs in zip(own, weights_of(dict(lane), network, which).values(), strict=True):
                mine.copy_(theirs)

    @torch.no_grad()
    def step(self) -> None:
        self.t += 1
        rate = 0.01 * math.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        for p, m, v in zip(self.params, self.first, self.second, strict=True):
            assert p.grad is not None
            m.add_((p.grad - m) * (1 - 0.9))
            v.add_((p.grad**2 - v) * (1 - 0.999))
            p.sub_(m * rate / (v.sqrt() + 1e-7))


class KerasMountainCar(Statement):
    """`replay` fits one sample after the other to the target network's output with one entry replaced."""

    capacity, batch_size = 2_000, 32
    tau = 1.0

    def __init__(self, net: nn.Sequential, seed: int) -> None:
        super().__init__(net, seed)
        self.optimizer = KerasAdam(list(net.parameters()))

    def step(self, step: Step) -> None:
        self.push((step.obs, step.action, -20.0 if step.is_last else -1.0, step.next_obs, step.is_last))
        if len(self.memory) >= self.batch_size:
            for state, action, reward, new_state, done in self.sample():
                with torch.no_grad():
                    target = self.target_net(state)
                    future = self.target_net(new_state).max()
                    target[action] = reward if done else reward + future * 0.95
                self.net.zero_grad()
                nn.MSELoss()(self.net(state), target).backward()
                self.optimizer.step()
                self.updates += 1
        with torch.no_grad():
            for t, o in zip(self.target_net.parameters(), self.net.parameters(), strict=True):
                t.copy_(o if self.tau == 1 else o * self.tau + t * (1 - self.tau))


class KerasMountainCarFixed(KerasMountainCar):
    tau = 0.05


class Torchkeras(Statement):
    """`compute_loss` and `StepRunner`: the target is in the graph, one norm over both networks, and only Q's gradients are zeroed."""

    capacity, batch_size = 2_048, 128
    has_defects = True

    def __init__(self, net: nn.Sequential, seed: int) -> None:
        super().__init__(net, seed)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-2)
        self.global_step = 0
        self.is_filled = False
        self.largest_pile = 0.0

    def count_validation(self, steps: int) -> None:
        for _ in range(steps if self.has_defects else 0):
            self.count_loss()

    def count_loss(self) -> None:
        if self.global_step % 200 == 0:
            self.sync()
        self.global_step += 1

    def step(self, step: Step) -> None:
        self.push((step.obs, step.action, 1.0, step.next_obs, step.terminated))
        if self.is_filled and len(self.memory) > 512 and step.step_of_episode % 5 == 0:
            self.learn()
        if step.is_last and len(self.memory) >= 512:
            self.is_filled = True

    def learn(self) -> None:
        self.count_loss()
        states, actions, rewards, next_states, finals = self.batch()
        best = self.target_net(next_states).max(1, keepdim=True).values
        if not self.has_defects:
            best = best.detach()
        target = rewards[:, None] + (1.0 - finals.float()[:, None]) * 0.9 * best
        prediction = (self.net(states) * nn.functional.one_hot(actions[:, 0], 2)).sum(1, keepdim=True)
        nn.functional.smooth_l1_loss(target, prediction).backward()
        both = [*self.net.parameters(), *(self.target_net.parameters() if self.has_defects else ())]
        nn.utils.clip_grad_norm_(both, 1.0)
        piles = [float(p.grad.abs().max()) for p in self.target_net.parameters() if p.grad is not None]
        self.largest_pile = max([self.largest_pile, *piles])
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.updates += 1


class TorchkerasFixed(Torchkeras):
    has_defects = False


CASES: dict[str, tuple[type[Statement], int]] = {
    # recipe -> statement, steps
    "mlp_hard": (MlpHard, 330),
    "mlp_hard_fixed": (MlpHardFixed, 180),
    "pytorch_state": (PytorchState, 180),
    "keras_mountaincar": (KerasMountainCar, 75),
    "keras_mountaincar_fixed": (KerasMountainCarFixed, 50),
    "torchkeras": (Torchkeras, 760),
    "torchkeras_fixed": (TorchkerasFixed, 700),
}
# Updates, moved weights and syncs that a case must have seen, or it has shown nothing.
LEAST_SYNCS = {"mlp_hard": 2, "torchkeras": 2}


def recipe_run(recipe: str, seed: int) -> Run:
    run = resolve([f"recipe={recipe}"]).planned[0].run
    if recipe.startswith("keras"):
        # With the limit of 200 the statement would do thousands of updates before an episode ends.
        env, budget = (
            dataclasses.replace(run.env, max_env_steps=36),
            dataclasses.replace(run.budget, stop_at_return=None),
        )
        run = dataclasses.replace(run, env=env, budget=budget)
    return dataclasses.replace(run, seed=seed)


@pytest.mark.parametrize("recipe", CASES)
def test_every_update_is_that_of_the_source(recipe: str) -> None:
    kind, num_steps = CASES[recipe]
    run = recipe_run(recipe, seed=3)
    network = run.variant.network
    assert isinstance(network, MLP)
    lane = fresh(run)
    features = (lane.state["replay.float32"].shape[2] - 3) // 2
    num_actions = lane.state[f"online.{2 * len(network.units)}"].shape[2]
    net = network.module(obs_shape=(features,), num_actions=num_actions)
    first = weights_of(lane.state, network)
    net.load_state_dict(first)
    plain = kind(net, run.seed)
    trainer = Trainer([lane])
    step_of_episode, validated = 0, 0
    for number in range(num_steps):
        events = trainer.advance(1)[0]
        row = trainer.state["replay.float32"][0, number % plain.capacity].clone()
        step_of_episode += 1
        ended = events.episodes[-1] if events.episodes else None
        plain.step(
            Step(
                row[:features], row[features : 2 * features], int(row[-3]),
                is_last=ended is not None, terminated=ended is not None and ended[4], step_of_episode=step_of_episode,
            )
        )  # fmt: skip
        if ended is not None:
            assert ended[2] == step_of_episode
            step_of_episode = 0
        if isinstance(plain, Torchkeras):
            now = int(trainer.state["validation_steps"][0])
            plain.count_validation(now - validated)
            # The source copies before the first loss of each 200, the engine after the last.
            count = plain.global_step if plain.has_defects else plain.updates
            if count > 0 and count % 200 == 0:
                plain.target_net.load_state_dict(plain.net.state_dict())
            validated = now
        assert int(trainer.state["updates"][0]) == plain.updates, number
        for which, module in (("online", plain.net), ("target", plain.target_net)):
            ours = weights_of(trainer.state, network, which)
            for name, expected in module.state_dict().items():
                torch.testing.assert_close(
                    ours[name], expected, rtol=1e-3, atol=2e-4,
                    msg=lambda m, at=f"{which} {name}, step {number + 1}": f"{at}: {m}",
                )  # fmt: skip
        if isinstance(plain, KerasMountainCar):
            plain.optimizer.adopt(trainer.state, network)
    assert plain.updates > 20
    assert plain.syncs >= LEAST_SYNCS.get(recipe, 0)
    moved = max(float((net.state_dict()[name] - first[name]).abs().max()) for name in first)
    assert moved > 5e-3
    if isinstance(plain, Torchkeras):
        assert (plain.largest_pile > 0.01) == plain.has_defects
