"""A sum tree for each lane: priorities of rows, and the sums by which a row is found in proportion to its priority.

In go the tensors of a tree, its leaves [L, N0, 16] first, then sums [L, N, 16] of ever fewer rows up to one: number k of row n is the sum
of row 16 n + k below. All float64 and at least 0; changed in place. A row of sixteen is two cache lines, and fifty thousand leaves are four
rows away. Sums are added up in a fixed order, and written again from the leaves up, so that a tree hangs on its leaves alone.
"""

from rlbench.deferred import Tensor, torch

SHIFT = 4
FAN = 1 << SHIFT


def empty(capacity: int) -> list[Tensor]:
    """The tree of one lane before anything is stored, with places for `capacity` leaves: tensors [1, N, 16]."""
    levels: list[Tensor] = []
    count = capacity
    while not levels or count > 1:
        count = -(-count // FAN)
        levels.append(torch.zeros(1, count, FAN, dtype=torch.float64))
    return levels


def leaves(tree: list[Tensor], index: Tensor) -> Tensor:
    """The leaves at index [L, B] int64 -> [L, B]."""
    return tree[0].view(-1).index_select(0, _places(tree[0], index).view(-1)).view(index.shape)


def write(tree: list[Tensor], index: Tensor, values: Tensor) -> None:
    """Make `values` [L, B] the leaves at index [L, B] int64; where an index stands twice, so does its value."""
    for level in tree:
        level.view(-1).index_copy_(0, _places(level, index).view(-1), values.reshape(-1))
        index = index >> SHIFT
        values = _total(_rows(level, index))


def total(tree: list[Tensor]) -> Tensor:
    """The sum of all leaves [L]."""
    return _total(tree[-1])[:, 0]


def find(tree: list[Tensor], mark: Tensor) -> Tensor:
    """The leaves [L, B] int64 in which marks [L, B] from 0 to the sum of all leaves fall, these lying side by side.

    Sums are rounded, so a mark may lie beyond the last leaf of a row: it falls into the last one that is above 0. Only in an empty tree a
    leaf of 0 is found.
    """
    found = torch.zeros_like(mark, dtype=torch.int64)
    for level in reversed(tree):
        before, start, child = torch.zeros_like(mark), torch.zeros_like(mark), torch.zeros_like(found)
        for k, share in enumerate(_rows(level, found).unbind(-1)):
            is_here = (share > 0) & (before <= mark)
            start, child = torch.where(is_here, before, start), torch.where(is_here, k, child)
            before = before + share
        mark, found = mark - start, found * FAN + child
    return found


def _places(level: Tensor, index: Tensor) -> Tensor:
    """Where numbers [L, B] of each lane's level lie in the level of all lanes side by side."""
    return index + torch.arange(len(index))[:, None] * (level.shape[1] * FAN)


def _rows(level: Tensor, index: Tensor) -> Tensor:
    """Rows [L, B, 16] of a level at index [L, B] int64."""
    at = index + torch.arange(len(index))[:, None] * level.shape[1]
    return level.view(-1, FAN).index_select(0, at.view(-1)).view(*index.shape, FAN)


def _total(rows: Tensor) -> Tensor:
    """The sums of rows [..., 16] -> [...], in halves."""
    while rows.shape[-1] > 1:
        half = rows.shape[-1] // 2
        rows = rows[..., :half] + rows[..., half:]
    return rows[..., 0]
