"""The keys of recipes on pixels: targets in the graph, losses over all actions, minibatches in parts, validation on frames."""

import copy

import pytest
import torch
from lane_runs import fresh, small_run, with_fields
from torch import Tensor, nn

from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import stack
from rlbench.lanes.choices.clipping import ClipNorm
from rlbench.lanes.choices.convolution import Conv
from rlbench.lanes.choices.exploration import Constant
from rlbench.lanes.choices.losses import Huber
from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.choices.optimizers import SGD
from rlbench.lanes.choices.replay import Uniform
from rlbench.lanes.choices.targets import Periodic
from rlbench.lanes.choices.validation import EpisodeValidation
from rlbench.lanes.choices.variant import Environment, Evaluation, Run, Variant, check_run
from rlbench.lanes.fast.chunks import bytes_per_lane, stored_columns
from rlbench.lanes.steps.noise import first_states, replay_places
from rlbench.lanes.steps.observing import observed, observed_env
from rlbench.lanes.steps.update import minibatch, update
from rlbench.lanes.tensors import group
from rlbench.lanes.training.lane_state import final_weights, initial_state
from rlbench.lanes.training.sight import sight_of
from rlbench.lanes.training.trainer import Trainer
from rlbench.lanes.training.validations import RESET_INDEX

NETWORK = Conv(channels=(5, 7), kernels=(5, 3), strides=(3, 2), hidden=(9,))
VARIANT = Variant(
    observation=Pixel(rows=20, columns=33),
    network=NETWORK,
    loss=Huber(),
    target=Periodic(every=1000, tau=1.0, unit="updates"),
    optimizer=SGD(lr=0.5),
    clip=ClipNorm(0.7),
    exploration=Constant(0.5),
    replay=Uniform(capacity=60, warmup=12),
    batch_size=6,
)


def conv_of(run: Run) -> Conv:
    network = run.variant.network
    assert isinstance(network, Conv)
    return network


def pixel_run(variant: Variant, *, steps: int = 40, seed: int = 5) -> Run:
    env = Environment("CartPole-v1", max_env_steps=30)
    run = small_run(variant, env=env, steps=steps, evaluation=Evaluation(period=20, episodes=1), seed=seed)
    check_run(run)
    return run


def named(run: Run, state: dict[str, Tensor], params: str, statistics: str) -> dict[str, Tensor]:
    return conv_of(run).named_weights(group(state, params), group(state, statistics))


def plain_update(
    run: Run, online: nn.Sequential, target: nn.Sequential, piles: dict[str, Tensor], rows: Tensor, pixels: list[Tensor]
) -> None:
    """One step of SGD in plain PyTorch, in place; `piles` [by parameter] are what the target's gradients were before and become."""
    variant, network = run.variant, conv_of(run)
    before, after = pixels
    action, reward, discount = rows[:, -3].long()[:, None], rows[:, -2], rows[:, -1]
    online.train(network.norm_learning == "training")
    target.train(network.norm_target == "training")
    q_t = target(after)
    best = online(after).argmax(1, keepdim=True) if variant.double else q_t.argmax(1, keepdim=True)
    goal = reward + discount * q_t.gather(1, best)[:, 0]
    q_tm1 = online(before)
    if variant.loss_over == "all":
        goal = target(before).scatter(1, action, goal[:, None])
    else:
        q_tm1 = q_tm1.gather(1, action)[:, 0]
    goal = goal.detach() if variant.detach_target else goal
    loss = nn.SmoothL1Loss()(q_tm1, goal)
    loss.backward()
    if not variant.detach_target:
        for name, p in target.named_parameters():
            assert p.grad is not None
            p.grad += piles[name]
    clipped = [*online.parameters(), *([] if variant.detach_target else target.parameters())]
    nn.utils.clip_grad_norm_(clipped, 0.7)
    torch.optim.SGD(online.parameters(), lr=0.5).step()
    for name, p in target.named_parameters():
        if p.grad is not None:
            piles[name] = p.grad.clone()


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("loss_over", ["taken", "all"])
@pytest.mark.parametrize("detach_target", [True, False])
@pytest.mark.parametrize("norm_target", ["training", "evaluation"])
def test_an_update_is_that_of_plain_modules(
    double: bool, loss_over: str, detach_target: bool, norm_target: str
) -> None:
    """Weights, running statistics and piled gradients, of networks that differ."""
    variant = with_fields(
        VARIANT, double=double, loss_over=loss_over, detach_target=detach_target, network__norm_target=norm_target
    )
    run = pixel_run(variant)
    state = initial_state(run)
    generator = torch.Generator().manual_seed(3)
    for name, tensor in state.items():
        if name.startswith("target."):
            tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
        if name.startswith(("target_gradient.", "target_norm.", "online_norm.")):
            tensor += 0.2 * torch.rand(tensor.shape, generator=generator)
    state["env_steps"] += 20
    module = conv_of(run).module(obs_shape=variant.observation.shape, num_actions=2)  # type: ignore[union-attr]
    online, target = copy.deepcopy(module), copy.deepcopy(module)
    online.load_state_dict(named(run, state, "online", "online_norm"), strict=False)
    target.load_state_dict(named(run, state, "target", "target_norm"), strict=False)
    statistics = [s.clone() for s in group(state, "target_norm")]
    piles = {} if detach_target else named(run, state, "target_gradient", "target_norm")
    rows = torch.randn(6, state["replay.float32"].shape[2], generator=generator)
    rows[:, -3] = torch.tensor([0.0, 1, 1, 0, 1, 0])
    rows[:, -1] = variant.discount * torch.tensor([1.0, 0, 1, 1, 1, 0])
    pixels = [torch.rand(6, 3, 20, 33, generator=generator) for _ in range(2)]
    start = named(run, state, "online", "online_norm")
    update(state, stack([variant]), *rows[None, :, -3:].unbind(2), pixels[0][None], pixels[1][None])
    plain_update(run, online, target, piles, rows, pixels)
    found = named(run, state, "online", "online_norm")
    for name, value in online.state_dict().items():
        if "num_batches" not in name:
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
    assert all((found[name] - start[name]).abs().max() > 1e-5 for name in found if name.startswith(("7.", "1.running")))
    assert all(torch.equal(a, b) for a, b in zip(statistics, group(state, "target_norm"), strict=True))
    if not detach_target:
        left = named(run, state, "target_gradient", "target_norm")
        for name in piles:
            if "running" not in name:
                torch.testing.assert_close(left[name], piles[name], rtol=1e-4, atol=1e-5)
    assert int(state["updates"]) == 1


