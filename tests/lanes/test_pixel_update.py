"""Learning from pixels, number by number, against the same algorithm in plain PyTorch on whole frames' patches.

The plain statement draws its patches through the same renderer (held against Gymnasium's own frames elsewhere) but stores them, as the
published scripts do, and uses `nn.Conv2d`, `nn.BatchNorm2d`, `torch.optim.RMSprop` and Python lists for everything else.
"""

import copy
import math

import pytest
import torch
from lane_runs import Outcome, collect, fresh, small_run, with_fields
from plain_dqn import REPLAY_STREAM, minibatch, torch_optimizer
from plain_philox import stream_words
from torch import Tensor, nn

from rlbench.config import resolve
from rlbench.envs.pixels import FramedEnv
from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.choices.exploration import Constant
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.optimizers import RMSprop
from rlbench.lanes.choices.variant import Environment, Evaluation, Run
from rlbench.lanes.steps.observing import observed
from rlbench.lanes.tensors import group
from rlbench.lanes.training.lane_state import final_weights
from rlbench.lanes.training.trainer import Trainer

# The bias of a convolution ahead of a batch norm changes nothing, so that its gradient is rounding error, which the tutorial's own eps
# would blow up to steps of full size; and its learning rate makes the two computations' rounding errors grow with each update.
TAME = RMSprop(lr=1e-3, eps=1e-2)


class PlainPixelDQN:
    """One run of the tutorial's algorithm: a list of (difference before, action, difference after, reward, is final)."""

    def __init__(self, run: Run, weights: dict[str, Tensor]) -> None:
        network, seen = run.variant.network, observed(run)
        assert isinstance(network, Conv)
        assert seen.pixel is not None
        self.run, self.network = run, network
        self.online = network.module(obs_shape=seen.pixel.shape, num_actions=2)
        self.online.load_state_dict(weights)
        self.target = copy.deepcopy(self.online)
        self.target.train(network.norm_target == "training")
        self.optimizer = torch_optimizer(run.variant.optimizer, list(self.online.parameters()))  # type: ignore[arg-type]
        self.memory: list[tuple[Tensor, int, Tensor, float, bool]] = []
        self.updates = self.finished = 0
        self.last = math.nan

    def act(self, obs: Tensor) -> int:
        self.online.train(self.network.norm_acting == "training")
        with torch.no_grad():
            return int(self.online(obs[None]).argmax())

    def learn(self) -> None:
        variant = self.run.variant
        if len(self.memory) < variant.replay.warmup:
            return
        count = math.ceil(variant.batch_size / 4)
        at = {"seed": self.run.seed, "namespace": 1, "stream": REPLAY_STREAM, "step": self.updates}
        words = [word for block in range(count) for word in stream_words(**at, index=block)]
        chosen = minibatch(words[: variant.batch_size], len(self.memory), replacement=variant.replay.replacement)
        before, action, after, reward, final = zip(*(self.memory[i] for i in chosen), strict=True)
        self.online.train(self.network.norm_learning == "training")
        with torch.no_grad():
            goal = torch.tensor(reward) + variant.discount * ~torch.tensor(final) * self.target(
                torch.stack(after)
            ).amax(1)
        taken = self.online(torch.stack(before)).gather(1, torch.tensor(action)[:, None])[:, 0]
        loss = nn.HuberLoss()(taken, goal) if isinstance(variant.loss, Huber) else nn.MSELoss()(taken, goal)
        self.optimizer.zero_grad()
        loss.backward()
        for p in self.online.parameters():
            assert p.grad is not None
            p.grad.clamp_(-1, 1)
        self.optimizer.step()
        self.updates += 1
        self.last = float(loss.detach())

    def episode_ended(self) -> None:
        if self.finished % 10 == 0:
            self.target.load_state_dict(self.online.state_dict())
        self.finished += 1


def replayed(trainer: Trainer, plain: PlainPixelDQN, steps: int, greedy_share: float = 0.25) -> None:
    """Advance the engine step by step and let the plain statement see the same states; assert the same actions and losses.

    The losses agree to 1e-7 at first; batch norm over few frames makes rounding errors grow, to 1e-4 after 13 updates.
    """
    run = plain.run
    seen = observed(run)
    env, renderer = seen.env, seen.renderer
    assert isinstance(env, FramedEnv)
    assert renderer is not None

    def patch(state: Tensor) -> Tensor:
        return renderer(renderer.drawn(state[:, : env.inner.state_size]))[0]

    before = patch(trainer.state["env"])
    difference = torch.zeros_like(before)
    outcomes = {0: Outcome()}
    greedy = 0
    for step in range(steps):
        now = patch(trainer.state["env"])
        episodes = int(trainer.state["episodes"])
        state = trainer.state["env"].clone()
        place = step % run.variant.replay.capacity
        collect(trainer, 1, outcomes)
        row = trainer.state["replay.float32"][0, place]
        action, reward, masked = int(row[-3]), float(row[-2]), float(row[-1]) == 0.0
        draw, pick, _, _ = stream_words(seed=run.seed, namespace=1, stream=3, step=step, index=0)
        assert isinstance(run.variant.exploration, Constant)
        if draw < math.floor(run.variant.exploration.value * 2**32):
            assert action == pick * 2 // 2**32
        else:
            assert action == plain.act(difference)
            greedy += 1
        after, _, _ = env.step(state, torch.tensor([action]))
        following = (patch(after) - now) / 255
        plain.memory.append((difference, action, following, reward, masked))
        plain.learn()
        difference = following
        if int(trainer.state["episodes"]) > episodes:
            plain.episode_ended()
            difference = torch.zeros_like(before)
        if plain.updates:
            assert float(trainer.state["last.loss"]) == pytest.approx(plain.last, rel=2e-3, abs=1e-5)
    assert greedy > steps * greedy_share


