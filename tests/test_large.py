"""Lists and sets that may outgrow memory."""

from __future__ import annotations

import sqlite3
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from jinja_imagekit import large
from jinja_imagekit.large import LargeList, LargeSet
from jinja_imagekit.pregenerate import Outcome, Report


@pytest.fixture(params=["in memory", "in a file", "without a file"])
def sized(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small limits, so that a few entries are many; once with a disk that is full."""
    kept: str = request.param
    monkeypatch.setattr(large, "PAGE", 7)
    if kept != "in memory":
        monkeypatch.setattr(large, "MOST_BYTES", 100)
        monkeypatch.setattr(large, "MOST_NAMES", 10)
    if kept == "without a file":
        monkeypatch.setattr(sqlite3, "connect", refuse)
    return kept


def refuse(*arguments: Any, **keywords: Any) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def test_a_large_list_is_a_list(sized: str) -> None:
    """Indices, slices, length and equality are those of a list, whatever is in memory."""
    plain = [f"{number}.jpg" for number in range(100)]
    names = LargeList(plain)
    assert (len(names), bool(names), list(names)) == (100, True, plain)
    assert (names[0], names[-1], names[50]) == (plain[0], plain[-1], plain[50])
    assert names[3:40] == plain[3:40]
    assert names[::-1] == plain[::-1]
    assert names[60:5:-9] == plain[60:5:-9]
    assert names[200:] == []
    assert names == plain
    assert plain == names
    assert names != [*plain[:-1], "other"]
    assert plain[8] in names
    with pytest.raises(IndexError):
        names[100]


def test_a_copy_grows_on_its_own(sized: str) -> None:
    """What is added to one of them is not in the other."""
    names = LargeList(f"{number}.jpg" for number in range(50))
    other = names.copy()
    other.extend(["a", "b"])
    names.extend(["c"] * 20)
    assert (len(names), len(other), names[-1], other[-1]) == (70, 52, "c", "b")
    assert other[:50] == names[:50]


def test_a_large_set_has_each_name_once_and_in_order(sized: str) -> None:
    """Names that are no Unicode, as those of files may be, are among them."""
    wanted = {f"{number % 61}.jpg" for number in range(200)} | {"\udcff.jpg", "é.jpg"}
    names = LargeSet(f"{number % 61}.jpg" for number in range(200))
    names.update(["é.jpg", "\udcff.jpg", "0.jpg"])
    assert list(names) == sorted(wanted)
    assert all(name in names for name in wanted)
    assert "61.jpg" not in names
    assert not LargeSet()


def test_a_report_on_many_files_takes_little_memory(tmp_path: Path) -> None:
    """A hundred thousand outcomes take what ten thousand take."""
    name = "CACHE/images/photos/{0}/5ff3233527c5ac3e4b596343b440{0:06}.webp"
    tracemalloc.start()
    try:
        report = Report(
            (Outcome("skipped", "blog:hero", f"{each}.jpg", name.format(each)) for each in range(200_000)), 1
        )
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 25_000_000
    assert (len(report.skipped), report.total, report.ok) == (200_000, 200_000, True)
    assert report.skipped[199_999] == Outcome("skipped", "blog:hero", "199999.jpg", name.format(199_999))
