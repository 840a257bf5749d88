"""Reports a pregeneration as JSON, with what a phone loads for each page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..json_output import json_text
from ..markup.weight import PHONE, weigh_folder
from .report import Report
from .totals import by_format, by_generator

if TYPE_CHECKING:
    from ..kit import ImageKit

__all__ = ["write_json_report"]


def write_json_report(
    kit: ImageKit,
    report: Report,
    path: str | PathLike[str],
    *,
    findings: Iterable[Mapping[str, Any]] = (),
    pages: str | PathLike[str] | None = None,
) -> None:
    """Write a report as JSON, one thing after another, however many there are; folders are made as needed.

    Args:
        kit: The kit.
        report: What a pregeneration did.
        path: The file to write.
        findings: What is wrong with images of pages: each with `page`, `line`, `url` and `message`.
        pages: The folder of the site's pages, of which the report tells what a phone loads; None for the folder below
            which images are made, and those into which they have been published.

    Raises:
        OSError: The file cannot be written.

    Example:
        >>> write_json_report(kit, kit.generate(), "report.json")  # doctest: +SKIP
    """
    told = {
        "ok": report.ok,
        "generators": by_generator(report),
        "formats": by_format(chain(report.generated, report.skipped)),
        "phone": PHONE._asdict(),
        "pages": (weight._asdict() for weight in weigh_folder(kit, pages, most=None)),
        "findings": findings,
        **report.streamed(),
    }
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8") as file:
        file.writelines(json_text(told))
