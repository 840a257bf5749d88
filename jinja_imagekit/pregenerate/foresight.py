"""Says what a plan would make, without making anything."""

from __future__ import annotations

from typing import Any

from ..cachefiles import ImageCacheFile
from .plan import Plan, failed
from .report import Outcome, Report


def foresee(plan: Plan, force: bool = False) -> Report:
    """Return a report in which "generated" is what a run of the plan would make.

    A source is opened only where its content is not remembered: the name of its files depends on it.

    Args:
        plan: The plan.
        force: Whether the run would make what exists as well.
    """
    outcomes = list(plan.outcomes)
    seen: set[str | None] = set()
    for work in plan.works:
        for file, kwargs in work.files:
            outcome = _foresee_file(file, kwargs, force)
            if outcome.name not in seen or outcome.name is None:
                outcomes.append(outcome)
            seen.add(outcome.name)
    return Report(outcomes, 0.0)


def _foresee_file(file: ImageCacheFile, kwargs: dict[str, Any], force: bool) -> Outcome:
    id = file.generator_id or ""
    try:
        exists = not force and bool(file.name) and file.cachefile_backend.exists(file)
        source = file.source.name if file.source else None
        return Outcome("skipped" if exists or not file.name else "generated", id, source, file.name)
    except Exception as error:  # noqa: BLE001  # a spec's properties may raise anything; the rest is listed
        return failed(id, kwargs, error)
