"""The former home of `PublishReport`, which still imports from here."""

from .builds.publish import PublishReport

__all__ = ["PublishReport"]
