"""What a W&B server has: asked directly, because it alone knows what has arrived.

In: where a run is. Out: how many of its rows are there. Only reads. Works with W&B itself, which counts a run's history
lines, and with servers of the same protocol that do not count them but give out the lines.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from rlbench.tracking.tracker import TrackingError

_TIMEOUT_SECONDS = 20.0
_QUERY = """
query RunResumeStatus($entity: String, $project: String, $run: String!) {
  model(name: $project, entityName: $entity) {
    entityName
    bucket(name: $run, missingOk: true) { historyLineCount }
  }
}
"""


class Server:
    """One project on one server."""

    def __init__(self, base_url: str, api_key: str, project: str, entity: str | None) -> None:
        self._base_url = base_url.rstrip("/")
        # Without a name or a key that the address may hold: what is told ends in a log.
        self._host = urllib.parse.urlsplit(self._base_url).netloc.rpartition("@")[2]
        self._authorization = "Basic " + base64.b64encode(f"api:{api_key}".encode()).decode()
        self._project = project
        self._entity = entity

    def num_rows(self, run_id: str) -> int:
        """How many of a run's rows have arrived. Raises TrackingError when the server does not say."""
        variables = {"entity": self._entity, "project": self._project, "run": run_id}
        query = {"operationName": "RunResumeStatus", "query": _QUERY, "variables": variables}
        answer = json.loads(self._ask("/graphql", json.dumps(query).encode()) or b"{}")
        if answer.get("errors"):
            raise TrackingError("the W&B server refused to say what it has of a run")
        project: dict[str, Any] = (answer.get("data") or {}).get("model") or {}
        run = project.get("bucket")
        if not run:
            return 0
        if run["historyLineCount"]:
            return int(run["historyLineCount"])
        entity = self._entity or project.get("entityName") or ""
        path = "/".join(urllib.parse.quote(part, safe="") for part in (entity, self._project, run_id))
        lines = (self._ask(f"/files/{path}/wandb-history.jsonl") or b"").splitlines()
        return max((json.loads(line)["_step"] + 1 for line in lines if line.strip()), default=0)

    def _ask(self, path: str, data: bytes | None = None) -> bytes | None:
        """The server's answer; None for a thing that is not there."""
        headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
        request = urllib.request.Request(self._base_url + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404 and data is None:
                return None
            raise TrackingError(f"the W&B server {self._host} answered HTTP {error.code} {error.reason}") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)  # urllib wraps what the system said
            told = getattr(reason, "strerror", None) or type(reason).__name__
            raise TrackingError(f"the W&B server {self._host} cannot be reached: {told}") from error
