"""The tracker W&B: the one place that imports wandb.

In: what a run is called, its rows in order, its summary. Out: a W&B run, offline or at the server. Rows are handed over
many at a time. Never asks for a key, never prints, and never sees the store's tables.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlbench.errors import ConfigError
from rlbench.rows import TABLES
from rlbench.tracking.ledger import destination_folder, remove_folder, tracker_folder
from rlbench.tracking.tracker import OpenRun, Row, RunHeader, Tracker, TrackingError
from rlbench.tracking.wandb.environment import scratch_environment
from rlbench.tracking.wandb.server import Server
from rlbench.tracking.wandb.settings import LONGEST_TAG, TrackingSettings

_CHUNK_ROWS = 1000
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}  # as the client itself writes them
_FINISH_SECONDS = 120.0  # for the last rows and the weights of one run to arrive
_STEPPED = tuple(f"{table.tracked}/*" for table in TABLES.values())
_RUN_FOLDER = re.compile(r"(?:offline-)?run-\d{8}_\d{6}-([0-9a-f]{16})")
# Nothing about the machine, the command line, the packages or the code; nothing on the terminal.
_QUIET: dict[str, Any] = {
    "console": "off",
    "silent": True,
    "symlink": False,
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
# The store can send everything again, so W&B keeps no second copy; the server has no use for files made of what it
# has already. A lost connection is found out soon, and tried again by the follower.
_ONLINE: dict[str, Any] = {
    "finish_timeout": _FINISH_SECONDS,
    "ignore_globs": ("config.yaml", "wandb-summary.json"),
    "init_timeout": 60.0,
    "stop_on_fatal_error": True,
    "x_disable_viewer": True,
    "x_graphql_retry_max": 2,
    "x_skip_transaction_log": True,
}


def run_of_folder(name: str) -> str | None:
    """The run of a folder that W&B's client made for us; None where the name is of anything else."""
    matched = _RUN_FOLDER.fullmatch(name)
    return matched[1] if matched else None


class WandbRun(OpenRun):
    """A W&B run that takes rows. Made by `WandbTracker.open`."""

    def __init__(self, run: Any, num_arrived: int, is_online: bool = False) -> None:
        self.run = run  # a wandb.Run
        self.num_arrived = num_arrived  # rows that were at the server before we came
        self.folder = Path(run.settings.sync_dir)
        self.place = "" if is_online else self.folder.name

    def log(self, rows: Sequence[Row], first_step: int) -> None:
        start = max(self.num_arrived - first_step, 0)
        for begin in range(start, len(rows), _CHUNK_ROWS):
            _publish(self.run, rows[begin : begin + _CHUNK_ROWS], first_step + begin)


