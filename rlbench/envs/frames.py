"""Which environments can be drawn without a window: their renderers by id, and which of them have something to follow."""

import functools
from collections.abc import Callable

import torch

from rlbench.envs.acrobot_frames import AcrobotFrames
from rlbench.envs.cartpole_frames import CartPoleFrames
from rlbench.envs.mountain_car_frames import MountainCarFrames
from rlbench.envs.pixels import FrameRenderer
from rlbench.envs.window import Window
from rlbench.errors import ConfigError

CPU = torch.device("cpu")
Renderers = Callable[[Window, torch.device], FrameRenderer]
DRAWN_BY_TENSORS: dict[str, Renderers] = {
    "CartPole-v0": CartPoleFrames,
    "CartPole-v1": CartPoleFrames,
    "MountainCar-v0": MountainCarFrames,
    "Acrobot-v1": AcrobotFrames,
}
FOLLOWED = ("CartPole-v0", "CartPole-v1")  # where a window with `follow` is centred on the cart


def frame_renderer(env_id: str, window: Window, device: torch.device = CPU) -> FrameRenderer:
    """What draws this environment's frames on a device; its tables are shared by everybody in a process.

    Raises ConfigError where tensors do not draw the environment, nothing would be left of its frame, or there is nothing to follow.
    """
    if env_id not in DRAWN_BY_TENSORS:
        raise ConfigError(f"tensors draw {', '.join(DRAWN_BY_TENSORS)} and not '{env_id}'")
    if window.follow and env_id not in FOLLOWED:
        raise ConfigError(f"a window can follow something in {', '.join(FOLLOWED)} and not in '{env_id}'")
    return _renderer(DRAWN_BY_TENSORS[env_id], window, device)


@functools.cache
def _renderer(make: Renderers, window: Window, device: torch.device) -> FrameRenderer:
    return make(window, device)
