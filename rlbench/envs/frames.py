"""Which environments can be drawn without a window: their renderers by id."""

from rlbench.envs.cartpole_frames import cartpole_frames
from rlbench.envs.pixels import FrameRenderer
from rlbench.envs.window import Window

DRAWN_BY_TENSORS = {"CartPole-v0": cartpole_frames, "CartPole-v1": cartpole_frames}


def frame_renderer(env_id: str, window: Window) -> FrameRenderer | None:
    """The renderer of this environment's frames; None where there is none."""
    make = DRAWN_BY_TENSORS.get(env_id)
    return None if make is None else make(window)