@pytest.mark.parametrize("recipe", ["pytorch_pixel", "pytorch_pixel_448"])
def test_updates_of_the_recipe_are_those_of_the_tutorial(recipe: str) -> None:
    """Acting in training mode, the sync after the first episode, RMSprop and clipped gradients, with a minibatch that a test can afford."""
    variant = resolve([f"recipe={recipe}"]).planned[0].run.variant
    variant = with_fields(variant, batch_size=8, replay__warmup=8, exploration=Constant(0.5), optimizer=TAME)
    env = Environment("CartPole-v0", max_env_steps=9)
    run = small_run(variant, env=env, steps=60, evaluation=Evaluation(period=20, episodes=1), seed=4)
    trainer = Trainer([fresh(run)])
    plain = PlainPixelDQN(run, final_weights(run, trainer.state, 0))
    start = {name: value.clone() for name, value in plain.online.state_dict().items()}
    replayed(trainer, plain, 20)
    assert plain.updates == int(trainer.state["updates"]) == 13
    assert plain.finished >= 2
    found = final_weights(run, trainer.state, 0)
    for name, value in plain.online.state_dict().items():
        if "num_batches" in name:
            continue
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-3)
        if "running" in name:
            assert (found[name] - start[name]).abs().max() > 1e-4
    assert len(found) == sum("num_batches" not in name for name in start)
    target = plain.target.state_dict()
    named = run.variant.network.named_weights(group(trainer.state, "target"), group(trainer.state, "target_norm"))  # type: ignore[call-arg]
    for name, value in named.items():
        torch.testing.assert_close(value, target[name], rtol=1e-3, atol=1e-3)
    assert not torch.equal(named["1.running_var"], torch.ones(16))  # the sync copied running statistics


def test_the_first_update_with_the_recipes_own_numbers() -> None:
    """A minibatch of 128 and RMSprop as published. But for the biases ahead of batch norms, whose gradients are rounding errors in PyTorch
    and zero here, every weight moves as the plain statement's does, by steps far larger than what they differ in."""
    variant = resolve(["recipe=pytorch_pixel"]).planned[0].run.variant
    variant = with_fields(variant, exploration=Constant(0.9))
    env = Environment("CartPole-v0", max_env_steps=40)
    run = small_run(variant, env=env, steps=200, evaluation=Evaluation(period=200, episodes=1), seed=4)
    trainer = Trainer([fresh(run)])
    plain = PlainPixelDQN(run, final_weights(run, trainer.state, 0))
    start = {name: value.clone() for name, value in plain.online.state_dict().items()}
    replayed(trainer, plain, 128, greedy_share=0.03)
    assert plain.updates == int(trainer.state["updates"]) == 1
    found, expected = final_weights(run, trainer.state, 0), plain.online.state_dict()
    for name, value in found.items():
        if name in ("0.bias", "3.bias", "6.bias"):
            assert torch.equal(value, start[name])
            continue
        moved = expected[name] - start[name]
        assert moved.abs().max() > 1e-3
        # RMSprop's first step is of one size, whatever the gradient's, so that a tiny gradient's rounding turns its sign.
        agree = ((value - start[name]) - moved).abs() <= 1e-2 * moved.abs().max()
        assert agree.float().mean() > 0.98, name


@pytest.mark.parametrize("norm_learning", ["training", "evaluation"])
@pytest.mark.parametrize("norm_target", ["training", "evaluation"])
def test_the_modes_of_batch_norm_are_those_of_plain_modules(norm_learning: str, norm_target: str) -> None:
    variant = resolve(["recipe=pytorch_pixel"]).planned[0].run.variant
    variant = with_fields(
        variant,
        batch_size=6,
        replay__warmup=8,
        exploration=Constant(0.5),
        optimizer=TAME,
        network__channels=(5, 7),
        network__kernels=(5, 3),
        network__strides=(3, 2),
        network__hidden=(9,),
        network__norm_learning=norm_learning,
        network__norm_target=norm_target,
        network__norm_acting="evaluation",
        observation__rows=20,
        observation__columns=33,
    )
    env = Environment("CartPole-v0", max_env_steps=9)
    run = small_run(variant, env=env, steps=40, evaluation=Evaluation(period=20, episodes=1), seed=5)
    trainer = Trainer([fresh(run)])
    plain = PlainPixelDQN(run, final_weights(run, trainer.state, 0))
    replayed(trainer, plain, 18)
    moved = not torch.equal(final_weights(run, trainer.state, 0)["1.running_mean"], torch.zeros(5))
    assert moved == (norm_learning == "training")