class WandbTracker(Tracker):
    """W&B's client, for one destination: folders in the store, or a project at a server."""

    def __init__(self, settings: TrackingSettings, store: Path, on_lost: Callable[[], None] = lambda: None) -> None:
        """Raises ConfigError where `online` has no key. on_lost: called from another thread when uploading failed."""
        self._settings = settings
        self._store = store
        self._on_lost = on_lost
        self._folder = tracker_folder(store, "wandb")
        self._run_settings: Any = None
        self._server: Server | None = None
        self.is_remote = settings.mode == "online"
        self.destination = settings.destination(self._log_in() if self.is_remote else "")

    def _log_in(self) -> str:
        """Find the key; the server's address."""
        wandb = self._client()
        # Not `wandb.setup`, which would start the service, and with it a log, before it is known where to.
        found = wandb.sdk.wandb_setup.singleton().settings
        try:
            has_key = wandb.login(verify=False, prompt=False)
        except wandb.Error as error:  # a key of a wrong form
            raise ConfigError(f"wandb.mode=online: {_one_line(error)}; nothing was written") from error
        if not has_key:
            raise ConfigError(
                "wandb.mode=online needs a W&B key: run `wandb login`, or set WANDB_API_KEY"
                " (wandb.mode=offline needs none); nothing was written"
            )
        if found.api_key:  # there is none where the login is an identity token
            self._server = Server(str(found.base_url), found.api_key, self._settings.project, self._settings.entity)
        return str(found.base_url)

    def _client(self) -> Any:
        """The module wandb; importing it takes half a second, and a store that has nothing new does not need it."""
        import wandb

        if self._run_settings is None:
            chosen = dict(_QUIET)
            if self.is_remote:
                # A plain function, because the client copies its settings deeply.
                chosen |= _ONLINE | {"stop_fn": lambda: self._on_lost()}
            self._run_settings = wandb.Settings(**chosen)
        return wandb

    def settle(self, complete: Mapping[str, str], known: Collection[str]) -> set[str]:
        places = set(complete.values())
        for folder in self._folder.glob("run-*-*" if self.is_remote else "offline-run-*-*"):
            if run_of_folder(folder.name) in known and folder.name not in places:
                remove_folder(folder, self._folder)
        if self.is_remote:
            return set()
        return {run_id for run_id, place in complete.items() if not place or not (self._folder / place).is_dir()}

    def remove(self, place: str) -> None:
        if run_of_folder(place):
            remove_folder(self._folder / place, self._folder)

    def open(self, header: RunHeader) -> WandbRun:
        wandb = self._client()
        os.environ.update(scratch_environment(destination_folder(self._store, "wandb", self.destination) / "scratch"))
        arrived = self._server.num_rows(header.run_id) if self._server else None
        try:
            run = wandb.init(
                id=header.run_id,
                name=header.name,
                group=header.group,
                job_type="train",
                config=dict(header.config),
                project=self._settings.project,
                entity=self._settings.entity,
                tags=list(dict.fromkeys([*self._settings.tags, *(tag[:LONGEST_TAG] for tag in header.tags)])),
                dir=self._store,
                mode="online" if self.is_remote else "offline",
                resume="allow" if self.is_remote else None,
                reinit="create_new",
                settings=self._run_settings,
            )
            run.define_metric("env_steps")
            for name in _STEPPED:
                run.define_metric(name, step_metric="env_steps")
        except (wandb.Error, OSError) as error:
            raise TrackingError(_one_line(error)) from error
        self.address = run.project_url or ""  # there is none offline
        return WandbRun(run, max(arrived or 0, run.starting_step) if self.is_remote else 0, self.is_remote)

    def finish(self, opened: OpenRun, num_rows: int, summary: Mapping[str, Any], weights: Path | None) -> None:
        assert isinstance(opened, WandbRun)
        run = opened.run
        run.summary.update(dict(summary))
        if weights is not None and self._settings.artifacts:
            artifact = self._client().Artifact(
                f"weights-{run.id}", type="model", metadata={"digest": summary["digest"]}
            )
            artifact.add_file(str(weights), name="weights.safetensors", policy="immutable")
            run.log_artifact(artifact)
        run.finish(exit_code=0 if summary["status"] in ("done", "pruned") else 1)
        if self._server and not _has_arrived(self._server, run.id, num_rows):
            raise TrackingError("not all rows have arrived at the W&B server")
        if self.is_remote:
            shutil.rmtree(opened.folder, ignore_errors=True)
        else:
            _remove_links(opened.folder)

    def interrupt(self, opened: OpenRun) -> None:
        assert isinstance(opened, WandbRun)
        if self._server:
            self._server.num_rows(opened.run.id)  # where the server is gone, say so at once instead of waiting for it
        if self.is_remote:
            opened.run.mark_preempting()
        opened.run.finish(exit_code=1)
        if not self.is_remote:
            _remove_links(opened.folder)

    def log_files(self, name: str, kind: str, paths: Sequence[Path], root: Path, films: Mapping[str, Path]) -> str:
        """Send files as one artifact by a run of its own, under their paths below `root`, and films under their names; the entity
        that they went to."""
        wandb = self._client()
        try:
            run = wandb.init(
                name=name,
                job_type=kind,
                project=self._settings.project,
                entity=self._settings.entity,
                tags=self._settings.tags,
                dir=self._store,
                mode="online",
                reinit="create_new",
                settings=self._run_settings,
            )
            artifact = wandb.Artifact(name, type=kind)
            for path in paths:
                artifact.add_file(str(path), name=path.relative_to(root).as_posix(), policy="immutable")
            run.log_artifact(artifact)
            if films:
                run.log({film: wandb.Video(str(path), format="mp4") for film, path in films.items()})
            folder, entity = Path(run.settings.sync_dir), str(run.entity)
            run.finish()
        except (wandb.Error, OSError) as error:
            raise TrackingError(_one_line(error)) from error
        shutil.rmtree(folder, ignore_errors=True)
        return entity

    def close(self) -> None:
        """End everything, complete or not, and W&B's service process with it."""
        if self._run_settings is not None:
            with suppress(Exception, SystemExit):  # the service may be gone already
                self._client().teardown(exit_code=1)


def _remove_links(folder: Path) -> None:
    """Remove the client's links to its service's log, which goes away: a dangling link breaks `cp -L` and `tar -h`."""
    for path in (folder / "logs").glob("*"):
        if path.is_symlink():
            path.unlink()


def _has_arrived(server: Server, run_id: str, num_rows: int) -> bool:
    """Whether the server has all rows; it may need a moment to count them."""
    for seconds in (0.0, 1.0, 2.0, 4.0, 8.0):
        time.sleep(seconds)
        if server.num_rows(run_id) >= num_rows:
            return True
    return False


def _one_line(error: BaseException) -> str:
    """An error without the addresses that it may hold."""
    words = " ".join(str(error).split()).split(" ")
    return " ".join("the server" if "://" in word else word for word in words)[:300]


def _bulk_entrance(run: Any) -> tuple[Any, Any, Any, Any] | None:
    """What it takes to hand over many rows at once; None where this version of the client has no such entrance."""
    try:
        from wandb.proto import wandb_server_pb2

        interface: Any = run._interface
        new_request: Any = wandb_server_pb2.ServerRequest  # type: ignore[attr-defined]
        return new_request, interface._assign, interface._asyncer.run, interface._client.publish
    except (ImportError, AttributeError):
        return None


def _publish(run: Any, rows: Sequence[Row], first_step: int) -> None:
    """Log rows in one go: `run.log` for each costs two thread switches a row, several times the work of all the rest."""
    entrance = _bulk_entrance(run)
    if entrance is None:
        for step, row in enumerate(rows, first_step):
            run.log(row, step=step, commit=True)
        return
    new_request, assign, run_in_loop, send = entrance
    now = repr(time.time())
    requests = []
    for step, row in enumerate(rows, first_step):
        request = new_request()
        history = request.record_publish.request.partial_history
        history.step.num = step
        history.action.flush = True
        add = history.item.add
        for key, value in row.items():
            text = repr(value)
            add(key=key, value_json=_NOT_FINITE.get(text, text))
        add(key="_timestamp", value_json=now)
        assign(request.record_publish)
        requests.append(request)

    async def send_all() -> None:
        for request in requests:
            await send(request)

    run_in_loop(send_all)
