"""A server that speaks S3, buckets on it, and what it was asked."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

Calls = list[tuple[str, str]]
"""The methods and paths of requests."""


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Recorder(logging.Handler):
    """Collects what the server was asked, as its log tells it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Calls = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep method and path of a request."""
        method, _, rest = record.getMessage().partition('"')[2].partition(" ")
        self.calls.append((_COLOURS.sub("", method), rest.partition(" ")[0]))


def methods(calls: Calls) -> list[str]:
    """Return what was asked for, in short: "LIST" for a page of a listing, else the method."""
    return ["LIST" if method == "GET" and "list-type" in path else method for method, path in calls]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The URL of a server for this module."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install .[test]")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=True)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def asked(endpoint: str) -> Iterator[Calls]:
    """What the server is asked during the test."""
    recorder, log = Recorder(), logging.getLogger("werkzeug")
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(recorder)
    yield recorder.calls
    log.removeHandler(recorder)
    log.setLevel(level)


@pytest.fixture
def credentials(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all of Amazon's tools look for the server and its keys."""
    found = {"ENDPOINT_URL": endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}
    for name, value in found.items():
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.fixture
def bucket_name(request: Any) -> str:
    """The name of a bucket for this test alone."""
    return f"b{abs(hash(request.node.nodeid)):x}"
