"""What is mirrored to Weights & Biases, and where it goes.

In: the values of the `wandb.*` keys. Out: a frozen, checked `TrackingSettings`. Holds no key and no address: those
belong to the W&B client's own configuration and are never written down. Never imports wandb.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from rlbench.errors import ConfigError

MODES = ("offline", "online", "disabled")
_FORBIDDEN = r"/\#?%:"  # in the name of a W&B project


@dataclass(frozen=True)
class TrackingSettings:
    """The `wandb.*` keys.

    mode: `offline` writes folders that `wandb sync` can upload, `online` sends, `disabled` does neither.
    project, entity: where the runs appear; without an entity, the default one of whoever is logged in.
    tags: on every run. artifacts: whether final weights are sent too.
    """

    mode: str = "offline"
    project: str = "rlbench"
    entity: str | None = None
    tags: tuple[str, ...] = ()
    artifacts: bool = False

    def __post_init__(self) -> None:
        """Raises ConfigError for a value that W&B could not use."""
        if self.mode not in MODES:
            near = difflib.get_close_matches(str(self.mode), MODES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"wandb.mode is one of {', '.join(MODES)}, not {self.mode!r}{hint}")
        if not self.project or len(self.project) > 128 or any(letter in _FORBIDDEN for letter in self.project):
            raise ConfigError(
                f"wandb.project is a name of up to 128 letters without {_FORBIDDEN}, not {self.project!r}"
            )
        if self.entity is not None and (not self.entity or "/" in self.entity):
            raise ConfigError(f"wandb.entity is the name of a W&B user or team, not {self.entity!r}")
        if any(not 0 < len(tag) <= 64 for tag in self.tags):
            raise ConfigError(f"wandb.tags are texts of 1 to 64 letters, not {list(self.tags)!r}")
