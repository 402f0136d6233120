"""What a stored transition is made of: named columns, each with a shape and a dtype, packed into one tensor of rows for each dtype.

A float32 column costs four bytes a number, a uint8 column one; a column of truth values costs a bit each, eight to a byte. All rows of a
dtype lie in one tensor [..., width], so that storing and reading a transition takes one operation for each dtype and not for each column.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

from rlbench.deferred import Tensor, torch

BITS = "bool"
BYTES_OF = {"float32": 4, "uint8": 1}


@dataclasses.dataclass(frozen=True)
class ReplayColumn:
    """One column: its name, the shape of its value in one transition, and its dtype: float32, uint8 or bool."""

    name: str
    shape: tuple[int, ...] = ()
    dtype: str = "float32"

    @property
    def kept_as(self) -> str:
        """The dtype of the rows that it lies in."""
        return "uint8" if self.dtype == BITS else self.dtype

    @property
    def width(self) -> int:
        """Numbers of a row that it takes."""
        size = math.prod(self.shape)
        return -(-size // 8) if self.dtype == BITS else size


@dataclasses.dataclass(frozen=True)
class ReplayColumns:
    """The columns of a transition, in order."""

    all: tuple[ReplayColumn, ...]

    @functools.cached_property
    def widths(self) -> dict[str, int]:
        """Width of the rows of each dtype."""
        found: dict[str, int] = {}
        for column in self.all:
            found[column.kept_as] = found.get(column.kept_as, 0) + column.width
        return found

    @property
    def bytes(self) -> int:
        """Memory of one transition."""
        return sum(BYTES_OF[dtype] * width for dtype, width in self.widths.items())

    def empty(self, capacity: int) -> dict[str, Tensor]:
        """One lane's memory before the first transition: [1, capacity, width] of each dtype, by the name of its tensor."""
        return {
            name_of(dtype): torch.zeros(1, capacity, width, dtype=getattr(torch, dtype))
            for dtype, width in self.widths.items()
        }

    def packed(self, values: Mapping[str, Tensor]) -> list[Tensor]:
        """Values [L, *shape] by name -> rows [L, width] of each dtype, in the order of `widths`."""
        rows = []
        for dtype in self.widths:
            kept = []
            for column in self.all:
                if column.kept_as == dtype:
                    part = values[column.name].unflatten(0, (-1, 1)).flatten(1)
                    kept.append(_bytes(part) if column.dtype == BITS else part.to(getattr(torch, dtype)))
            rows.append(torch.cat(kept, 1))
        return rows

    def unpacked(self, rows: list[Tensor]) -> dict[str, Tensor]:
        """Rows [..., width] of each dtype -> the columns [..., *shape] by name, float32."""
        at, found = dict.fromkeys(self.widths, 0), {}
        of = dict(zip(self.widths, rows, strict=True))
        for column in self.all:
            begin = at[column.kept_as]
            at[column.kept_as] = begin + column.width
            part = of[column.kept_as][..., begin : begin + column.width]
            part = _bits(part, math.prod(column.shape)) if column.dtype == BITS else part.float()
            found[column.name] = part.unflatten(-1, column.shape) if len(column.shape) > 1 else part
            if not column.shape:
                found[column.name] = part[..., 0]
        return found


def name_of(dtype: str) -> str:
    """The name of the tensor in a lane's state that holds rows of this dtype."""
    return f"replay.{dtype}"


def _bytes(bits: Tensor) -> Tensor:
    """Truth values [L, n] -> [L, n / 8 rounded up] uint8, the first one in the lowest bit."""
    padded = torch.nn.functional.pad(bits, (0, -bits.shape[1] % 8)).unflatten(1, (-1, 8))
    places = 1 << torch.arange(8)
    return (padded * places).sum(2).to(torch.uint8)


def _bits(packed: Tensor, size: int) -> Tensor:
    """[..., n / 8 rounded up] uint8 -> the n truth values [..., n] as 0 and 1, float32."""
    bits = (packed[..., None].long() >> torch.arange(8)) & 1
    return bits.flatten(-2)[..., :size].float()