def test_minibatches_in_parts_are_updates_one_after_the_other() -> None:
    variant = with_fields(VARIANT, steps_per_minibatch=3, optimizer__lr=0.05)
    run = pixel_run(variant)
    trainer = Trainer([fresh(run)])
    trainer.advance(20)
    begin = trainer.lane(0).state
    assert int(begin["updates"]) == 9 * 3
    trainer.advance(1)
    # The 10th minibatch of six transitions, in parts of two; the engine's own tick left the transition in its memory.
    places = replay_places(begin, stack([variant]), torch.tensor([[9]]).numpy(), torch.tensor([[21]]).numpy())[0, 0]
    assert len(places) == 6
    pixels = sight_of(observed(run))
    state = {name: tensor.clone() for name, tensor in begin.items()}
    state["env_steps"] += 1
    for part in trainer.state["replay.float32"][0, places].split(2):
        found = stored_columns(run).unpacked([part[None]])
        update(state, stack([variant]), *minibatch(found)[:3], *pixels.of_transitions(found, None))
    for name in ("online", "online_norm"):
        for own, engine in zip(group(state, name), group(trainer.state, name), strict=True):
            assert torch.equal(own, engine)
    assert not torch.equal(begin["online_norm.0"], state["online_norm.0"])


def test_validation_plays_on_pixels_and_keeps_weights_with_their_statistics() -> None:
    """Each validation is the greedy episode of a plain module in evaluation mode; the run ends with the best one's weights."""
    rule = EpisodeValidation(max_env_steps=25)
    variant = with_fields(VARIANT, validation=rule, network__norm_acting="training", optimizer__lr=0.05)
    run = pixel_run(variant, steps=200, seed=3)
    trainer, env, seen = Trainer([fresh(run)]), observed_env(run, 25), observed(run)
    assert env is not None
    assert env.max_episode_steps == 25
    pixels = sight_of(observed(run))
    module = conv_of(run).module(obs_shape=seen.shape, num_actions=2)  # type: ignore[arg-type]
    state, actions = trainer.state, set()
    lengths: list[int] = []
    kept: list[dict[str, Tensor]] = []
    for _ in range(200):
        number, steps = int(state["validations"]), int(state["validation_steps"])
        status = trainer.advance(1)[0].status
        if int(state["validations"]) > number and status is None:
            weights = final_weights(run, state, 0)
            module.load_state_dict(weights, strict=False)
            module.eval()
            at = state["seed"], state["namespace"], torch.tensor([number]), torch.tensor([RESET_INDEX])
            env_state, going, length = first_states(env, *at), True, 0
            while going:
                with torch.no_grad():
                    action = module(pixels.observations(env.observe(env_state))).argmax(1)
                actions.add(int(action))
                env_state, _, terminated = env.step(env_state, action)
                length += 1
                going = not bool(terminated) and length < 25
            assert int(state["validation_steps"]) - steps == length
            lengths.append(length)
            kept.append(weights)
    assert status == "done"
    assert len(lengths) > 4
    assert len(set(lengths)) > 1
    assert actions == {0, 1}
    best = kept[lengths.index(max(lengths))]
    assert all(torch.equal(value, best[name]) for name, value in final_weights(run, state, 0).items())
    assert "1.running_mean" in best
    assert not torch.equal(best["1.running_mean"], kept[-1]["1.running_mean"])


def test_memory_counts_kept_weights_and_piled_gradients() -> None:
    plain = bytes_per_lane(pixel_run(VARIANT))
    both = bytes_per_lane(pixel_run(with_fields(VARIANT, detach_target=False, validation=EpisodeValidation())))
    assert both - plain == 2 * 4 * NETWORK.parameter_count((3, 20, 33), 2)


@pytest.mark.parametrize(("batch_size", "parts"), [(1, 1), (6, 6)])
def test_statistics_of_a_single_number_are_refused(batch_size: int, parts: int) -> None:
    """A batch norm in training mode, over one transition of which a single pixel is left, divides by zero."""
    network = with_fields(NETWORK, kernels=(5, 6), strides=(3, 6))
    variant = with_fields(VARIANT, network=network, batch_size=batch_size, steps_per_minibatch=parts)
    variant = with_fields(variant, observation__columns=20)
    with pytest.raises(ConfigError, match="single pixel"):
        pixel_run(variant)
    evaluation = with_fields(variant, network__norm_learning="evaluation")
    assert pixel_run(evaluation).variant == evaluation
