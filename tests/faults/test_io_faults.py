"""Calls that fail below the library, one or all from one on: nothing partial is seen, and the next run heals."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import drawing

from .conftest import Tally
from .io_victim import SCENARIOS

VICTIM = Path(__file__).with_name("io_victim.py")

Fault = tuple[int, int, int, int]


@pytest.fixture
def run(tmp_path: Path, fail_io: Path) -> Callable[..., list[dict[str, Any]]]:
    """Return a function that runs a scenario once for each fault, and says what came of it."""
    (tmp_path / "images").mkdir()
    for number in range(2):
        drawing.photo(32, 24, number).save(tmp_path / f"images/{number}.png")

    def run(scenario: str, faults: list[Fault]) -> list[dict[str, Any]]:
        command = [sys.executable, str(VICTIM), str(tmp_path), scenario, json.dumps(faults)]
        environment = {**os.environ, "LD_PRELOAD": str(fail_io)}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=3600)
        assert result.returncode == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    return run


ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_call_fails(
    run: Callable[..., list[dict[str, Any]]], scenario: str, rounds: Callable[[int, int], int], tally: Tally
) -> None:
    """Whoever makes it and whichever it is: an error of the library, or a report; whole files; and a next run."""
    (counted,) = run(scenario, [(0, 0, 0, 1)])
    calls = int(counted["said"])
    assert calls > 100
    all_faults = [
        (number, error, forever, 1) for number in range(1, calls + 1) for error in ERRORS for forever in (0, 1)
    ]
    faults = random.Random(scenario).sample(all_faults, rounds(6, 300))
    results = run(scenario, faults)
    outcomes = Counter(result["said"].partition(":")[0] for result in results)
    tally(len(results), "failing calls", **{key.replace(" ", "_"): outcomes[key] for key in outcomes})
    problems = [f"{result['fault']}: {problem}" for result in results for problem in result["problems"]]
    assert not problems, "\n".join(problems)
