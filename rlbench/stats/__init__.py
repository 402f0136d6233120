"""Numbers for comparing runs: aggregates and intervals, as pure functions with seeded randomness.

Knows nothing of training, of the store or of drawing: NumPy and SciPy on arrays [runs, environments].
"""

from rlbench.stats.aggregates import iqm
from rlbench.stats.intervals import (
    MIN_RUNS_FOR_BOOTSTRAP,
    Band,
    Interval,
    bootstrap_interval,
    pointwise_band,
    run_interval,
    student_interval,
)

__all__ = [
    "MIN_RUNS_FOR_BOOTSTRAP",
    "Band",
    "Interval",
    "bootstrap_interval",
    "iqm",
    "pointwise_band",
    "run_interval",
    "student_interval",
]
