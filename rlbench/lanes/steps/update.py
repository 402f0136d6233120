"""One learning update of a chunk of lanes as one pure computation: TD target, loss, gradient, clipping, optimiser, target network.

In go the chunk's tensors (views into the trainer's state, leading axis lanes) and its stacked variant; the tensors are changed in place.
Every lane has its own numbers, counters and random stream; a lane that is not due keeps its bits. Reductions never cross lanes.
A lane whose loss stops being finite is not updated: it is marked with the step at which that happened and leaves (`alive`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rlbench import exact
from rlbench.lanes.choices.bases import Minibatch
from rlbench.lanes.choices.optimizers import Slots
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.steps.columns import ReplayColumns
from rlbench.lanes.steps.learning import Found
from rlbench.lanes.steps.recipes.fitting import differentiation_of, fit_of
from rlbench.lanes.steps.transitions import read
from rlbench.lanes.tensors import Tensors, group


def due_lanes(lanes: Tensors, variant: Variant) -> Tensor:
    """Which lanes learn now [L] bool: active, warmed up, and at a multiple of the update period.

    Where that hangs on episodes, whoever keeps their books has said so in `due`.
    """
    if "due" in lanes:
        return lanes["active"] & lanes["alive"] & lanes["due"]
    env_steps = lanes["env_steps"]
    return (
        lanes["active"]
        & lanes["alive"]
        & (env_steps >= variant.replay.warmup)
        & (env_steps % variant.update_period == 0)
    )


def sampled_update(
    lanes: Tensors, variant: Variant, columns: ReplayColumns, memory: Sequence[Tensor], places: Tensor, *weights: Tensor
) -> Tensor | None:
    """`update` on the transitions that begin at these places [L, B] int64 of the memory's rows [N, width] of each dtype.

    weights: what the loss of each counts, [L, B], where transitions do not count alike.
    """
    found = read(variant, columns, memory, places)
    return update(lanes, variant, *minibatch(found), *weights)


def minibatch(found: Tensors) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The columns of transitions in the order of `update`."""
    return found["action"], found["reward"], found["discount_t"], found["obs_tm1"], found["obs_t"]


def update(
    lanes: Tensors,
    variant: Variant,
    action: Tensor,
    reward: Tensor,
    discount_t: Tensor,
    obs_tm1: Tensor,
    obs_t: Tensor,
    *weights: Tensor,
) -> Tensor | None:
    """One update of every lane that is due: active, warmed up, and at a multiple of its update period.

    action, reward, discount_t, weights: [L, B] float32; obs_tm1, obs_t: [L, B, *shape] float32, what the network sees before and after.
    Returns the errors of the transitions [L, B] where the replay remembers them.
    """
    batch = Minibatch(obs_tm1, action.long(), reward, discount_t, obs_t)
    found = differentiation_of(variant)(lanes, variant, fit_of(variant), batch, lambda losses: _counts(losses, weights))
    due = due_lanes(lanes, variant)
    described = _described(variant, batch, found)
    finite = described["loss"].isfinite()
    described["grad_norm"] = _take_step(lanes, variant, found, due & finite)
    lanes["diverged_at"].copy_(torch.where(due & ~finite, lanes["env_steps"], lanes["diverged_at"]))
    lanes["alive"].copy_(lanes["alive"] & ~(due & ~finite))
    for name, value in described.items():
        lanes[f"last.{name}"].copy_(torch.where(due, value, lanes[f"last.{name}"]))
    return found.errors if variant.replay.remembers else None


def _take_step(lanes: Tensors, variant: Variant, found: Found, takes: Tensor) -> Tensor:
    """Clip the gradients, and step and count the lanes that take the step [L] bool; their gradients' global norms [L]."""
    together = [*found.gradients, *found.beside]
    norm = exact.sqrt(exact.square_sums(together))[:, None]
    clipped = variant.clip(together, norm)
    gradients, beside = clipped[: len(found.gradients)], clipped[len(found.gradients) :]
    online, slots = group(lanes, "online"), optimizer_slots(lanes)
    powers = {name: lanes[f"power.{name}"] for name in variant.optimizer.power_names}
    new_online, new_slots, new_powers = variant.optimizer.step(online, gradients, slots, powers)

    keep = exact.kept(takes)[:, None, None]
    updates = lanes["updates"] + takes
    if variant.target.moves_after_updates:
        moves = takes & variant.target.is_due(variant.target.count({**lanes, "updates": updates}))
        _move(lanes, variant, moves, [*new_online, *found.statistics])
    _write(online, new_online, keep)
    _write(group(lanes, "online_norm"), found.statistics, keep)
    _write(group(lanes, "target_gradient"), beside, keep)
    for name, tensors in new_slots.items():
        _write(slots[name], tensors, keep)
    for name, power in new_powers.items():
        powers[name].copy_(torch.where(takes[:, None], power, powers[name]))
    lanes["updates"].copy_(updates)
    return norm[:, 0]


def _counts(losses: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """What each loss [L, B] counts in the mean of its lane."""
    share = torch.full_like(losses, 1 / losses.shape[1])
    return share * weights[0] if weights else share


def _described(variant: Variant, batch: Minibatch, found: Found) -> dict[str, Tensor]:
    """Diagnostics: mean loss, mean value of the taken actions, and largest value, [L] each."""
    values = variant.estimator.values(found.outputs)
    sums = exact.sums(torch.stack([found.losses, exact.pick(values, batch.a_tm1)], 1))
    loss, q_mean = (sums / found.losses.shape[1]).unbind(1)
    return {"loss": loss, "q_mean": q_mean, "q_max": values.amax((1, 2))}


def _write(olds: list[Tensor], news: list[Tensor], keep: Tensor) -> None:
    """Write new tensors over old ones where keep [L, 1, 1] bool."""
    for old, new in zip(olds, news, strict=True):
        old.copy_(torch.where(keep, new, old))


def move_target(lanes: Tensors, variant: Variant, moves: Tensor) -> None:
    """Move the target networks of the lanes [L] bool by their tau: for rules that count environment steps or episodes."""
    _move(lanes, variant, moves, [*group(lanes, "online"), *group(lanes, "online_norm")])


def _move(lanes: Tensors, variant: Variant, moves: Tensor, goals: Sequence[Tensor]) -> None:
    """Move the target networks of the lanes [L] bool by their tau towards parameters and statistics."""
    weight = exact.kept(torch.where(moves[:, None], torch.as_tensor(variant.target.tau), 0.0).float()[..., None])
    for old, new in zip([*group(lanes, "target"), *group(lanes, "target_norm")], goals, strict=True):
        old.copy_(exact.lerp(old, new, weight))


def optimizer_slots(lanes: Tensors) -> Slots:
    """The optimiser's state, by slot."""
    names = dict.fromkeys(name.split(".")[1] for name in lanes if name.startswith("optimizer."))
    return {name: group(lanes, f"optimizer.{name}") for name in names}
