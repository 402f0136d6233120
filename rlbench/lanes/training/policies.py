"""Who chooses actions: a network that takes all lanes at once, inside compiled steps, or one that takes them one by one, between the steps.

In go lanes, their stacked variant, and what they see; out come actions. A network that takes lanes one by one writes its running statistics
while it acts in training, where it has some; in evaluation and validation nothing is written.
"""

import functools
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

from rlbench.envs.lane_env import LaneEnv
from rlbench.lanes.choices.bases import Network
from rlbench.lanes.choices.choice import numbers, with_numbers
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.fast.compiling import Computation
from rlbench.lanes.fast.computations import ChunkComputations, chunk_computations
from rlbench.lanes.steps.acting import active_lanes
from rlbench.lanes.steps.player import Actions, Episodes, Step, decided_step
from rlbench.lanes.steps.weight_noise import drawn_in
from rlbench.lanes.tensors import Tensors, group
from rlbench.lanes.training.sight import Sight

Params = list[Tensor]


class TogetherPolicy:
    """All lanes at once. Compiled steps choose for themselves."""

    def __init__(self, cohort_key: Hashable) -> None:
        self._cohort_key = cohort_key

    def _each(self, episodes: Episodes) -> ChunkComputations:
        return chunk_computations(self._cohort_key, len(episodes.who))

    def steps(self, episodes: Episodes, env: LaneEnv, state: Tensor, going: Tensor) -> Step:
        """See `player.Policy`."""
        books = state, going, episodes.returns, episodes.lengths
        step: Step = self._each(episodes).episode_step.bind(episodes.lanes, episodes.variant, env, *books)
        return step

    def actions(self, episodes: Episodes) -> Actions:
        """See `player.Policy`."""
        actions: Actions = self._each(episodes).choose.bind(episodes.lanes, episodes.variant, "evaluation")
        return actions


def outputs(
    network: Network, params: Params, statistics: Params, obs: Tensor, role: str, *normals: Tensor
) -> tuple[Tensor, Params]:
    """Outputs [1, B, A * width] of one lane's observations [1, B, *shape], and the statistics after it."""
    return network.outputs(params, statistics, obs, role, *normals)


class ForwardPasses:
    """The compiled forward passes of one structure."""

    def __init__(self) -> None:
        self.of = {role: Computation(outputs, exact=False) for role in ("acting", "evaluation")}


@functools.cache
def forward_passes(cohort_key: Hashable) -> ForwardPasses:
    """One set for each structure."""
    return ForwardPasses()


class LaneByLanePolicy:
    """One lane after the other. `sight` makes what the network sees of the engine's observations."""

    def __init__(self, sight: Sight, network: Network, variant: Variant, cohort_key: Hashable) -> None:
        """`network` is that of any lane, `variant` is the stacked one of those that train."""
        self._sight, self._network, self._variant = sight, network, variant
        self._passes = forward_passes(cohort_key)

    def acting(self, state: Tensors, env: LaneEnv | None, explores: Tensor, uniform_action: Tensor) -> Tensor:
        """Actions [L] int64 of a step of training: the uniform one where a lane explores [L] bool, else the greedy one. Idle lanes do not
        act."""

        def look(slots: Tensor) -> Tensor:
            obs = state["obs"][slots] if env is None else env.observe(state["env"][slots])
            return self._sight.of_lanes(state, slots, obs)[:, None]

        wanted = active_lanes(state) & ~explores
        return self._choose(state, self._variant, "acting", look, wanted[:, None], uniform_action[:, None])[:, 0]

    def steps(self, episodes: Episodes, env: LaneEnv, state: Tensor, going: Tensor) -> Step:
        """See `player.Policy`."""
        lanes = episodes.lanes, episodes.variant

        def look(slots: Tensor) -> Tensor:
            return self._sight.of_episodes(env.observe(state[slots]))

        def step(explores: Tensor, uniform_action: Tensor, *uniforms: Tensor) -> None:
            if going.any():  # the caller looks at it now and then only
                action = self._choose(*lanes, "evaluation", look, going & ~explores, uniform_action)
                decided_step(env, state, going, episodes.returns, episodes.lengths, action, *uniforms)

        return step

    def actions(self, episodes: Episodes) -> Actions:
        """See `player.Policy`."""
        lanes = episodes.lanes, episodes.variant

        def actions(explores: Tensor, uniform_action: Tensor, obs: Tensor) -> Tensor:
            def look(slots: Tensor) -> Tensor:
                return self._sight.of_episodes(obs[slots])

            return self._choose(*lanes, "evaluation", look, ~explores, uniform_action)

        return actions

    def _choose(
        self,
        lanes: Tensors,
        variant: Variant,
        role: str,
        look: Callable[[Tensor], Tensor],
        wanted: Tensor,
        drawn: Tensor,
    ) -> Tensor:
        """`drawn` [L, E] int64, or the greedy action where wanted [L, E] bool.

        look: what the network sees of the lanes in slots [n] int64, [n, E, *shape].
        """
        slots = torch.nonzero(wanted.any(1))[:, 0]
        if len(slots) == 0:
            return drawn
        seen, action = look(slots), drawn.clone()
        params, statistics = group(lanes, "online"), group(lanes, "online_norm")
        estimator, of_lanes = variant.estimator, numbers(variant.estimator)
        normals = drawn_in(role, self._network, lanes, params)
        for i, slot in enumerate(slots.tolist()):
            own = [s[slot : slot + 1] for s in statistics]
            given = [p[slot : slot + 1] for p in params], own, seen[i : i + 1]
            found, after = self._passes.of[role](self._network, *given, role, *(n[slot : slot + 1] for n in normals))
            own_estimator = with_numbers(estimator, {name: value[slot : slot + 1] for name, value in of_lanes.items()})
            greedy = own_estimator.values(found)[0].argmax(1)
            action[slot] = torch.where(wanted[slot], greedy, drawn[slot])
            if role == "acting":
                for old, new in zip(own, after, strict=True):
                    old.copy_(new)
        return action
