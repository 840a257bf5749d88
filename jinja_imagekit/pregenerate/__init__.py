"""The plan and the run behind `kit.generate()`, which makes what is missing on all cores."""

from .plan import Item, Plan, SourceWork, dry_run, make_plan, registered_items
from .report import GenerationInterrupted, Outcome, Report
from .run import run_plan

__all__ = [
    "GenerationInterrupted",
    "Item",
    "Outcome",
    "Plan",
    "Report",
    "SourceWork",
    "dry_run",
    "make_plan",
    "registered_items",
    "run_plan",
]
