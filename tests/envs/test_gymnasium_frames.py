"""Gymnasium environments on their own frames, through a plain statement of the crop and resize of the published scripts."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbench.config import resolve
from rlbench.envs import gymnasium_frames
from rlbench.envs.gymnasium_frames import FramedGymnasiumLanes, describe_rendered, rendered_patch
from rlbench.envs.window import Window
from rlbench.errors import ConfigError

from window_frames import WindowFrames  # isort: skip

TUTORIAL = Window(top=0.4, bottom=0.8, width=0.6, follow=True, rows=40, columns=90)
GREY = Window(top=0.0, bottom=1.0, width=1.0, follow=False, rows=84, columns=84, grey=True)


def plain_patch(lanes: FramedGymnasiumLanes, lane: int, window: Window) -> NDArray[np.uint8]:
    env = lanes._envs[lane]
    assert env is not None
    column = int(env.unwrapped.state[0] * 600 / 4.8 + 300) if window.follow else None  # type: ignore[attr-defined]
    return WindowFrames.resized(np.asarray(env.render()), window, column)


@pytest.mark.parametrize("window", [TUTORIAL, GREY], ids=["tutorial", "grey"])
def test_last_patches_of_cartpole(window: Window) -> None:
    """Two lanes, one stepping, over the end of an episode: the oldest patch first, a reset shows its first frame again and again."""
    lanes = FramedGymnasiumLanes("CartPole-v1", 2, None, window, 3)
    channels = 1 if window.grey else 3
    assert lanes.obs_size == 3 * channels * window.rows * window.columns
    for lane in (0, 1):
        first = lanes.reset(lane, 5).reshape(3, channels, window.rows, window.columns)
        np.testing.assert_array_equal(first, [plain_patch(lanes, lane, window)] * 3)
    seen = [plain_patch(lanes, 1, window)] * 3
    done = False
    while not done:
        obs, _, terminated, truncated = lanes.step(np.array([0, 1]), np.array([False, True]))
        seen = [*seen[1:], plain_patch(lanes, 1, window)]
        np.testing.assert_array_equal(obs[1].reshape(np.stack(seen).shape), seen)
        done = bool(terminated[1] or truncated[1])
    assert len({patch.tobytes() for patch in seen}) == 3


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7])
def test_a_restored_lane_shows_the_same_frames(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = FramedGymnasiumLanes("MountainCar-v0", 1, None, GREY, 3)
    obs = lanes.reset(0, 3)
    for _ in range(steps):
        obs = lanes.step(np.array([2]), np.array([True]))[0][0]
    other = FramedGymnasiumLanes("MountainCar-v0", 1, None, GREY, 3)
    rendered: list[None] = []

    def counted(*given: Any) -> NDArray[np.uint8]:
        rendered.append(None)
        return rendered_patch(*given)

    monkeypatch.setattr(gymnasium_frames, "rendered_patch", counted)
    np.testing.assert_array_equal(other.restore(0, lanes.snapshot(0), obs), obs)
    assert len(rendered) == min(steps + 1, 3)


def test_any_observation_space_will_do() -> None:
    info = describe_rendered("Taxi-v4" if _has("Taxi-v4") else "Taxi-v3").info
    assert (info.num_actions, info.max_episode_steps, info.fast) == (6, 200, False)


def _has(env_id: str) -> bool:
    import gymnasium

    return env_id in gymnasium.registry


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["env.id=Acrobot-v1", "observation.renderer=gymnasium"], "observation.follow"),
        (["env.id=Pendulum-v1", "observation.renderer=gymnasium", "observation.follow=false"], "only Discrete actions"),
        (["observation.renderer=window"], "tensors, gymnasium"),
        (["observation.bottom=0.4005"], "leave 0 x 360 pixels of a frame of 400 x 600"),
        (
            ["observation.renderer=gymnasium", "observation.width=0.0005"],
            "leave 160 x 0 pixels of a frame of 400 x 600",
        ),
        (["observation.rows=100000"], "observation.rows must be 1 <= x <= 1000"),
        (["observation.combine=stack", "observation.frames=1000"], "observation.frames must be 1 <= x <= 64"),
        (["observation.renderer=gymnasium", "replay.capacity=9000000"], "too large for stored frames"),
    ],
)
def test_refusals(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(["variant=hard_huber_pixel", *words])
