"""How steps are stored and become transitions: the columns of a run, what a step writes, and what a minibatch reads."""

from collections.abc import Sequence

from rlbench.deferred import Tensor, torch
from rlbench.lanes.choices.variant import Variant
from rlbench.lanes.steps.columns import ReplayColumn, ReplayColumns
from rlbench.lanes.tensors import Tensors


def columns_of(variant: Variant, obs_shape: tuple[int, ...], obs_dtype: str) -> ReplayColumns:
    """The columns of a stored step of these observations."""
    seen = (ReplayColumn(name, obs_shape, obs_dtype) for name in ("obs_tm1", "obs_t"))
    return ReplayColumns((*seen, *map(ReplayColumn, ("action", "reward", "discount_t", *variant.returns.columns))))


def read(variant: Variant, columns: ReplayColumns, memory: Sequence[Tensor], places: Tensor) -> Tensors:
    """The transitions that begin at places [L, B] int64 of the memory, rows [N, width] of each dtype: columns [L, B, *shape] by name."""
    steps = [_rows(columns, memory, places)]
    capacity = variant.replay.capacity
    if variant.returns.num_steps > 1:  # in whole numbers of float64: integer division would be a call a lane
        border = (torch.floor(places.double() / capacity).long() + 1) * capacity
    for ahead in range(1, variant.returns.num_steps):
        place = places + ahead
        steps.append(_rows(columns, memory, torch.where(place >= border, place - capacity, place)))
    return variant.returns.transition(steps)


def _rows(columns: ReplayColumns, memory: Sequence[Tensor], places: Tensor) -> Tensors:
    at = places.reshape(-1)
    return columns.unpacked([rows.index_select(0, at).view(*places.shape, -1) for rows in memory])
