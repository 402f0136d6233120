"""Which environments can be drawn without a window: their renderers by id, and which of them have something to follow."""

import functools
import importlib

from rlbench.deferred import torch
from rlbench.envs.pixels import FrameRenderer
from rlbench.envs.window import Window
from rlbench.errors import ConfigError

DRAWN_BY_TENSORS: dict[str, str] = {
    "CartPole-v0": "rlbench.envs.cartpole_frames:CartPoleFrames",
    "CartPole-v1": "rlbench.envs.cartpole_frames:CartPoleFrames",
    "MountainCar-v0": "rlbench.envs.mountain_car_frames:MountainCarFrames",
    "Acrobot-v1": "rlbench.envs.acrobot_frames:AcrobotFrames",
}
FOLLOWED = ("CartPole-v0", "CartPole-v1")  # where a window with `follow` is centred on the cart


def frame_renderer(env_id: str, window: Window, device: "torch.device | None" = None) -> FrameRenderer:
    """What draws this environment's frames on a device (None: the CPU); its tables are shared by everybody in a process.

    Raises ConfigError where tensors do not draw the environment, nothing would be left of its frame, or there is nothing to follow.
    """
    if env_id not in DRAWN_BY_TENSORS:
        raise ConfigError(f"tensors draw {', '.join(DRAWN_BY_TENSORS)} and not '{env_id}'")
    if window.follow and env_id not in FOLLOWED:
        raise ConfigError(f"a window can follow something in {', '.join(FOLLOWED)} and not in '{env_id}'")
    return _renderer(DRAWN_BY_TENSORS[env_id], window, torch.device("cpu") if device is None else device)


@functools.cache
def _renderer(home: str, window: Window, device: "torch.device") -> FrameRenderer:
    module, _, name = home.partition(":")  # imported here: renderers are made of torch
    found: FrameRenderer = getattr(importlib.import_module(module), name)(window, device)
    return found
