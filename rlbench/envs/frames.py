"""Which environments can be drawn without a window: their renderers by id, and which of them have something to follow."""

from collections.abc import Callable

from rlbench.envs.acrobot_frames import acrobot_frames
from rlbench.envs.cartpole_frames import cartpole_frames
from rlbench.envs.mountain_car_frames import mountain_car_frames
from rlbench.envs.pixels import FrameRenderer
from rlbench.envs.window import Window

DRAWN_BY_TENSORS: dict[str, Callable[[Window], FrameRenderer]] = {
    "CartPole-v0": cartpole_frames,
    "CartPole-v1": cartpole_frames,
    "MountainCar-v0": mountain_car_frames,
    "Acrobot-v1": acrobot_frames,
}
FOLLOWED = ("CartPole-v0", "CartPole-v1")  # where a window with `follow` is centred on the cart


def frame_renderer(env_id: str, window: Window) -> FrameRenderer | None:
    """The renderer of this environment's frames; None where there is none."""
    make = DRAWN_BY_TENSORS.get(env_id)
    return None if make is None else make(window)
