"""Trackers for the contract, each with a way to see what it shows; one of them is in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb_files import offline_runs

from rlbench.tracking import TrackingSettings
from rlbench.tracking.tracker import OpenRun, Row, RunHeader, Tracker, TrackingError
from rlbench.tracking.wandb.tracker import WandbTracker


@dataclass
class Shown:
    """A run as somebody sees it."""

    name: str
    group: str
    config: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)


@dataclass
class MemoryRun(OpenRun):
    """A run in a dict."""

    place: str
    shown: Shown

    def log(self, rows: Sequence[Row], first_step: int) -> None:
        assert first_step <= len(self.shown.rows)
        self.shown.rows += rows[len(self.shown.rows) - first_step :]


class MemoryTracker(Tracker):
    """Keeps what it shows in a dict that outlives it, as a server would."""

    destination = "memory"

    def __init__(self, at: dict[str, Shown], *, is_remote: bool = False) -> None:
        self.at, self.is_remote = at, is_remote
        self.is_lost = self.is_closed = False

    def settle(self, complete: Mapping[str, str], known: Collection[str]) -> set[str]:
        places = set(complete.values())
        for place in [one for one in self.at if one[-16:] in known and one not in places]:
            del self.at[place]
        return {run_id for run_id, place in complete.items() if place not in self.at}

    def open(self, header: RunHeader) -> MemoryRun:
        if self.is_lost:
            raise TrackingError("the memory is gone")
        place = f"run-{header.run_id}"
        return MemoryRun(place, self.at.setdefault(place, Shown(header.name, header.group, dict(header.config))))

    def finish(self, opened: OpenRun, num_rows: int, summary: Mapping[str, Any], weights: Path | None) -> None:
        shown = self.at[opened.place]
        if len(shown.rows) != num_rows:
            raise TrackingError("not all rows have arrived")
        shown.summary |= summary

    def interrupt(self, opened: OpenRun) -> None:
        assert opened.place in self.at

    def remove(self, place: str) -> None:
        del self.at[place]

    def close(self) -> None:
        self.is_closed = True


class InMemory:
    """The contract's view of `MemoryTracker`."""

    is_remote = False

    def __init__(self) -> None:
        self.at: dict[str, Shown] = {}

    def tracker(self, store: Path) -> Tracker:
        return MemoryTracker(self.at, is_remote=self.is_remote)

    def shown(self, store: Path) -> dict[str, Shown]:
        return {place[-16:]: shown for place, shown in self.at.items()}

    def lose(self, store: Path, run_id: str) -> None:
        """Somebody removes a run."""
        del self.at[f"run-{run_id}"]


class RemoteMemory(InMemory):
    """The same as a server, whose runs are ended from threads."""

    is_remote = True


class OfflineWandb:
    """The contract's view of W&B's offline folders."""

    def tracker(self, store: Path) -> Tracker:
        return WandbTracker(TrackingSettings(), store)

    def shown(self, store: Path) -> dict[str, Shown]:
        return {
            run_id: Shown(run.header.display_name, run.header.run_group, run.config, run.rows, run.summary)
            for run_id, run in offline_runs(store).items()
        }

    def lose(self, store: Path, run_id: str) -> None:
        (folder,) = (store / "wandb").glob(f"offline-run-*-{run_id}")
        folder.rename(store / "elsewhere")


KINDS: dict[str, Callable[[], Any]] = {
    "memory": InMemory,
    "remote memory": RemoteMemory,
    "W&B offline": OfflineWandb,
}
