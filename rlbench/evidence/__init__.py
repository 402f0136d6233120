"""Evidence: other people's results as results of ours, and what is wrong with anybody's.

`read_evidence` reads a CSV file, Stable-Baselines3's monitor files or evaluations, or TensorBoard folders into an object that
the report takes for an experiment of a store; `lint` lists what is wrong with the evidence of either.
"""

from rlbench.evidence.foreign import ForeignResults
from rlbench.evidence.lint import lint, told
from rlbench.evidence.reading import PREFERENCES, read_evidence
from rlbench.evidence.source import Finding

__all__ = ["PREFERENCES", "Finding", "ForeignResults", "lint", "read_evidence", "told"]
