"""Adding seeds until a question is decided: the state of a plan, and following it."""

from rlbench.deciding.following import current_state, definition_of, follow, runs_of
from rlbench.deciding.plan_state import PlanState, Watched, described, sentence, so_far

__all__ = [
    "PlanState",
    "Watched",
    "current_state",
    "definition_of",
    "described",
    "follow",
    "runs_of",
    "sentence",
    "so_far",
]
