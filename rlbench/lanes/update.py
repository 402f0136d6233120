"""One learning update of a chunk of lanes as one pure computation: TD target, loss, gradient, clipping, optimiser, target network.

In go the chunk's tensors (views into the trainer's state, leading axis lanes) and its stacked variant; the tensors are changed in place.
Every lane has its own numbers, counters and random stream; a lane that is not due keeps its bits. Reductions never cross lanes.
A lane whose loss stops being finite is not updated: it is marked with the step at which that happened and leaves (`alive`).
"""

import torch
from torch import Tensor

from rlbench import exact
from rlbench.lanes.convolution import Conv
from rlbench.lanes.networks import MLP
from rlbench.lanes.optimizers import Slots
from rlbench.lanes.replay import ROW_EXTRAS
from rlbench.lanes.targets import Periodic
from rlbench.lanes.validation import EpisodeValidation
from rlbench.lanes.variant import Variant

Tensors = dict[str, Tensor]


def group(tensors: Tensors, prefix: str) -> list[Tensor]:
    """The tensors `prefix.0`, `prefix.1`, ... in order."""
    found: list[Tensor] = []
    while f"{prefix}.{len(found)}" in tensors:
        found.append(tensors[f"{prefix}.{len(found)}"])
    return found


def bootstrap_values(
    variant: Variant, online_params: list[Tensor], target_params: list[Tensor], obs_t: Tensor
) -> Tensor:
    """The value of the next observation, obs_t [L, B, D] -> [L, B]: max over target values, or double DQN (van Hasselt et al., 2016)."""
    assert isinstance(variant.network, MLP)
    q_t = variant.network.q_values(target_params, obs_t)
    if not variant.double:
        return exact.pick(q_t, q_t.argmax(2))
    best = variant.network.q_values(online_params, obs_t).argmax(2)
    return exact.pick(q_t, best)


