"""An S3 on loopback for the tests, moto's; run as a script this is the server, until its input ends.

moto looks whether a name is taken and takes it in two steps. Here one request is answered after the other, which makes it one step.
"""

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_DEFAULT_REGION": "us-east-1"}


def require() -> None:
    for package in ("s3fs", "moto", "flask_cors"):
        pytest.importorskip(
            package, reason="a store in S3 is tested with s3fs and moto's server: the extras `s3` and `dev` have them"
        )


@contextmanager
def serving() -> Iterator[str]:
    """A server of one's own; its address."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, __file__], text=True, **pipes)  # type: ignore[call-overload]
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def new_bucket(address: str) -> str:
    """The URL of a new bucket."""
    import s3fs

    name = f"b{uuid.uuid4().hex[:12]}"
    s3fs.S3FileSystem(endpoint_url=address, skip_instance_cache=True).mkdir(name)
    return f"s3://{name}"


def main() -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.server import MotoRequestHandler
    from werkzeug.serving import make_server

    app, one_at_a_time = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def answer(environ: Any, start_response: Any) -> list[bytes]:
        with one_at_a_time:
            return list(app(environ, start_response))

    class Quiet(MotoRequestHandler):  # type: ignore[misc]
        protocol_version = "HTTP/1.1"  # a connection for many requests

        def log_request(self, *_: Any, **__: Any) -> None:
            pass

    server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
