"""The parts of a step that lanes with pixels have of their own: frames are drawn for many lanes at once, and convolved lane by lane.

An observation arrives as the numbers that determine its frames, [..., K P] float32 (see `rlbench.envs.pixels`); pixels live only from
here to the network. Acting in training mode writes the running statistics of the lanes that act greedily; evaluation and validation
write nothing.
"""

import functools
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

from rlbench.envs.lane_env import LaneEnv
from rlbench.lanes import evaluation, validating
from rlbench.lanes.acting import active_lanes
from rlbench.lanes.compiling import Computation
from rlbench.lanes.convolution import Conv
from rlbench.lanes.drawing import drawing
from rlbench.lanes.frame_memory import look_up
from rlbench.lanes.networks import Params
from rlbench.lanes.observing import Observed
from rlbench.lanes.replay import ROW_EXTRAS
from rlbench.lanes.update import Tensors, group
from rlbench.lanes.variant import Variant


def values(network: Conv, params: Params, statistics: Params, obs: Tensor, mode: str) -> tuple[Tensor, Params]:
    """Action values [1, B, A] of one lane's observations [1, B, C, rows, columns], and the running statistics after it."""
    return network.forward(params, statistics, obs, mode)


class ForwardPasses:
    """The compiled forward passes of one structure."""

    def __init__(self) -> None:
        self.acting = Computation(values, exact=False)
        self.evaluating = Computation(values, exact=False)


@functools.cache
def forward_passes(cohort_key: Hashable) -> ForwardPasses:
    """One set for each structure."""
    return ForwardPasses()


