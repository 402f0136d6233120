"""What holds for every environment that is drawn by tensor operations."""

import pytest
import torch
from torch import Tensor

from rlbench.envs.frames import DRAWN_BY_TENSORS, FOLLOWED, frame_renderer
from rlbench.envs.pixels import FramedEnv
from rlbench.envs.registry import lane_env
from rlbench.envs.window import Window
from rlbench.errors import ConfigError

from elsewhere import DEVICE, Elsewhere, Held  # isort: skip

WHOLE = Window(0.0, 1.0, 1.0, False, 40, 90)
FOLLOWING = Window(0.4, 0.8, 0.6, True, 20, 45, grey=True)
CASES = [
    (env_id, window)
    for env_id in DRAWN_BY_TENSORS
    for window in (WHOLE, FOLLOWING)
    if env_id in FOLLOWED or not window.follow
]
everywhere = pytest.mark.parametrize(("env_id", "window"), CASES)


def states(env_id: str, count: int) -> Tensor:
    """States [count, S] float64 of random actions from random resets; episodes go on after their end."""
    env = lane_env(env_id, None)
    assert env is not None
    generator = torch.Generator().manual_seed(0)
    state = env.reset(torch.rand(count, env.num_reset_uniforms, generator=generator, dtype=torch.float64))
    for _ in range(25):
        state = env.step(state, torch.randint(0, env.num_actions, (count,), generator=generator))[0]
    return state


@everywhere
def test_a_patch_does_not_depend_on_its_company(env_id: str, window: Window) -> None:
    renderer = frame_renderer(env_id, window)
    drawn = renderer.drawn(states(env_id, 100))
    together = renderer(drawn)
    most_turned = int(drawn[:, -1].abs().argmax())
    for i in (0, 7, 33, 64, 99, most_turned):
        assert torch.equal(renderer(drawn[i : i + 1])[0], together[i])
    assert torch.equal(renderer(drawn[5:88]), together[5:88])


@everywhere
def test_patches_are_whole_numbers_of_eight_bits(env_id: str, window: Window) -> None:
    renderer = frame_renderer(env_id, window)
    patches = renderer(renderer.drawn(states(env_id, 20)))
    assert patches.shape == (20, renderer.channels, window.rows, window.columns)
    assert patches.dtype == torch.float32
    assert torch.equal(patches, patches.round())
    assert float(patches.min()) >= 0
    assert float(patches.max()) == 255
    assert not torch.equal(patches[0], patches[1])


@everywhere
def test_drawing_stays_on_the_device_of_its_input(env_id: str, window: Window) -> None:
    """States, observations and patches lie where the first state lay; and their numbers are those of the CPU."""
    env = lane_env(env_id, None)
    assert env is not None
    here = FramedEnv(env, frame_renderer(env_id, window), 2)
    before, action = states(env_id, 70), torch.arange(70) % env.num_actions
    with Elsewhere():
        renderer = frame_renderer(env_id, window, DEVICE)
        there = FramedEnv(env, renderer, 2)
        uniforms = torch.rand(70, env.num_reset_uniforms, dtype=torch.float64)
        begun = there.reset(uniforms.to(DEVICE))
        shown = torch.cat([before, before[:, : renderer.num_drawn]], 1)
        after, reward, terminated = there.step(shown.to(DEVICE), action.to(DEVICE))
        patches = renderer(there.observe(after).view(140, -1))
    expected = here.step(shown, action)
    for own, plain in zip(
        (begun, after, reward, terminated, patches),
        (here.reset(uniforms), *expected, here.renderer(here.observe(expected[0]).view(140, -1))),
        strict=True,
    ):
        assert isinstance(own, Held)
        assert torch.equal(own.held, plain)


def test_the_device_that_does_not_exist_refuses_company() -> None:
    with Elsewhere():
        there = torch.arange(3.0).to(DEVICE)
        assert torch.equal((there * 2 + torch.tensor(1.0)).held, torch.tensor([1.0, 3.0, 5.0]))  # type: ignore[attr-defined]
        with pytest.raises(RuntimeError, match="two devices"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError, match="two devices"):
            torch.ones(3)[there.long()]
        with pytest.raises(RuntimeError, match="two devices"):
            torch.stack([there[0], torch.tensor(1.0)])
        with pytest.raises(RuntimeError, match="moves a tensor away"):
            there.cpu()
        with pytest.raises(RuntimeError, match="moves a tensor away"):
            torch.ones(3).copy_(there)
        assert there.tolist() == [0.0, 1.0, 2.0]


def test_one_renderer_a_window_and_device() -> None:
    renderer = frame_renderer("CartPole-v1", WHOLE)
    assert renderer is frame_renderer("CartPole-v0", Window(0.0, 1.0, 1.0, False, 40, 90), torch.device("cpu"))
    assert renderer is not frame_renderer("CartPole-v1", FOLLOWING)


def test_what_tensors_do_not_draw_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tensors draw CartPole-v0, .* and not 'Pendulum-v1'"):
        frame_renderer("Pendulum-v1", WHOLE)


def test_where_there_is_nothing_to_follow() -> None:
    with pytest.raises(ConfigError, match="follow something in CartPole-v0, CartPole-v1 and not in 'Acrobot-v1'"):
        frame_renderer("Acrobot-v1", FOLLOWING)
