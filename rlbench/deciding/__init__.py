"""Adding seeds until a question is decided: the state of a plan, and following it."""

from rlbench.deciding.following import current_state, follow, runs_of
from rlbench.deciding.plan_state import PlanState, Watched, described, sentence, so_far

__all__ = ["PlanState", "Watched", "current_state", "described", "follow", "runs_of", "sentence", "so_far"]
