"""Asking a server what it has: both kinds of servers, and those that do not answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from rlbench.tracking.tracker import TrackingError
from rlbench.tracking.wandb.server import Server

KEY = "k" * 40


class Answers(HTTPServer):
    """A server that says what a test wants it to."""

    status = 200
    graphql: Any = {}
    history: bytes | None = None

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert body["variables"]["project"] == "p"
        assert body["operationName"]
        self._answer(self.server.status, json.dumps(self.server.graphql).encode())

    def do_GET(self) -> None:
        found = self.server.history
        self._answer(404 if found is None else 200, found or b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def answers() -> Iterator[Answers]:
    with Answers() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def bucket(value: Any) -> dict[str, Any]:
    return {"data": {"model": {"entityName": "team x", "bucket": value}}}


def test_a_server_that_counts_is_believed(answers: Answers) -> None:
    answers.graphql = bucket({"historyLineCount": 17})
    assert Server(answers.url + "/", KEY, "p", None).num_rows("r") == 17
    assert [path for path, _ in answers.asked] == ["/graphql"]


def test_a_server_that_does_not_count_gives_out_the_lines(answers: Answers) -> None:
    answers.graphql = bucket({"historyLineCount": 0})
    answers.history = b'{"_step": 0, "x": NaN}\n{"_step": 1}\n\n{"_step": 2}\n'
    assert Server(answers.url, KEY, "p", None).num_rows("r") == 3
    assert [path for path, _ in answers.asked] == ["/graphql", "/files/team%20x/p/r/wandb-history.jsonl"]


@pytest.mark.parametrize("graphql", [{"data": {"model": None}}, bucket(None), bucket({"historyLineCount": 0})])
def test_a_run_that_is_not_there_has_no_rows(answers: Answers, graphql: dict[str, Any]) -> None:
    answers.graphql = graphql
    assert Server(answers.url, KEY, "p", "e").num_rows("r") == 0


def test_a_refusal_is_a_tracking_error_without_the_key(answers: Answers) -> None:
    answers.graphql = {"errors": [{"message": "no"}]}
    with pytest.raises(TrackingError, match="refused"):
        Server(answers.url, KEY, "p", None).num_rows("r")
    answers.status = 401
    with pytest.raises(TrackingError, match=r"the W&B server 127.0.0.1:\d+ answered HTTP 401 Unauthorized") as caught:
        Server(answers.url, KEY, "p", None).num_rows("r")
    assert KEY not in str(caught.value)


def test_nobody_there_is_a_tracking_error(answers: Answers) -> None:
    url = answers.url
    answers.server_close()
    host = url.removeprefix("http://")
    with pytest.raises(
        TrackingError, match=f"the W&B server {host} cannot be reached: Connection (refused|reset by peer)"
    ):
        Server(url, KEY, "p", None).num_rows("r")
    with pytest.raises(TrackingError, match=f"the W&B server {host} cannot be reached") as caught:
        Server(url.replace("http://", "http://me:secret@"), KEY, "p", None).num_rows("r")
    assert "secret" not in str(caught.value)
