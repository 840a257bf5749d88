"""The former home of `PruneReport`, which still imports from here."""

from .builds.prune import PruneReport

__all__ = ["PruneReport"]
