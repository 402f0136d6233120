"""A real W&B-compatible server on loopback: openwandb, in an environment of its own."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

VERSION = "0.5.25"
KEY = "local" + 40 * "0"  # the key that every openwandb server accepts
_CACHE = Path(__file__).parents[2] / ".cache" / "openwandb"


def find_openwandb() -> Path:
    """The server's executable: `RLBENCH_OPENWANDB`, or one that is installed here, once. Skips where that fails."""
    if given := os.environ.get("RLBENCH_OPENWANDB"):
        return Path(given)
    executable = _CACHE / "bin" / "openwandb"
    if not executable.exists():
        install = [_CACHE / "bin" / "python", "-m", "pip", "install", "--quiet", f"openwandb=={VERSION}"]
        for command in ([sys.executable, "-m", "venv", _CACHE], install):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"openwandb cannot be installed (make .cache/openwandb): {done.stderr.strip()[-200:]}")
    return executable


class OpenWandb:
    """One server with its data; can be stopped and started again on the same port."""

    def __init__(self, executable: Path, folder: Path) -> None:
        self._executable = executable
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to know."""
        return {"WANDB_BASE_URL": f"http://127.0.0.1:{self._port}", "WANDB_API_KEY": KEY}

    def start(self) -> None:
        """Start it, and wait until it listens."""
        address = ["--host", "127.0.0.1", "--port", str(self._port)]
        self._process = subprocess.Popen(
            [self._executable, "serve", *address, "--data-dir", self._folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(self._folder)},
            text=True,
        )
        output = self._process.stdout
        assert output is not None
        lines: list[str] = []
        for line in output:
            lines.append(line)
            if "Uvicorn running" in line:
                break
        else:
            pytest.fail(f"openwandb does not start: {''.join(lines)}")
        threading.Thread(target=output.read, daemon=True).start()  # or its log would fill the pipe
        with closing(sqlite3.connect(self._database)) as database, database:
            # The server knows this key anyway; without its entry it saves itself 0.3 s of hashing per request.
            database.execute("DELETE FROM api_keys")

    def stop(self) -> None:
        """Stop it; safe to call twice."""
        if self._process:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    @property
    def _database(self) -> Path:
        return self._folder / "openwandb.db"

    def _query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(text, values).fetchall()

    def num_values(self, *run_ids: str) -> int:
        """How many numbers have arrived."""
        marks = ",".join("?" * len(run_ids))
        return int(self._query(f"SELECT count(*) FROM metrics WHERE run_id IN ({marks})", *run_ids)[0][0])

    def rows(self, run_id: str) -> dict[int, dict[str, float | None]]:
        """step -> what has arrived; fails where a number arrived twice. The database keeps NaN as None."""
        found: dict[int, dict[str, float | None]] = defaultdict(dict)
        for step, key, value in self._query("SELECT step, key, value FROM metrics WHERE run_id = ?", run_id):
            assert key not in found[step], f"{key} of step {step} arrived twice"
            found[step][key] = value
        return dict(found)

    def run(self, run_id: str) -> dict[str, Any]:
        """The run's own row."""
        names = ("display_name", "state", "config_json", "summary_json", "tags_json", "program", "host", "project_id")
        (row,) = self._query(f"SELECT {', '.join(names)} FROM runs WHERE run_id = ?", run_id)
        return dict(zip(names, row, strict=True))

    def run_ids(self) -> set[str]:
        """Every run that is there."""
        return {run_id for (run_id,) in self._query("SELECT run_id FROM runs")}

    def media(self, run_id: str) -> list[Path]:
        """The films and pictures of a run, as they have arrived."""
        return [path for path in self._folder.glob(f"files/*/*/{run_id}/media/**/*") if path.is_file()]

    def artifacts(self, run_id: str) -> list[str]:
        """The names of a run's artifacts."""
        return [name for (name,) in self._query("SELECT name FROM artifacts WHERE run_id = ?", run_id)]

    def all_artifacts(self) -> set[str]:
        """The name of every artifact that is there."""
        return {name for (name,) in self._query("SELECT name FROM artifacts")}