class PixelLanes:
    """Acting, learning and evaluating on pixels. `seen` says who draws what.

    Where lanes store frames, `env` and `renderer` are None: the engine's observations are places in the lanes' memories, and what
    evaluation and validation hand over are patches.
    """

    def __init__(self, seen: Observed, network: Conv, cohort_key: Hashable) -> None:
        assert seen.pixel is not None
        self.env, self.pixel, self.renderer, self.network = seen.env, seen.pixel, seen.renderer, network
        self._passes = forward_passes(cohort_key)

    def actions(self, state: Tensors, explores: Tensor, uniform_action: Tensor) -> Tensor:
        """Actions [L] int64 of a step: the uniform one where a lane explores [L] bool, else the greedy one. Idle lanes do not act."""
        active = active_lanes(state)
        mode = self.network.norm_acting

        def pixels_of(slots: Tensor) -> Tensor:
            if self.env is None:
                return self.pixel.observation(look_up(state["frames"], state["obs"][slots], slots))
            return self.observations(self.env.observe(state["env"][slots]))

        return self._choose(self._passes.acting, mode, state, pixels_of, active & ~explores, uniform_action)

    def validation_steps(self, steps: validating.Steps) -> validating.Steps:
        """Steps of validation episodes whose greedy actions are those on pixels, with the running statistics."""

        def seen(
            lanes: Tensors, variant: Variant, env: LaneEnv, state: Tensor, going: Tensor, *books: Tensor
        ) -> validating.Step:
            step = steps(lanes, variant, env, state, going, *books)

            def pixels_of(slots: Tensor) -> Tensor:
                return self.observations(env.observe(state[slots]))

            def seen_step(explores: Tensor, uniform_action: Tensor) -> None:
                greedy = going & ~explores
                step(
                    explores,
                    self._choose(self._passes.evaluating, "evaluation", lanes, pixels_of, greedy, uniform_action),
                )

            return seen_step

        return seen

    def validation_actions(self, lanes: Tensors) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """`acting.choose` of validation episodes, given explores, uniform actions, and patches obs [L, K C rows columns]."""

        def actions(explores: Tensor, uniform_action: Tensor, obs: Tensor) -> Tensor:
            def pixels_of(slots: Tensor) -> Tensor:
                return self.observations(obs[slots])

            return self._choose(self._passes.evaluating, "evaluation", lanes, pixels_of, ~explores, uniform_action)

        return actions

    def evaluation_actions(self, lanes: Tensors) -> evaluation.Actions:
        """Greedy actions on patches obs [L, E, K C rows columns]."""
        return lambda obs, uniform_action: self.greedy(lanes, obs)

    def _choose(
        self,
        forward: Callable[..., tuple[Tensor, Params]],
        mode: str,
        lanes: Tensors,
        pixels_of: Callable[[Tensor], Tensor],
        is_greedy: Tensor,
        action: Tensor,
    ) -> Tensor:
        """`action` [L] int64, or the greedy one where is_greedy [L] bool; in training mode statistics are written.

        pixels_of: what the network sees of the lanes in slots [n] int64, [n, C, rows, columns].
        """
        greedy = torch.nonzero(is_greedy)[:, 0]
        if len(greedy) == 0:
            return action
        pixels = pixels_of(greedy)
        action = action.clone()
        params, statistics = group(lanes, "online"), group(lanes, "online_norm")
        for i, slot in enumerate(greedy.tolist()):
            own = [s[slot : slot + 1] for s in statistics]
            q, after = forward(self.network, [p[slot : slot + 1] for p in params], own, pixels[i][None, None], mode)
            action[slot] = q[0, 0].argmax()
            if mode == "training":
                for old, new in zip(own, after, strict=True):
                    old.copy_(new)
        return action

    def evaluation_steps(self, steps: evaluation.Steps) -> evaluation.Steps:
        """Steps of evaluation episodes whose actions are the greedy ones on pixels."""

        def seen(
            lanes: Tensors, variant: Variant, env: LaneEnv, state: Tensor, going: Tensor, *books: Tensor
        ) -> evaluation.Step:
            step = steps(lanes, variant, env, state, going, *books)

            def seen_step(uniform_action: Tensor) -> None:
                if going.any():  # the caller looks at it now and then only
                    step(self.greedy(lanes, env.observe(state)))

            return seen_step

        return seen

    def greedy(self, lanes: Tensors, obs: Tensor) -> Tensor:
        """Greedy actions [L, E] for obs [L, E, K P], with the running statistics."""
        pixels = self.observations(obs.flatten(0, 1)).unflatten(0, obs.shape[:2])
        params, statistics = group(lanes, "online"), group(lanes, "online_norm")
        found = [
            self._passes.evaluating(
                self.network,
                [p[lane : lane + 1] for p in params],
                [s[lane : lane + 1] for s in statistics],
                pixels[lane : lane + 1],
                "evaluation",
            )[0].argmax(2)
            for lane in range(len(obs))
        ]
        return torch.cat(found)

    def observations(self, obs: Tensor) -> Tensor:
        """What the network sees of obs [N, K P]: [N, C, rows, columns] float32."""
        return self.pixel.observation(self._patches(obs))

    def transitions(self, rows: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the network sees before and after transitions, rows [L, B, 2 K P + 3] -> [L, B, C, rows, columns] float32 each.

        frames: the memories of these lanes where they store frames, [L, R, C, rows, columns] uint8.
        """
        features = (rows.shape[2] - ROW_EXTRAS) // 2
        size = 1 if self.renderer is None else self.renderer.num_drawn
        shown = torch.cat([rows[..., :features], rows[..., 2 * features - size : 2 * features]], 2)
        if self.renderer is None:
            assert frames is not None
            return self.pixel.transition(look_up(frames, shown))
        drawn = shown.flatten(0, 1).unflatten(1, (-1, size))
        before, after = drawing(self.renderer, self.pixel, len(drawn))(drawn)
        return before.unflatten(0, rows.shape[:2]), after.unflatten(0, rows.shape[:2])

    def _patches(self, drawn: Tensor) -> Tensor:
        """Patches [N, frames, colours, rows, columns] of drawn [N, frames * P], or of themselves, flattened, where nothing is drawn."""
        if self.renderer is None:
            return drawn.view(len(drawn), -1, self.pixel.colours, self.pixel.rows, self.pixel.columns)
        return self.renderer(drawn.reshape(-1, self.renderer.num_drawn)).unflatten(0, (len(drawn), -1))


def pixel_lanes(seen: Observed, variant: Variant, cohort_key: Hashable) -> PixelLanes | None:
    """What lanes with pixels need, None where nothing is learned from pixels."""
    return PixelLanes(seen, variant.network, cohort_key) if isinstance(variant.network, Conv) else None
