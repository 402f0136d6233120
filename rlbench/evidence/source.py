"""A run as somebody else recorded it: what every reader of foreign files gives.

Plain values. Knows nothing of files or of the tables of a store.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlbench.errors import ConfigError

EVALUATION, TRAINING = "evaluation", "training"
KINDS = (EVALUATION, TRAINING)  # what a return is of: greedy episodes apart from training, or training's own episodes
_SEED = re.compile(r"(?:seed[_=-]?|s)?(\d{1,10})", re.IGNORECASE)


@dataclass(frozen=True)
class SourceRun:
    """One run's returns in the order of its environment steps.

    steps, returns, lengths, episodes: [rows]; a length of 0 is an unknown one. episodes: counts the episodes of one
    evaluation point; 0 where there is one. origin: where it was read, for messages. repeated: rows that stood there before.
    """

    variant: str
    env: str
    seed: int
    steps: NDArray[np.int64]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    episodes: NDArray[np.int64]
    origin: str
    repeated: tuple[str, ...] = ()


def seed_of(text: str, origin: str) -> int:
    """The seed that a name stands for: 3, s3, seed3, seed_3. Raises ConfigError for any other name."""
    matched = _SEED.fullmatch(text)
    if matched is None:
        raise ConfigError(f"{origin}: '{text}' is not a seed (3, s3, seed3 or seed_3)")
    return int(matched[1])
