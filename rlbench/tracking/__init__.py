"""Tracking: mirroring a store to trackers such as Weights & Biases, each by a process of its own.

`Follower` is what a training program starts and stops; importing this package imports neither wandb nor the store.
"""

from rlbench.tracking.process import Follower, require_login
from rlbench.tracking.wandb.settings import TrackingSettings

__all__ = ["Follower", "TrackingSettings", "require_login"]
