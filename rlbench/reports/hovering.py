"""What the page says of lines under the pointer.

In: lines with their places in a panel and their recorded values as text. Out: plain values for the page's script. Never: writes a number
that is not in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlbench import text

Limits = tuple[tuple[float, float], tuple[float, float]]  # of a panel: x, y


@dataclass(frozen=True)
class HoverLine:
    """A line of one variant, or of the difference of two: x and y [points], and what is said at each point."""

    label: str
    variants: tuple[int, ...]
    x: ArrayLike
    y: ArrayLike
    told: Sequence[str]


def hover_of(
    name: str, lines: Sequence[HoverLine], panels: Sequence[Sequence[int]], limits: Limits
) -> Mapping[str, Any]:
    """For the panels of a figure called `name`, and of its wide form: which lines are each panel's own, and all lines.

    The other lines of a panel are named where the pointer is near them. Places are shares of a panel's width and height.
    """
    ids = [(f"{prefix}{name}-panel-{place}", own) for prefix in ("", "wide-") for place, own in enumerate(panels)]
    return {
        "panels": [{"id": panel, "own": list(own)} for panel, own in ids],
        "lines": [
            {
                "label": line.label,
                "variants": list(line.variants),
                "steps": [text.count(step) for step in np.asarray(line.x)],
                "x": _shares(line.x, limits[0]),
                "y": _shares(line.y, limits[1]),
                "told": list(line.told),
            }
            for line in lines
        ],
    }


def _shares(values: ArrayLike, limits: tuple[float, float]) -> list[float]:
    found: NDArray[np.float64] = (np.asarray(values, np.float64) - limits[0]) / (limits[1] - limits[0])
    return [float(share) for share in found.round(4)]
