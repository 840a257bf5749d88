"""Killed at any moment, or many at once: what is visible is whole, and the next run makes the rest."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import kill_many  # its folder has to be on the path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 40 photos."""
    folder = tmp_path_factory.mktemp("crash")
    kill_many.draw_images(folder, 40)
    return folder


def test_killed_at_random_moments(folder: Path) -> None:
    """After six kills and one more run every byte is a clean run's, and nothing else is left."""
    said: list[str] = []
    assert kill_many.kill_many(folder, kills=6, seed=1, say=said.append) == []
    assert said


def test_many_at_once(folder: Path) -> None:
    """Eight processes that make the same 80 files make each of them once, and all succeed."""
    assert kill_many.run_many(folder, runs=8, say=lambda text: None) == []
