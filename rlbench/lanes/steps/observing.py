"""What a run's agent sees of its environment: sizes, the tensor environment seen that way, and who draws its frames."""

import dataclasses
import functools

from rlbench.envs.frames import frame_renderer
from rlbench.envs.lane_env import LaneEnv
from rlbench.envs.pixels import FramedEnv, FrameRenderer
from rlbench.envs.registry import EnvInfo, describe, lane_env
from rlbench.envs.window import Window
from rlbench.lanes.choices.bases import Observation
from rlbench.lanes.choices.observations import Pixel
from rlbench.lanes.choices.variant import Environment, Run


@dataclasses.dataclass(frozen=True, eq=False)
class Observed:
    """`info` and `env` as the engine sees them: with pixels, an observation is the numbers that determine its frames.

    `shape` is what the network gets: (D,), or channels, rows and columns. `pixel` is None without pixels. `renderer` is None without
    tensor operations that draw: the numbers are then the places of frames that a lane has stored (see `rlbench.lanes.steps.frame_memory`).
    """

    info: EnvInfo
    env: LaneEnv | None
    shape: tuple[int, ...]
    renderer: FrameRenderer | None = None
    pixel: Pixel | None = None

    @property
    def stores_frames(self) -> bool:
        """Whether what is seen are frames of the environment's own, which lanes have to store."""
        return self.pixel is not None and self.renderer is None


def observed(run: Run) -> Observed:
    """What the run's agent sees. One that does not learn looks at nothing."""
    return _observed(run.env, _observation(run))


def _observation(run: Run) -> Observation | None:
    return run.variant.observation if run.variant.network.learns else None


def observed_env(run: Run, max_env_steps: int | None) -> LaneEnv | None:
    """The tensor environment as the run's agent sees it, with another time limit; None where there is none."""
    if observed(run).env is None:
        return None
    return _observed(Environment(run.env.id, max_env_steps), _observation(run)).env


@functools.cache
def _observed(env: Environment, observation: Observation | None) -> Observed:
    pixel = observation.pixels if observation is not None else None
    if pixel is not None and pixel.renderer == "gymnasium":
        from rlbench.envs.gymnasium_frames import describe_rendered  # Gymnasium takes 0.3 s to import

        rendered = describe_rendered(env.id, env.max_env_steps)
        window_of(pixel).crop(rendered.height, rendered.width)
        info = dataclasses.replace(rendered.info, obs_shape=(pixel.frames,))
        return Observed(info, None, pixel.shape, None, pixel)
    info = describe(env.id, env.max_env_steps, seen=observation is not None)
    inner = lane_env(env.id, env.max_env_steps)
    if pixel is None:
        return Observed(info, inner, info.obs_shape)
    renderer = frame_renderer(env.id, window_of(pixel))
    assert inner is not None
    framed = FramedEnv(inner, renderer, pixel.frames)
    info = dataclasses.replace(info, obs_shape=framed.obs_shape)
    return Observed(info, framed, pixel.shape, renderer, pixel)


def window_of(pixel: Pixel) -> Window:
    """The crop and size of a pixel observation."""
    return Window(
        top=pixel.top,
        bottom=pixel.bottom,
        width=pixel.width,
        follow=pixel.follow,
        rows=pixel.rows,
        columns=pixel.columns,
        grey=pixel.colour == "grey",
    )
