"""Numbers for comparing runs: aggregates and intervals, as pure functions with seeded randomness.

Knows nothing of training, of the store or of drawing: NumPy and SciPy on arrays [runs, environments].
"""

from rlbench.stats.aggregates import aggregate, iqm, optimality_gap
from rlbench.stats.bootstrap import bootstrap_interval, bootstrap_intervals
from rlbench.stats.comparisons import cliffs_delta, hodges_lehmann, probability_of_improvement, welch_test
from rlbench.stats.curves import align_previous, simultaneous_band
from rlbench.stats.equivalence import Equivalence, equivalence_test, two_one_sided_p
from rlbench.stats.factorial import Effect, EnvironmentEffect, FactorialEffects, corrected_together, factorial_effects
from rlbench.stats.intervals import (
    ALL_EQUAL,
    MIN_RUNS_FOR_BOOTSTRAP,
    run_interval,
    student_interval,
    wilson_interval,
)
from rlbench.stats.multiplicity import holm
from rlbench.stats.permutation import paired_permutation_test, permutation_test, smallest_sign_flip_p
from rlbench.stats.power import minimum_detectable_effect, pilot_sd, seeds_needed
from rlbench.stats.profiles import Profile, performance_profile
from rlbench.stats.results import Band, Comparison, Interval, Range
from rlbench.stats.sequential import Look, SequentialPlan
from rlbench.stats.survival import TimeToThreshold, time_to_threshold

__all__ = [
    "ALL_EQUAL",
    "MIN_RUNS_FOR_BOOTSTRAP",
    "Band",
    "Comparison",
    "Effect",
    "EnvironmentEffect",
    "Equivalence",
    "FactorialEffects",
    "Interval",
    "Look",
    "Profile",
    "Range",
    "SequentialPlan",
    "TimeToThreshold",
    "aggregate",
    "align_previous",
    "bootstrap_interval",
    "bootstrap_intervals",
    "cliffs_delta",
    "corrected_together",
    "equivalence_test",
    "factorial_effects",
    "hodges_lehmann",
    "holm",
    "iqm",
    "minimum_detectable_effect",
    "optimality_gap",
    "paired_permutation_test",
    "performance_profile",
    "permutation_test",
    "pilot_sd",
    "probability_of_improvement",
    "run_interval",
    "seeds_needed",
    "simultaneous_band",
    "smallest_sign_flip_p",
    "student_interval",
    "time_to_threshold",
    "two_one_sided_p",
    "welch_test",
    "wilson_interval",
]
