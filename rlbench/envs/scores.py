"""The mean returns that put different environments on one scale: 0 is a uniformly random policy, 1 the reference.

In: an environment id and returns. Out: normalised returns, and the range that returns can have. Fixed numbers with their sources.
Must never be computed from a store's own runs, or a score would change with what it is compared to.

The random returns are means over 100 000 episodes of the tensor environments with uniformly random actions;
`tests/envs/test_scores.py` measures them again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlbench.errors import ConfigError


@dataclass(frozen=True)
class NormalisationScore:
    """Two anchors of one environment's scale: undiscounted mean episode returns, and where the numbers come from."""

    env_id: str
    random: float
    reference: float
    source: str


_SCORES: dict[str, NormalisationScore] = {
    score.env_id: score
    for score in (
        NormalisationScore(
            "CartPole-v0",
            random=22.268,
            reference=200.0,
            source="random: 100 000 episodes, standard error 0.038; "
            "reference: the largest possible return, 1 for each of 200 steps",
        ),
        NormalisationScore(
            "CartPole-v1",
            random=22.268,
            reference=500.0,
            source="random: 100 000 episodes, standard error 0.038; "
            "reference: the largest possible return, 1 for each of 500 steps",
        ),
        NormalisationScore(
            "MountainCar-v0",
            random=-200.0,
            reference=-110.0,
            source="random: 100 000 episodes, none of which reached the goal; "
            "reference: reward_threshold in Gymnasium's registry",
        ),
        NormalisationScore(
            "Acrobot-v1",
            random=-498.920,
            reference=-100.0,
            source="random: 100 000 episodes, standard error 0.035; "
            "reference: reward_threshold in Gymnasium's registry",
        ),
    )
}


# The rewards of a step lie between these two, and an episode ends after so many steps where no other limit is given.
_REWARDS: dict[str, tuple[float, float, int]] = {
    "CartPole-v0": (1.0, 1.0, 200),
    "CartPole-v1": (1.0, 1.0, 500),
    "MountainCar-v0": (-1.0, -1.0, 200),
    "Acrobot-v1": (-1.0, 0.0, 500),
}


def possible_returns(
    env_id: str, max_env_steps: float | None = None, discount: float = 1.0
) -> tuple[float, float] | None:
    """The lowest and the highest return that an episode of up to `max_env_steps` (default: Gymnasium's limit) could have.

    A reward counts `discount` times the one before it, so that below 1 an episode may be without end (`math.inf`). None for an
    environment that is not in the table.
    """
    if env_id not in _REWARDS:
        return None
    lowest, highest, limit = _REWARDS[env_id]
    steps = limit if max_env_steps is None else max_env_steps
    rewards = steps if discount == 1.0 else (1.0 - discount**steps) / (1.0 - discount)
    return min(0.0, lowest * rewards), max(0.0, highest * rewards)


def normalisation(env_id: str) -> NormalisationScore:
    """Return the anchors of `env_id`.

    Raises:
        ConfigError: the table has no such environment.
    """
    score = _SCORES.get(env_id)
    if score is None:
        raise ConfigError(f"no normalisation score for environment '{env_id}'; there is one for: {', '.join(_SCORES)}")
    return score


def random_return(env_id: str) -> float | None:
    """The mean return of random actions; None for an environment without a score."""
    score = _SCORES.get(env_id)
    return None if score is None else score.random


def normalise(env_id: str, returns: ArrayLike) -> NDArray[np.float64]:
    """Map `returns` [...] to (returns - random) / (reference - random), float64 of the same shape.

    Raises:
        ConfigError: the table has no such environment.
    """
    score = normalisation(env_id)
    return (np.asarray(returns, np.float64) - score.random) / (score.reference - score.random)
