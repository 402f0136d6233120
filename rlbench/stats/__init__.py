"""Numbers for comparing runs: aggregates and intervals, as pure functions with seeded randomness.

Knows nothing of training, of the store or of drawing: NumPy and SciPy on arrays [runs, environments].
"""

from rlbench.stats.aggregates import aggregate, iqm, optimality_gap
from rlbench.stats.bootstrap import bootstrap_interval, bootstrap_intervals
from rlbench.stats.intervals import (
    MIN_RUNS_FOR_BOOTSTRAP,
    pointwise_band,
    run_interval,
    student_interval,
    wilson_interval,
)
from rlbench.stats.results import Band, Comparison, Interval
from rlbench.stats.scores import score_table

__all__ = [
    "MIN_RUNS_FOR_BOOTSTRAP",
    "Band",
    "Comparison",
    "Interval",
    "aggregate",
    "bootstrap_interval",
    "bootstrap_intervals",
    "iqm",
    "optimality_gap",
    "pointwise_band",
    "run_interval",
    "score_table",
    "student_interval",
    "wilson_interval",
]
