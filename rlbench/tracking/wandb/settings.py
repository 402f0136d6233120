"""What is mirrored to Weights & Biases, and where it goes: the `wandb.*` keys.

In: the values of the `wandb.*` keys. Out: a frozen, checked `TrackingSettings`. Holds no key and no address: those
belong to the W&B client's own configuration and are never written down. Never imports wandb.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rlbench.errors import ConfigError, did_you_mean
from rlbench.tracking.wandb.environment import client_environment

MODES = ("offline", "online", "disabled")
LONGEST_TAG = 64  # letters
_FORBIDDEN = r"/\#?%:"  # in the name of a W&B project


def _key(default: Any, meaning: str, allowed: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"meaning": meaning, "allowed": allowed})


@dataclass(frozen=True)
class TrackingSettings:
    """The `wandb.*` keys: every one with its type, default and meaning."""

    mode: str = _key("offline", "offline writes folders for `wandb sync`, online sends, disabled does neither", MODES)
    project: str = _key("rlbench", "W&B project")
    entity: str | None = _key(None, "W&B user or team; null takes the default of whoever is logged in")
    tags: tuple[str, ...] = _key((), "tags of every run, as a [list], beside its experiment and environment")
    artifacts: bool = _key(False, "whether final weights are sent too")

    def __post_init__(self) -> None:
        """Raises ConfigError for a value that W&B could not use."""
        if self.mode not in MODES:
            hint = did_you_mean(str(self.mode), MODES)
            raise ConfigError(f"wandb.mode is one of {', '.join(MODES)}, not {self.mode!r}{hint}")
        if not self.project or len(self.project) > 128 or any(letter in _FORBIDDEN for letter in self.project):
            raise ConfigError(
                f"wandb.project is a name of up to 128 letters without {_FORBIDDEN}, not {self.project!r}"
            )
        if self.entity is not None and (not self.entity or "/" in self.entity):
            raise ConfigError(f"wandb.entity is the name of a W&B user or team, not {self.entity!r}")
        if any(not 0 < len(tag) <= LONGEST_TAG for tag in self.tags):
            raise ConfigError(f"wandb.tags are texts of 1 to 64 letters, not {list(self.tags)!r}")

    @property
    def is_enabled(self) -> bool:
        return self.mode != "disabled"

    @property
    def needs_login(self) -> bool:
        return self.mode == "online"

    @property
    def local_destination(self) -> str | None:
        return None if self.mode == "online" else self.destination()

    def told(self, num_runs: int) -> str:
        return f"{self.mode}: {num_runs} complete runs at W&B project {self.project}"

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What W&B's client needs of the environment; the key and the address of the server only where it is to go there."""
        return client_environment(environment, online=self.mode == "online")

    def destination(self, base_url: str = "") -> str:
        """A file name for where the runs go. All offline folders are one place; the server's address is only hashed."""
        if self.mode != "online":
            return "offline"
        where = json.dumps([base_url.rstrip("/"), self.entity, self.project])
        return f"online-{hashlib.sha256(where.encode()).hexdigest()[:12]}"
