"""The trackers that there are: the one place where a new one is entered.

Importing this imports no tracker's client, only the settings.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlbench.tracking.tracker import Tracker, TrackerSettings
from rlbench.tracking.wandb.settings import TrackingSettings

# name, which its keys begin with -> its settings, and its class as module:Class
TRACKERS: dict[str, tuple[type[Any], str]] = {
    "wandb": (TrackingSettings, "rlbench.tracking.wandb.tracker:WandbTracker"),
}


def name_of(settings: TrackerSettings) -> str:
    """The tracker that these settings are of."""
    return next(name for name, (kind, _) in TRACKERS.items() if type(settings) is kind)


def to_text(settings: TrackerSettings) -> str:
    """Settings as one word of a command line."""
    return json.dumps({"tracker": name_of(settings), **asdict(settings)})


def from_text(text: str | bytes) -> TrackerSettings:
    """The settings of `to_text`. Raises ValueError, TypeError, KeyError or ConfigError for anything else."""
    values = json.loads(text)
    kind, _ = TRACKERS[values.pop("tracker")]
    return from_values(kind, values)


def from_values(kind: type[Any], values: dict[str, Any]) -> TrackerSettings:
    """Settings from what JSON makes of them."""
    settings: TrackerSettings = kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    )
    return settings


def new_tracker(settings: TrackerSettings, store: Path, on_lost: Callable[[], None]) -> Tracker:
    """The tracker of these settings. on_lost: called, from any thread, when it will take nothing more. Raises ConfigError."""
    module, _, name = TRACKERS[name_of(settings)][1].partition(":")
    tracker: Tracker = getattr(importlib.import_module(module), name)(settings, store, on_lost)
    return tracker
