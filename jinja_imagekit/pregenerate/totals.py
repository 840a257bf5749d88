"""Adds up what a pregeneration did, by generator and by format."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

from .report import Outcome, Report


def by_generator(report: Report) -> list[dict[str, Any]]:
    """Return, for each generator, how many images became what, their bytes, and the seconds that they took."""
    rows: dict[str, dict[str, Any]] = {}
    for outcome in chain(report.generated, report.skipped, report.failed):
        empty = {"id": outcome.generator_id, "generated": 0, "skipped": 0, "failed": 0, "bytes": 0, "seconds": 0.0}
        row = rows.setdefault(outcome.generator_id, empty)
        row[outcome.status] += 1
        row["seconds"] += outcome.seconds
        row["bytes"] += outcome.size
    return sorted(rows.values(), key=lambda row: str(row["id"]))


def by_format(results: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Return, for each format, how many images there are, with their bytes and pixels; the heaviest first."""
    rows: dict[str, dict[str, Any]] = {}
    for outcome in results:
        format = format_of(outcome)
        row = rows.setdefault(format, {"format": format, "images": 0, "bytes": 0, "pixels": 0})
        row["images"] += 1
        row["bytes"] += outcome.size
        row["pixels"] += outcome.width * outcome.height
    return sorted(rows.values(), key=lambda row: -row["bytes"])


def format_of(outcome: Outcome) -> str:
    """Return the format that a file's name ends in, as people write it."""
    suffix = PurePosixPath(outcome.name or "").suffix[1:].upper()
    return {"JPG": "JPEG", "WEBP": "WebP"}.get(suffix, suffix)
