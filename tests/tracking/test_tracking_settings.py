"""The `wandb.*` keys: what is refused, with which words."""

from __future__ import annotations

import dataclasses

import pytest

from rlbench.errors import ConfigError
from rlbench.tracking import TrackingSettings


def test_the_defaults_are_offline_and_private() -> None:
    settings = TrackingSettings()
    assert (settings.mode, settings.project, settings.entity) == ("offline", "rlbench", None)
    assert (settings.tags, settings.artifacts) == ((), False)


def test_settings_cannot_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrackingSettings().mode = "online"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mode": "onlin"}, "did you mean 'online'"),
        ({"mode": "loud"}, "wandb.mode is one of offline, online, disabled"),
        ({"project": ""}, "wandb.project"),
        ({"project": "a/b"}, "wandb.project"),
        ({"project": "x" * 129}, "wandb.project"),
        ({"entity": ""}, "wandb.entity"),
        ({"entity": "team/project"}, "wandb.entity"),
        ({"tags": ("",)}, "wandb.tags"),
        ({"tags": ("ok", "x" * 65)}, "wandb.tags"),
    ],
)
def test_what_wandb_could_not_use_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TrackingSettings(**values)  # type: ignore[arg-type]
