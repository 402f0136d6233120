"""The state of lanes as a value: a dict of tensors, each with leading axis lanes, that can be joined, taken apart, saved and loaded.

Everything that changes while a run trains is in here (weights, optimiser, replay, environment, counters), so a checkpoint is "save these".
Environments that live outside tensors add a note per lane, kept beside it by the trainer.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from rlbench.lanes.choices.variant import Run
from rlbench.lanes.fast.chunks import stored_columns
from rlbench.lanes.steps.columns import name_of
from rlbench.lanes.steps.frame_memory import empty_memory
from rlbench.lanes.steps.noise import first_states
from rlbench.lanes.steps.observing import observed
from rlbench.lanes.streams import Namespace
from rlbench.lanes.tensors import Tensors, copies, group, numbered
from rlbench.lanes.training.episodic import episodic_state
from rlbench.rows import OF_UPDATE

ENDLESS = 2**62


def namespace_number(run: Run) -> int:
    """The number that stands for the run's seed namespace in its random streams."""
    return int(Namespace[run.namespace.upper()])


def initial_state(run: Run) -> Tensors:
    """The state of one run before its first step: every tensor [1, ...]."""
    seen = observed(run)
    info, env = seen.info, seen.env
    variant, namespace = run.variant, namespace_number(run)
    params, statistics = _initial_network(run)
    state = numbered("online", params)
    if variant.target.keeps_network:
        state |= numbered("target", copies(params)) | numbered("target_norm", copies(statistics))
    state |= numbered("online_norm", statistics)
    if variant.network.learns:
        for name, slots in variant.optimizer.slots(params).items():
            state |= numbered(f"optimizer.{name}", slots)
        state |= {f"power.{name}": torch.ones(1, 1, dtype=torch.float64) for name in variant.optimizer.power_names}
        if not variant.detach_target:
            state |= numbered("target_gradient", [torch.zeros_like(p) for p in params])
        state |= stored_columns(run).empty(variant.replay.capacity)
        state |= {f"remembered.{name}": tensor for name, tensor in variant.replay.memory().items()}
        state |= {f"last.{name}": torch.full((1,), torch.nan) for name in OF_UPDATE}

    def count(value: int) -> Tensor:
        return torch.tensor([value], dtype=torch.int64)

    state |= {"seed": count(run.seed), "namespace": count(namespace), "diverged_at": count(-1)}
    state |= {name: count(0) for name in ("env_steps", "updates", "episodes", "length")}
    state |= {
        "budget_steps": count(ENDLESS if run.budget.steps is None else run.budget.steps),
        "budget_episodes": count(ENDLESS if run.budget.episodes is None else run.budget.episodes),
        "episode_return": torch.zeros(1, dtype=torch.float64),
        "alive": torch.ones(1, dtype=torch.bool),
        "active": torch.ones(1, dtype=torch.bool),
    }
    state |= episodic_state(run, params, statistics)
    if env is not None:
        state["env"] = first_states(env, state["seed"], state["namespace"], state["episodes"], count(0))
    else:
        state["obs"] = torch.zeros(1, *info.obs_shape)
        if seen.pixel is not None:
            state |= empty_memory(seen.pixel, variant.replay.capacity)
    return state


def _initial_network(run: Run) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters and running statistics of the run's network before its first step."""
    seen, network = observed(run), run.variant.network
    params = network.init_params(
        seed=run.seed,
        namespace=namespace_number(run),
        obs_shape=seen.shape,
        num_actions=seen.info.num_actions,
        width=run.variant.estimator.width,
    )
    return params, network.init_statistics()


def final_weights(run: Run, state: Tensors, slot: int) -> Tensors:
    """The online weights of the lane in a slot, under the names of a plain PyTorch module; nothing where nothing is learned."""
    # Copies: the slot may have another run by the time the weights are stored.
    # Adding zero gives all zeros one sign, which compiled code may choose.
    params, statistics = (
        [t[slot : slot + 1] + 0.0 for t in group(state, prefix)] for prefix in ("online", "online_norm")
    )
    return run.variant.network.named_weights(params, statistics)


def of_now(run: Run, state: Tensors) -> Tensors:
    """A stored state of one lane with its steps in the columns of now: those of old held whether the bootstrap was masked."""
    if "replay" not in state:
        return state
    rows = state["replay"].clone()
    rows[..., -1] = torch.where(rows[..., -1] > 0, 0.0, torch.tensor(run.variant.discount, dtype=torch.float32))
    return {**{name: tensor for name, tensor in state.items() if name != "replay"}, name_of("float32"): rows}


def join(states: Sequence[Tensors]) -> Tensors:
    """The lanes of several states, in order, as one."""
    return {name: torch.cat([state[name] for state in states]) for name in states[0]}


def take(state: Tensors, lanes: Iterable[int]) -> Tensors:
    """The chosen lanes, in that order, as a state of their own (copies)."""
    chosen = torch.tensor(list(lanes), dtype=torch.int64)
    return {name: tensor[chosen] for name, tensor in state.items()}