def convolved_values(
    lanes: Tensors, variant: Variant, online_params: list[Tensor], target_params: list[Tensor], obs_t: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """`bootstrap_values` of a convolutional network, obs_t [L, B, C, rows, columns]; and the online statistics after it.

    Only the online network's own passes in training mode write statistics: here that of double DQN.
    """
    network, statistics = variant.network, group(lanes, "online_norm")
    assert isinstance(network, Conv)
    q_t = target_values(lanes, variant, target_params, obs_t)
    if not variant.double:
        return exact.pick(q_t, q_t.argmax(2)), statistics
    q, statistics = network.forward(online_params, statistics, obs_t, network.norm_learning)
    return exact.pick(q_t, q.argmax(2)), statistics


def target_values(lanes: Tensors, variant: Variant, target_params: list[Tensor], obs: Tensor) -> Tensor:
    """The target network's values [L, B, A] of obs [L, B, D] or [L, B, C, rows, columns]; writes no statistics."""
    network = variant.network
    if isinstance(network, Conv):
        statistics = group(lanes, "target_norm" if isinstance(variant.target, Periodic) else "online_norm")
        return network.forward(target_params, statistics, obs, network.norm_target)[0]
    assert isinstance(network, MLP)
    return network.q_values(target_params, obs)


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


def loss_per_row(variant: Variant, q_tm1: Tensor, q_taken: Tensor, a_tm1: Tensor, goal: Tensor) -> Tensor:
    """The loss of each transition [L, B]: of its taken action, goal [L, B], or averaged over all actions, goal [L, B, A]."""
    if variant.loss_over == "taken":
        return variant.loss(q_taken - goal)
    error = q_tm1 - goal
    each = variant.loss(error.flatten(1)).view_as(error)
    # A sum of slices and not `mean`, whose order could hang on the layout.
    return sum(each.unbind(2)[1:], each[..., 0]) / each.shape[2]


def sampled_update(lanes: Tensors, variant: Variant, replay: Tensor, places: Tensor) -> None:
    """`update` on the rows of the replay [N, 2 D + 3] at these places [L, B] int64."""
    update(lanes, variant, replay.index_select(0, places.reshape(-1)).view(*places.shape, -1))


def update(lanes: Tensors, variant: Variant, rows: Tensor, *pixels: Tensor) -> None:
    """One update of every lane that is due: active, warmed up, and at a multiple of its update period.

    rows: [L, B, 2 D + 3] float32, each lane's minibatch of transitions, or its part where a minibatch is cut.
    pixels: where the network sees pixels, the observations before and after, [L, B, C, rows, columns] float32 each.
    """
    network = variant.network
    env_steps, updates = lanes["env_steps"], lanes["updates"]
    due = due_lanes(lanes, variant)
    batch_size = variant.batch_size // variant.steps_per_minibatch

    features = (rows.shape[2] - ROW_EXTRAS) // 2
    obs_tm1, obs_t = pixels or (rows[..., :features], rows[..., features : 2 * features])
    a_tm1, r_t, masked = rows[..., -3].long(), rows[..., -2], rows[..., -1]

    online, slots = group(lanes, "online"), optimizer_slots(lanes)
    has_target = isinstance(variant.target, Periodic)
    target = group(lanes, "target") if has_target else online

    def goal_of(target: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The goals, of the taken action [L, B] or of all [L, B, A], and the online statistics after the passes that they took."""
        statistics: list[Tensor] = []
        if isinstance(network, Conv):
            values, statistics = convolved_values(lanes, variant, online, target, obs_t)
        else:
            values = bootstrap_values(variant, online, target, obs_t)
        goal = r_t + variant.discount * (1 - masked) * values
        if variant.loss_over == "all":
            own = target_values(lanes, variant, target, obs_tm1)
            goal = own.scatter(2, a_tm1[..., None], goal[..., None])
        return goal, statistics

    detached = goal_of(target) if variant.detach_target else None
    learned = [p.detach().requires_grad_() for p in online]
    bent = target if variant.detach_target else [p.detach().requires_grad_() for p in target]
    with torch.enable_grad():
        goal, statistics = goal_of(bent) if detached is None else detached
        if isinstance(network, Conv):
            q_tm1, statistics = network.forward(learned, statistics, obs_tm1, network.norm_learning)
        else:
            assert isinstance(network, MLP)
            q_tm1 = network.q_values(learned, obs_tm1)
        q_taken = exact.pick(q_tm1, a_tm1)
        losses = loss_per_row(variant, q_tm1, q_taken, a_tm1, goal)
        wanted = learned if variant.detach_target else [*learned, *bent]
        # Each lane's loss is the mean of its rows; lanes have no weight in common.
        weight = torch.full_like(losses, 1 / batch_size)
        found = torch.autograd.grad(
            losses, wanted, weight, materialize_grads=True
        )  # a bias ahead of a batch norm has none
    gradients, in_target = list(found[: len(learned)]), found[len(learned) :]
    piled = [old + g for old, g in zip(group(lanes, "target_gradient"), in_target, strict=True)]
    losses, q_taken, q_tm1 = losses.detach(), q_taken.detach(), q_tm1.detach()
    loss, q_mean = (exact.sums(torch.stack([losses, q_taken], 1)) / batch_size).unbind(1)
    q_max = q_tm1.amax((1, 2))
    norm = exact.sqrt(exact.square_sums([*gradients, *piled]))[:, None]
    clipped = variant.clip([*gradients, *piled], norm)
    clipped, piled = clipped[: len(gradients)], clipped[len(gradients) :]
    powers = {name: lanes[f"power.{name}"] for name in variant.optimizer.power_names}
    new_online, new_slots, new_powers = variant.optimizer.step(online, clipped, slots, powers)

    finite = loss.isfinite()
    takes = due & finite
    keep = exact.kept(takes)[:, None, None]
    updates = updates + takes
    if isinstance(variant.target, Periodic) and variant.target.moves_after_updates:
        count = updates + lanes["validation_steps"] if counts_validation(variant) else updates
        moves = takes & is_due(count, variant.target)
        weight = exact.kept(torch.where(moves[:, None], variant.target.tau, 0.0).float()[..., None])
        for old, new in zip(target, new_online, strict=True):
            old.copy_(exact.lerp(old, torch.where(keep, new, old), weight))
        for old, new in zip(group(lanes, "target_norm"), statistics, strict=True):
            old.copy_(exact.lerp(old, torch.where(keep, new, old), weight))
    for old, new in zip(online, new_online, strict=True):
        old.copy_(torch.where(keep, new, old))
    for old, new in zip(group(lanes, "online_norm"), statistics, strict=True):
        old.copy_(torch.where(keep, new, old))
    for old, new in zip(group(lanes, "target_gradient"), piled, strict=True):
        old.copy_(torch.where(keep, new, old))
    for name, tensors in new_slots.items():
        for old, new in zip(slots[name], tensors, strict=True):
            old.copy_(torch.where(keep, new, old))
    for name, power in new_powers.items():
        powers[name].copy_(torch.where(takes[:, None], power, powers[name]))
    lanes["updates"].copy_(updates)
    lanes["diverged_at"].copy_(torch.where(due & ~finite, env_steps, lanes["diverged_at"]))
    lanes["alive"].copy_(lanes["alive"] & ~(due & ~finite))
    for name, value in (("loss", loss), ("q_mean", q_mean), ("q_max", q_max), ("grad_norm", norm[:, 0])):
        lanes[f"last.{name}"].copy_(torch.where(due, value, lanes[f"last.{name}"]))


def move_target(lanes: Tensors, variant: Variant, moves: Tensor) -> None:
    """Move the target networks of the lanes [L] bool by their tau: for rules that count environment steps or episodes."""
    assert isinstance(variant.target, Periodic)
    weight = torch.where(moves[:, None], torch.as_tensor(variant.target.tau), 0.0).float()[..., None]
    for part in ("", "_norm"):
        for old, new in zip(group(lanes, f"target{part}"), group(lanes, f"online{part}"), strict=True):
            old.copy_(exact.lerp(old, new, weight))


def counts_validation(variant: Variant) -> bool:
    """Whether the target rule counts validation steps as loss evaluations."""
    rule = variant.target
    return isinstance(rule, Periodic) and rule.unit == "losses" and isinstance(variant.validation, EpisodeValidation)


def is_due(count: Tensor, rule: Periodic) -> Tensor:
    """Whether the target moves at this count [L] int64 of the rule's unit."""
    if rule.offset == 0:
        return is_multiple(count, rule.every)
    return is_multiple(count - rule.offset, rule.every) & (count >= rule.offset)


def is_multiple(count: Tensor, every: float | Tensor) -> Tensor:
    """Whether count [L] int64 is a multiple of every [L, 1] float64.

    In float64, exact for counts below 2**53: the compiler's vectorised integer remainder divides by zero in its masked tail.
    """
    period = torch.as_tensor(every)[:, 0]
    return torch.floor(count / period) * period == count


def optimizer_slots(lanes: Tensors) -> Slots:
    """The optimiser's state, by slot."""
    names = dict.fromkeys(name.split(".")[1] for name in lanes if name.startswith("optimizer."))
    return {name: group(lanes, f"optimizer.{name}") for name in names}
