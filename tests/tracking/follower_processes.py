"""Follower processes under test, and what they leave behind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import wandb.sdk.launch  # noqa: F401 (what every run imports when it begins)

from rlbench.tracking import (
    TrackingSettings,
    follower,  # noqa: F401 (what followers import, of which they are forks)
)
from rlbench.tracking.process import follower_command
from rlbench.tracking.wandb import tracker  # noqa: F401
from tests.forked import ForkedProgram

PLANTED = {"WANDB_API_KEY": "local0000planted" + 40 * "k", "PLANTED_SECRET": "planted-secret-of-the-shell"}


class Followers:
    """Starts follower processes, and ends those that a test left behind."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[str]] = []

    def start(
        self,
        store: Path,
        settings: TrackingSettings | None = None,
        environment: dict[str, str] | None = None,
        *options: str,
    ) -> subprocess.Popen[str]:
        """A live follower with a short poll interval."""
        process = ForkedProgram(
            follower_command(store, settings or TrackingSettings(), "--poll-seconds=0.1", *options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **PLANTED, **(environment or {})},
            text=True,
        )
        self.started.append(process)
        return process

    def run(
        self, store: Path, settings: TrackingSettings | None = None, environment: dict[str, str] | None = None
    ) -> int:
        """A follower that is told to stop from the start; returns its exit code."""
        return self.end(self.start(store, settings, environment))

    @staticmethod
    def end(process: subprocess.Popen[str]) -> int:
        """Tell a follower to stop, and wait until it has."""
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        process.words = (out + err).strip()  # type: ignore[attr-defined]
        return process.returncode


def log_lines(store: Path) -> list[str]:
    """What the followers of a store had to say."""
    path = store / "wandb" / "follower.log"
    return path.read_text().splitlines() if path.exists() else []


def num_mirrored(store: Path) -> int:
    """How many runs are complete, at all destinations together."""
    ledgers = (store / "wandb").glob("follower/*/mirrored.jsonl")
    return sum(bool(line.strip()) for path in ledgers for line in path.read_text().splitlines())


def assert_nothing_planted(folder: Path) -> None:
    """No file below this folder holds a value that was planted in the environment."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert paths
    for path in paths:
        content = path.read_bytes()
        for value in PLANTED.values():
            assert value.encode() not in content, path
