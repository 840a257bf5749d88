"""The strength of the fault suite, and the table of what it did.

Each test runs a few rounds; with `FAULTS=full` in the environment (`make faults`) it runs all of them, and a table at
the end says what was tried and found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FULL = os.environ.get("FAULTS") == "full"

Tally = Callable[..., None]


@pytest.fixture
def rounds() -> Callable[[int, int], int]:
    """Return a function that tells how many rounds to run: `rounds(few, all)`."""
    return lambda few, full: full if FULL else few


@pytest.fixture
def tally(record_property: Callable[[str, object], None], request: pytest.FixtureRequest) -> Tally:
    """Return a function that adds a line to the table: what was tried how often, and what was found."""

    def add(count: int, what: str, **found: object) -> None:
        facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items())
        record_property("fault", [request.node.name, f"{count:,} {what}", facts])

    return add


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Write the table."""
    if not FULL:
        return
    rows = []
    for status in ("passed", "failed"):
        for report in terminalreporter.stats.get(status, ()):
            tried = [value for name, value in getattr(report, "user_properties", ()) if name == "fault"]
            if tried or status == "failed":
                rows += [(*row, status) for row in tried] or [(report.nodeid.rpartition("::")[2], "", "", status)]
    terminalreporter.section("faults")
    for row in sorted(map(tuple, rows)):
        terminalreporter.write_line(f"{row[3]:<7} {row[0].removeprefix('test_'):<62} {row[1]:<34} {row[2]}")


@pytest.fixture(scope="session")
def fail_io(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that makes the n-th call fail; skipped where none can be preloaded."""
    compiler = shutil.which("cc")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    target = tmp_path_factory.mktemp("fail_io") / "fail_io.so"
    source = Path(__file__).with_name("fail_io.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", target, source, "-ldl"], check=True)
    return target
