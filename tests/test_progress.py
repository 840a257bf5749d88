"""What a run says while it works: the last file, the pace, and the time that is left."""

from __future__ import annotations

import pytest

from jinja_imagekit.pregenerate import Outcome, Plan, SourceWork
from jinja_imagekit.pregenerate.progress import Pace


class Photo:
    """A source that has nothing but a name."""

    def __init__(self, name: str) -> None:
        self.name = name


def plan_of(weights: list[int], files: int = 1) -> Plan:
    works = [
        SourceWork(Photo(f"{number}.jpg"), weight, [(None, {})] * files)  # type: ignore[arg-type,list-item]
        for number, weight in enumerate(weights)
    ]
    return Plan(works)


def settle(pace: Pace, number: int, now: float, status: str = "generated") -> None:
    pace.settle(Outcome(status, "blog:hero", f"{number}.jpg", f"{number}.webp"), now)  # type: ignore[arg-type]


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_the_first_estimate_is_right(cores: int) -> None:
    """Forty equal sources of a second each: as soon as a time is shown it is the true one, on any number of cores."""
    pace = Pace(plan_of([3_000_000] * 40), cores)
    shown = []
    for number in range(40):
        now = 1.0 + number // cores
        settle(pace, number, now)
        if pace.seconds_left() is not None and number % cores == cores - 1:
            shown.append((pace.seconds_left(), (40 / cores) - now))
    assert shown
    for estimated, true in shown:
        assert estimated == pytest.approx(true, abs=1.0)


def test_a_heavy_source_counts_for_more() -> None:
    """Heavy sources come first: the light ones that are left take less time than as many heavy ones."""
    pace = Pace(plan_of([8_000_000] * 10 + [100_000] * 10), cores=1)
    for number in range(10):
        settle(pace, number, 2.0 * number)
    left = pace.seconds_left()
    assert left is not None
    assert left < 2.0


def test_what_was_fresh_or_failed_tells_no_pace() -> None:
    """Files that took no time do not make the rest look quick."""
    pace = Pace(plan_of([1_000_000] * 30), cores=1)
    for number in range(10):
        settle(pace, number, 0.001 * number, "failed")
    assert pace.seconds_left() is None
    for number in range(10, 20):
        settle(pace, number, float(number))
    assert pace.seconds_left() == pytest.approx(10.0)


def test_no_time_is_told_before_something_tells_it() -> None:
    """One source whose files are told of together is no measure."""
    pace = Pace(plan_of([1_000_000], files=8), cores=1)
    for number in range(8):
        pace.settle(Outcome("generated", "blog:hero", "0.jpg", f"{number}.webp"), 1.0 + number / 1000)
    assert pace.in_words() == ""
