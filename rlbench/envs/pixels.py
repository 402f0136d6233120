"""An environment that is seen on frames: its observation is what the last K frames show, as the few numbers that determine them.

A renderer that is a pure function of these numbers turns them into pixels whenever pixels are needed, so a replay memory of pixel
transitions holds numbers and no frames. Must never render by itself.
"""

from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

from rlbench.deferred import Tensor, torch
from rlbench.envs.lane_env import LaneEnv


class FrameRenderer(Protocol):
    """Frames as a pure function of `num_drawn` numbers of a state; patches have `channels` channels.

    A renderer's tables lie on one device, on which it draws: what it is given must lie there too.
    """

    num_drawn: int
    channels: int

    def __hash__(self) -> int:
        """One renderer is one key."""

    def drawn(self, state: Tensor) -> Tensor:
        """What a frame shows of states [..., S] float64: [..., P] float32."""

    def __call__(self, drawn: Tensor) -> Tensor:
        """drawn [N, P] float32 -> patches [N, channels, rows, columns] float32, whole numbers 0 to 255."""


@runtime_checkable
class StagedRenderer(FrameRenderer, Protocol):
    """One that draws in three steps, `composed(*painted(drawn, *placed(drawn)))`: the first and last gain from a compiler, the second
    calls a library."""

    def placed(self, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """drawn [N, P] float32 -> where things are."""

    def painted(self, drawn: Tensor, place: Tensor, pole: Tensor, over: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `placed` says -> what they cover."""

    def composed(self, place: Tensor, pole: Tensor, over: Tensor) -> Tensor:
        """What `painted` says -> patches."""


@final
@dataclass(frozen=True, eq=False)
class FramedEnv(LaneEnv):
    """`inner` seen on its last `frames` frames. State: that of `inner`, then what the earlier frames show, oldest first.

    Observation [..., frames * P] float32, oldest frame first. Before the first step every earlier frame is the first one.
    """

    inner: LaneEnv
    renderer: FrameRenderer
    frames: int

    def __post_init__(self) -> None:
        drawn = self.renderer.num_drawn
        sizes: dict[str, Any] = {
            "env_id": self.inner.env_id,
            "max_episode_steps": self.inner.max_episode_steps,
            "obs_shape": (self.frames * drawn,),
            "num_actions": self.inner.num_actions,
            "state_size": self.inner.state_size + (self.frames - 1) * drawn,
            "num_reset_uniforms": self.inner.num_reset_uniforms,
            "num_step_uniforms": self.inner.num_step_uniforms,
        }
        for name, value in sizes.items():
            object.__setattr__(self, name, value)

    def reset(self, uniforms: Tensor) -> Tensor:
        state = self.inner.reset(uniforms)
        return torch.cat([state, *[self.renderer.drawn(state).double()] * (self.frames - 1)], -1)

    def observe(self, state: Tensor) -> Tensor:
        own, earlier = self._parts(state)
        return torch.cat([earlier.float(), self.renderer.drawn(own)], -1)

    def step(self, state: Tensor, action: Tensor, *uniforms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        own, earlier = self._parts(state)
        after, reward, terminated = self.inner.step(own, action, *uniforms)
        shown = torch.cat([earlier, self.renderer.drawn(own).double()], -1)
        return torch.cat([after, shown[..., self.renderer.num_drawn :]], -1), reward, terminated

    def _parts(self, state: Tensor) -> tuple[Tensor, Tensor]:
        return state[..., : self.inner.state_size], state[..., self.inner.state_size :]
