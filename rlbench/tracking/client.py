"""The W&B client: the one place that imports wandb.

In: what a run is called, its rows in order, its summary. Out: a W&B run, offline or at the server. Rows are handed over
many at a time. Never asks for a key, never prints, and never sees the store's tables.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from rlbench.errors import ConfigError
from rlbench.tracking.rows import Row
from rlbench.tracking.server import Server, TrackingError
from rlbench.tracking.settings import TrackingSettings

_CHUNK_ROWS = 1000
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}  # as the client itself writes them
_FINISH_SECONDS = 120.0  # for the last rows and the weights of one run to arrive
_STEPPED = ("episode/*", "evaluation/*", "diagnostics/*")
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


@dataclass(frozen=True)
class RunHeader:
    """What W&B shows of a run before it has any rows."""

    run_id: str
    name: str
    group: str
    config: Mapping[str, Any]


class OpenRun:
    """A W&B run that takes rows. Made by `Client.open`."""

    def __init__(self, run: Any, num_arrived: int) -> None:
        self.run = run  # a wandb.Run
        self.num_arrived = num_arrived  # rows that were at the server before we came
        self.folder = Path(run.settings.sync_dir)

    def log(self, rows: Sequence[Row], first_step: int) -> None:
        """Hand over rows `first_step`, `first_step + 1` ...; those that have arrived before are left out."""
        start = max(self.num_arrived - first_step, 0)
        for begin in range(start, len(rows), _CHUNK_ROWS):
            _publish(self.run, rows[begin : begin + _CHUNK_ROWS], first_step + begin)


class Client:
    """W&B's client, for one destination."""

    def __init__(self, settings: TrackingSettings, store: Path, on_lost: Callable[[], None] = lambda: None) -> None:
        """Raises ConfigError where `online` has no key. on_lost: called from another thread when uploading failed."""
        import wandb
        from wandb.sdk import wandb_setup

        _skip_launch()
        self._wandb = wandb
        self._settings = settings
        self._store = store
        self._is_online = settings.mode == "online"
        chosen = dict(_QUIET)
        if self._is_online:
            # A plain function, because the client copies its settings deeply.
            chosen |= _ONLINE | {"stop_fn": lambda: on_lost()}
        self._run_settings = wandb.Settings(**chosen)
        # Not `wandb.setup`, which would start the service, and with it a log, before it is known where to.
        found = wandb_setup.singleton().settings
        self.base_url = str(found.base_url)
        self._server: Server | None = None
        if self._is_online:
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
                self._server = Server(self.base_url, found.api_key, settings.project, settings.entity)

    def open(self, header: RunHeader) -> OpenRun:
        """Begin a run, or at the server go on with it. Raises TrackingError where that is impossible."""
        arrived = self._server.num_rows(header.run_id) if self._server else None
        try:
            run = self._wandb.init(
                id=header.run_id,
                name=header.name,
                group=header.group,
                job_type="train",
                config=dict(header.config),
                project=self._settings.project,
                entity=self._settings.entity,
                tags=self._settings.tags,
                dir=self._store,
                mode="online" if self._is_online else "offline",
                resume="allow" if self._is_online else None,
                reinit="create_new",
                settings=self._run_settings,
            )
            run.define_metric("env_steps")
            for name in _STEPPED:
                run.define_metric(name, step_metric="env_steps")
        except (self._wandb.Error, OSError) as error:
            raise TrackingError(_one_line(error)) from error
        return OpenRun(run, max(arrived or 0, run.starting_step) if self._is_online else 0)

    def finish(self, opened: OpenRun, num_rows: int, summary: Mapping[str, Any], weights: Path | None) -> None:
        """End a run that is complete: `num_rows` rows, this summary, and its weights where there are some.

        Raises TrackingError where not all of it has arrived.
        """
        run = opened.run
        run.summary.update(dict(summary))
        if weights is not None:
            artifact = self._wandb.Artifact(f"weights-{run.id}", type="model", metadata={"digest": summary["digest"]})
            artifact.add_file(str(weights), name="weights.safetensors", policy="immutable")
            run.log_artifact(artifact)
        run.finish(exit_code=0 if summary["status"] in ("done", "pruned") else 1)
        if self._server and not _has_arrived(self._server, run.id, num_rows):
            raise TrackingError("not all rows have arrived at the W&B server")
        if self._is_online:
            shutil.rmtree(opened.folder, ignore_errors=True)
        else:
            _remove_links(opened.folder)

    def interrupt(self, opened: OpenRun) -> None:
        """End a run that may go on some other day."""
        if self._server:
            self._server.num_rows(opened.run.id)  # where the server is gone, say so at once instead of waiting for it
        if self._is_online:
            opened.run.mark_preempting()
        opened.run.finish(exit_code=1)
        if not self._is_online:
            _remove_links(opened.folder)

    def log_files(self, name: str, kind: str, paths: Sequence[Path], root: Path) -> str:
        """Send files as one artifact by a run of its own, under their paths below `root`; the entity that it went to."""
        try:
            run = self._wandb.init(
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
            artifact = self._wandb.Artifact(name, type=kind)
            for path in paths:
                artifact.add_file(str(path), name=path.relative_to(root).as_posix(), policy="immutable")
            run.log_artifact(artifact)
            folder, entity = Path(run.settings.sync_dir), str(run.entity)
            run.finish()
        except (self._wandb.Error, OSError) as error:
            raise TrackingError(_one_line(error)) from error
        shutil.rmtree(folder, ignore_errors=True)
        return entity

    def close(self) -> None:
        """End everything, complete or not, and W&B's service process with it."""
        with suppress(Exception, SystemExit):  # the service may be gone already
            self._wandb.teardown(exit_code=1)


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


def _skip_launch() -> None:
    """Keep the first `wandb.init` from importing W&B Launch, only to see that nobody launched us: 0.3 s of CPU time."""

    class StagedLaunchInputs:
        def apply(self, run: Any) -> None:
            """There are none."""

    module = ModuleType("wandb.sdk.launch.inputs.internal")
    module.StagedLaunchInputs = StagedLaunchInputs  # type: ignore[attr-defined]
    sys.modules.setdefault(module.__name__, module)


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
